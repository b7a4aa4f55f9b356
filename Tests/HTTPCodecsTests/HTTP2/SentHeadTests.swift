import HTTPCodecs
import HTTPTypes
import Testing

@Suite("Heads go out in HTTP/2 without what only HTTP/1 knows")
struct HTTP2SentHeadTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let line: String
        let fields: [String]
        /// The request line and the fields as the server sees them; nil when the request cannot be sent.
        let head: [String]?
        var testDescription: String { "\(line) \(fields)" }

        init(_ line: String, _ fields: [String], _ head: [String]?) {
            self.line = line
            self.fields = fields
            self.head = head
        }
    }

    static let requests: [Row] = [
        Row("GET /", ["Host: a"], ["GET /", "Host: a"]),
        Row("GET /", ["X: y", "HOST: a:80"], ["GET /", "Host: a:80", "x: y"]),
        Row("BREW /pot", ["Host: a"], ["BREW /pot", "Host: a"]),
        Row("OPTIONS *", ["Host: a"], ["OPTIONS *", "Host: a"]),
        Row("GET http://a/x?y", ["Host: a"], ["GET /x?y", "Host: a"]),
        Row("GET HTTPS://a:8/x", ["Host: a:8"], ["GET /x", "Host: a:8"]),
        Row("GET http://a", ["Host: a"], ["GET /", "Host: a"]),
        Row("OPTIONS http://a", ["Host: a"], ["OPTIONS *", "Host: a"]),
        Row("CONNECT a:443", ["Host: a"], ["CONNECT a:443", "Host: a:443"]),
        Row("GET /a#b", ["Host: a"], nil),
        Row("GET ftp://a/", ["Host: a"], nil),
        Row("GET http://a?x", ["Host: a"], nil),
        Row("GET relative", ["Host: a"], nil),
        // What concerns one connection, and what Connection names; but nothing that decides what the message means.
        Row(
            "GET /",
            [
                "Host: a", "Connection: X-Hop, keep-alive, Content-Length, x-other", "X-Hop: 1", "X-End: 2",
                "Content-Length: 0", "Keep-Alive: timeout=5", "Proxy-Connection: close", "Transfer-Encoding: chunked",
                "Upgrade: h2c", "HTTP2-Settings: x", "X-OTHER: 3",
            ],
            ["GET /", "Host: a", "x-end: 2", "content-length: 0"]
        ),
        Row("GET /", ["Host: a", "TE: gzip, Trailers;q=1"], ["GET /", "Host: a"]),
        Row("GET /", ["Host: a", "TE: gzip, Trailers", "X: y"], ["GET /", "Host: a", "x: y", "te: trailers"]),
        Row("GET /", ["Host: a", "TE: gzip"], ["GET /", "Host: a"]),
        Row("GET /", ["Host: a", "Cookie: a=1; b=2"], ["GET /", "Host: a", "cookie: a=1; b=2"]),
        // An upgrade to anything but a WebSocket is not for the next hop.
        Row("GET /", ["Host: a", "Connection: upgrade", "Upgrade: h2c"], ["GET /", "Host: a"]),
        Row("GET /", ["Host: a", "Upgrade: websocket"], ["GET /", "Host: a"]),
        Row("POST /", ["Host: a", "Connection: upgrade", "Upgrade: websocket"], ["POST /", "Host: a"]),
    ]

    @Test("requests", arguments: requests)
    func request(row: Row) throws {
        let pair = Pair()
        let parts = row.line.split(separator: " ").map(String.init)
        let head = try RequestHeader.of(parts[0], parts[1], row.fields)
        guard let expected = row.head else {
            #expect(throws: HTTP2.SubmissionError.invalidHead) { try pair.request(head) }
            return
        }
        let id = try pair.request(head)
        let received = try #require(pair.server.requests[id])
        #expect(["\(received.method.rawValue) \(received.target)"] + received.headers.lines == expected)
    }

    @Test("responses")
    func response() throws {
        let pair = Pair()
        let id = try pair.request(.of("GET", "/"))
        let fields = [
            "Server: x", "Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Transfer-Encoding: chunked",
            "Set-Cookie: a", "Set-Cookie: b",
        ]
        try pair.server.session.submitResponse(id, .of(404, fields), endStream: true)
        pair.run()
        let response = try #require(pair.client.responses[id]?.first)
        #expect(response.headers.lines == ["server: x", "set-cookie: a", "set-cookie: b"])
        #expect(response.reason == "Not Found")
    }

    @Test("What must not be in a compression table stays out of it on the next connection, too")
    func sensitiveFields() throws {
        let neverIndexed = try sizeOfRepeatedHead(["x-secret", "cookie"], representation: 0x10)
        let remembered = try sizeOfRepeatedHead(["x-secret", "cookie"], representation: 0x00)
        // What is remembered takes a byte each when it is sent again.
        #expect(remembered < 20)
        #expect(neverIndexed > remembered + 2 * 18)
    }

    /// Passes on a head with these fields, which came in this representation (RFC 7541 6.2), and returns its size the second time.
    private func sizeOfRepeatedHead(_ names: [String], representation: UInt8) throws -> Int {
        let server = HTTP2ReceivedHeadTests.server()
        let value = "0123456789-abcdefghijk"
        let fields = names.flatMap { [representation] + Frame.text($0) + Frame.text(value) }
        let crumb = Frame.block([("cookie", "a=1")])
        server.receive(Frame.headers(1, block: Frame.block(Frame.request()) + fields + crumb))
        var head = try #require(server.requests[1])
        // Enough changes that the head's memory is put in order.
        for _ in 0..<200 { head.headers.set(.via, staticBytes: "1.1 proxy-with-a-long-name") }
        let client = Endpoint(.client)
        var size = 0
        for _ in 0..<2 {
            _ = try client.session.submitRequest(head, scheme: .https, endStream: true)
            size = try #require(SentFrame.all(client.produce()).first { $0.type == 1 }).payload.count
        }
        return size
    }

    @Test("An upgrade to a WebSocket is an extended CONNECT between two upgrades")
    func webSocket() throws {
        let pair = Pair()
        let fields = ["Host: a", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13"]
        let id = try pair.request(.of("GET", "/chat", fields), endStream: false)
        let request = try #require(pair.server.requests[id])
        #expect(request.isExtendedConnect)
        #expect(
            request.headers.lines == [
                "Host: a", "sec-websocket-version: 13", "Connection: Upgrade", "Upgrade: websocket",
            ]
        )
        let answer = try ResponseHeader.of(
            101,
            ["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5", "X: y"]
        )
        try pair.server.session.submitResponse(id, answer, endStream: false)
        pair.server.offer(id, [1, 2])
        pair.client.offer(id, [3])
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 101 Switching Protocols"])
        #expect(
            pair.client.responses[id]?.first?.headers.lines == ["x: y", "Connection: Upgrade", "Upgrade: websocket"]
        )
        #expect(pair.client.bodies[id] == [1, 2])
        #expect(pair.server.bodies[id] == [3])
        pair.client.session.endBody(id)
        pair.server.session.endBody(id)
        pair.run()
        #expect(pair.client.takeLog() == ["end 1", "closed 1 NO_ERROR"])
    }

    @Test("A WebSocket that is refused gets the response as it is")
    func refusedWebSocket() throws {
        let pair = Pair()
        let fields = ["Host: a", "Connection: Upgrade", "Upgrade: websocket"]
        let id = try pair.request(.of("GET", "/chat", fields), endStream: false)
        try pair.server.session.submitResponse(id, .of(403, ["Content-Length: 2"]), endStream: false)
        pair.server.send(id, [1, 2])
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 403 Forbidden", "end 1"])
    }

    @Test("An upgrade is not sent to a server that does not know extended CONNECT")
    func noExtendedConnect() throws {
        var settings = HTTP2.Settings()
        settings.enablesConnectProtocol = false
        let pair = Pair(server: settings)
        #expect(!pair.client.session.peerAllowsConnectProtocol)
        #expect(throws: HTTP2.SubmissionError.upgradeNotSupported) {
            try pair.request(.of("GET", "/", ["Host: a", "Connection: Upgrade", "Upgrade: websocket"]))
        }
    }

    @Test("A tunnel carries bytes both ways, whatever length its response names")
    func tunnel() throws {
        let pair = Pair()
        let id = try pair.request(.of("CONNECT", "a:443"), endStream: false)
        try pair.server.session.submitResponse(id, .of(200, ["Content-Length: 3"]), endStream: false)
        pair.server.send(id, [1, 2, 3, 4])
        pair.client.send(id, [5])
        pair.run()
        #expect(pair.client.bodies[id] == [1, 2, 3, 4])
        #expect(pair.server.bodies[id] == [5])
        #expect(pair.client.responses[id]?.first?.headers.isEmpty == true)
        #expect(pair.client.takeLog() == ["response 1 200 OK", "end 1", "closed 1 NO_ERROR"])
    }
}
