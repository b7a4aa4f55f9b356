import AsyncTransport
import Testing

@Suite("Addresses are read strictly and written in one way")
struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("255.255.255.255:65535", "255.255.255.255:65535"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::]:1", "[::]:1"),
        ("[0:0:0:0:0:0:0:1]:8080", "[::1]:8080"),
        ("[2001:DB8::00A1]:443", "[2001:db8::a1]:443"),
        ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80"),
        ("127.0.0.1:0080", "127.0.0.1:80"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("unix:relative", "unix:relative"),
    ])
    func valid(text: String, canonical: String) throws {
        let address = try #require(SocketAddress(text))
        #expect(address.description == canonical)
        #expect(SocketAddress(address.description) == address)
    }

    @Test(arguments: [
        "", ":", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+80",
        "127.0.0.1: 80",
        "127.0.0.1:80 ", " 127.0.0.1:80", "127.1:80", "1.2.3.4.5:80", "01.2.3.4:80", "256.0.0.1:80", "localhost:80",
        "::1:80",
        "[::1]", "[::1]80", "::1", "[127.0.0.1]:80", "[]:80", "[::1:80", "[::1]]:80", "[fe80::1%lo]:80", "[:::]:80",
        "unix:",
        "127.0.0.1\0:80", "unix:/a\0b", "127.0.0.1:８０", "unix:" + String(repeating: "x", count: 108),
    ])
    func invalid(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test(arguments: [("::1", "::1"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")])
    func hosts(text: String, host: String) throws {
        let address = try #require(SocketAddress(host: text, port: 7))
        #expect(address.host == host)
        #expect(address.port == 7)
        #expect(address.unixPath == nil)
    }

    @Test func theLongestUnixPathIsTaken() throws {
        let path = String(repeating: "x", count: 107)
        let address = try #require(SocketAddress(unixPath: path))
        #expect(address.unixPath == path)
        #expect(address.port == nil)
        #expect(address.host == nil)
    }

    @Test func namesResolve() throws {
        let found = try SocketAddress.resolveBlocking(host: "localhost", port: 9)
        #expect(found.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
        #expect(found.allSatisfy { $0.port == 9 })
        #expect(throws: TransportError.self) { try SocketAddress.resolveBlocking(host: "no such host", port: 9) }
    }
}
