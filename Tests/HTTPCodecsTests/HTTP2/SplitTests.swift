import HTTPCodecs
import Testing

@Suite("HTTP/2 means the same however its bytes are cut")
struct HTTP2SplitTests {
    /// What a client says in a conversation with several streams, bodies, trailers and a ping.
    private func conversation() throws -> [UInt8] {
        let client = Endpoint(.client)
        let fields = ["Host: a.example", "Accept: */*", "Cookie: a=1; b=2", "User-Agent: test"]
        _ = try client.session.submitRequest(.of("GET", "/1", fields), scheme: .https, endStream: true)
        let second = try client.session.submitRequest(.of("POST", "/2", fields), scheme: .https, endStream: false)
        var trailers = HeaderMap()
        try trailers.append(lines: ["Checksum: 7"])
        client.send(second, Array("the body".utf8), trailers: trailers)
        client.session.ping(1)
        let third = try client.session.submitRequest(.of("PUT", "/3", fields), scheme: .https, endStream: false)
        client.send(third, Array(repeating: 3, count: 300))
        var bytes = client.produce()
        client.session.reset(third, .cancel)
        bytes += client.produce()
        return bytes
    }

    private func outcome(of pieces: [[UInt8]]) -> ([String], [HTTP2.StreamID: [UInt8]]) {
        let server = Endpoint(.server)
        for piece in pieces { server.receive(piece) }
        return (server.log, server.bodies)
    }

    @Test("at every point")
    func everySplit() throws {
        let bytes = try conversation()
        let whole = outcome(of: [bytes])
        #expect(whole.0.count == 6)
        #expect(whole.1[3] == Array("the body".utf8))
        for split in 0...bytes.count {
            let parts = outcome(of: [Array(bytes[..<split]), Array(bytes[split...])])
            #expect(parts.0 == whole.0 && parts.1 == whole.1, "at \(split)")
        }
        let single = outcome(of: bytes.map { [$0] })
        #expect(single.0 == whole.0 && single.1 == whole.1)
    }
}
