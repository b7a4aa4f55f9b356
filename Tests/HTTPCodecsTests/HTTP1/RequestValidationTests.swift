import HTTPCodecs
import Testing

@Suite("A request names one authority, in a way nobody can misread")
struct RequestValidationTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let line: String
        let hosts: [String]
        let error: HTTP1.ParseError?
        var testDescription: String { "\(line), Host: \(hosts)" }

        init(_ line: String, _ hosts: String..., error: HTTP1.ParseError? = nil) {
            self.line = line
            self.hosts = hosts
            self.error = error
        }
    }

    @Test(arguments: [
        Row("GET / HTTP/1.1", "a"),
        Row("GET / HTTP/1.1", ""),
        Row("GET / HTTP/1.1", error: .missingHost),
        Row("GET / HTTP/1.0"),
        Row("GET / HTTP/1.0", "a"),
        Row("GET / HTTP/1.1", "a", "b", error: .repeatedHost),
        Row("GET / HTTP/1.1", "a", "a", error: .repeatedHost),
        Row("GET / HTTP/1.1", "", "", error: .repeatedHost),
        Row("GET / HTTP/1.0", "a", "a", error: .repeatedHost),
        Row("GET //a/b HTTP/1.1", "a"),
        Row("GET /?u=http://x@y/ HTTP/1.1", "a"),
        Row("GET /a%23b HTTP/1.1", "a"),
        Row("GET /a#b HTTP/1.1", "a", error: .invalidTarget),
        Row("GET /# HTTP/1.1", "a", error: .invalidTarget),
        Row("GET /?a#b HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http://a/b#c HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http://a#c HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT a:1#c HTTP/1.1", "a", error: .invalidTarget),
        // OPTIONS and the asterisk.
        Row("OPTIONS * HTTP/1.1", "a"),
        Row("GET * HTTP/1.1", "a", error: .invalidTarget),
        Row("OPTIONS ** HTTP/1.1", "a", error: .invalidTarget),
        // Absolute targets agree with Host, byte for byte.
        Row("GET http://a.example/x HTTP/1.1", "a.example"),
        Row("GET HTTP://a.example/x HTTP/1.1", "a.example"),
        Row("GET https://a.example:8443?q HTTP/1.1", "a.example:8443"),
        Row("GET http://a.example HTTP/1.0"),
        Row("GET http://[::1]:80/ HTTP/1.1", "[::1]:80"),
        Row("GET http://a/b@c HTTP/1.1", "a"),
        Row("GET http://a?u@c HTTP/1.1", "a"),
        Row("GET http://a.example/x HTTP/1.1", error: .missingHost),
        Row("GET http://a.example/x HTTP/1.1", "b.example", error: .hostMismatch),
        Row("GET http://a.example/x HTTP/1.1", "A.example", error: .hostMismatch),
        Row("GET http://a.example:80/x HTTP/1.1", "a.example", error: .hostMismatch),
        Row("GET http://a.example/x HTTP/1.1", "", error: .hostMismatch),
        Row("GET http://u@a.example/ HTTP/1.1", "a.example", error: .invalidTarget),
        Row("GET http://u:p@a.example/ HTTP/1.1", "a.example", error: .invalidTarget),
        Row("GET http:///path HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http:/a/path HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http:a HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http:/\\/a HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http:\\\\a/ HTTP/1.1", "a", error: .invalidTarget),
        Row("GET https://?q HTTP/1.1", "a", error: .invalidTarget),
        Row("GET 9x://a/ HTTP/1.1", "a", error: .invalidTarget),
        Row("GET ftp://a/ HTTP/1.1", "a", error: .invalidTarget),
        Row("GET http://a%2Fb/ HTTP/1.1", "a%2Fb", error: .invalidTarget),
        Row("GET http://a%5cb/ HTTP/1.1", "a%5cb", error: .invalidTarget),
        Row("GET http://a%40b/ HTTP/1.1", "a%40b", error: .invalidTarget),
        Row("GET http://a:1:2/ HTTP/1.1", "a:1:2", error: .invalidHost),
        Row("GET http://a:1:2/ HTTP/1.0", error: .invalidTarget),
        Row("GET http://[::1/ HTTP/1.0", error: .invalidTarget),
        Row("GET index.html HTTP/1.1", "a", error: .invalidTarget),
        Row("GET ?q HTTP/1.1", "a", error: .invalidTarget),
        // CONNECT.
        Row("CONNECT a.example:443 HTTP/1.1", "a.example:443"),
        Row("CONNECT a.example:443 HTTP/1.1", "a.example"),
        Row("CONNECT a.example:443 HTTP/1.1", ""),
        Row("CONNECT a.example:443 HTTP/1.0"),
        Row("CONNECT [::1]:443 HTTP/1.1", "[::1]"),
        Row("CONNECT a.example:443 HTTP/1.1", "b.example", error: .hostMismatch),
        Row("CONNECT a.example:443 HTTP/1.1", "a.example:444", error: .hostMismatch),
        Row("CONNECT a.example:443 HTTP/1.1", "a.exampl", error: .hostMismatch),
        Row("CONNECT a.example HTTP/1.1", "a.example", error: .invalidTarget),
        Row("CONNECT a.example: HTTP/1.1", "a.example", error: .invalidTarget),
        Row("CONNECT :443 HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT a:1:2 HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT u@a:443 HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT / HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT http://a:443/ HTTP/1.1", "a", error: .invalidTarget),
        Row("CONNECT a:443/x HTTP/1.1", "a", error: .invalidTarget),
    ])
    func rules(_ row: Row) throws {
        let head = try requestHead([row.line] + row.hosts.map { "Host: \($0)" })
        var found: HTTP1.ParseError?
        do throws(HTTP1.ParseError) { try HTTP1.validate(head) } catch { found = error }
        #expect(found == row.error)
    }

    @Test(arguments: [
        "example.com", "EXAMPLE.com", "a", "a.", "127.0.0.1", "127.0.0.1:80", "a:0", "a:65535", "a:", "a_b", "x-y.z~",
        "a%40b",
        "caf%C3%A9", "[::]", "[::1]", "[1::]", "[2001:db8::1]:443", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]",
        "[::ffff:1.2.3.4]",
        "[1:2:3:4:5:6:255.255.255.255]", "[fe80::ABCD]",
    ])
    func goodHosts(host: String) throws {
        try HTTP1.validate(try requestHead(["GET / HTTP/1.1", "Host: \(host)"]))
    }

    @Test(arguments: [
        "a b", "a/b", "/a", "a\\b", "a?b", "a#b", "u@a", "@a", "a:b", "a:80:80", "a:65536", "a:123456", "a:-1", "a: 80",
        ":80", ":",
        "a%", "a%4", "a%zz", "a\"b", "a<b", "a|b", "a^b", "a`b", "{a}", "caf\u{E9}", "[", "[]", "[::", "[::1", "::1",
        "[::1]x",
        "[::1]:x", "a[::1]", "[[::1]]", "[1]", "[:1]", "[1:]", "[:::]", "[1::2::3]", "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:8::]", "[12345::]", "[::g]", "[::1.2.3]", "[::1.2.3.256]", "[::1.2.3.04]", "[::1.2.3.4:5]",
        "[1.2.3.4]",
        "[v1.a]", "[::1%25eth0]", "a,b c", "http://a", "a\tb",
    ])
    func badHosts(host: String) throws {
        let head = try requestHead(["GET / HTTP/1.1", "Host: \(host)"])
        #expect(throws: HTTP1.ParseError.invalidHost) { try HTTP1.validate(head) }
    }
}
