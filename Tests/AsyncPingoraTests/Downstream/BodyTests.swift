import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Bodies pass as they are, in every framing", .serialized, .timeLimit(.minutes(5)))
struct BodyTests {
    @Test(arguments: ProxyKind.allCases)
    func chunkedRequest(kind: ProxyKind) async throws {
        let seen = Diary()
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                seen.note(request.text)
                for field in request.trailers { seen.note("\(field.name)=\(field.value)") }
                #expect(request["transfer-encoding"] == "chunked")
                #expect(request["trailer"] == nil || request["trailer"] == "X-Sum")
                try await connection.send("HTTP/1.1 204 No Content\r\n\r\n")
            }
        }
        try await withProxy(kind, script) { service, _ in
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            let body = "3;ext=1;q=\"a;b\"\r\nabc\r\n0005 ; x\r\ndefgh\r\n000;last\r\nX-Sum: 8\r\nx-other: y\r\n\r\n"
            let response = try await service.response(to: head + body)
            #expect(response.status == 204)
            #expect(seen.lines == ["abcdefgh", "X-Sum=8", "x-other=y"])
        }
    }

    /// A trailer must not bring in what a head decides by (RFC 9110 6.5.1).
    @Test(arguments: ["Content-Length: 0", "Transfer-Encoding: chunked", "Host: b", "Authorization: x", "Cookie: y"])
    func forbiddenTrailers(_ field: String) async throws {
        let script = OriginScript { connection in
            let request = try await connection.expectRequest()
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(request.trailers.count)")
        }
        try await withProxy(.plain, script) { service, _ in
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\(field)\r\n\r\n"
            let response = try await service.response(to: head)
            #expect(response.text == "0")
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func chunkedResponse(kind: ProxyKind) async throws {
        let script = OriginScript.replying(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                + "3;ext\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-Sum: 8\r\n\r\n"
        )
        try await withProxy(kind, script) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
                    #expect(response.text == "abcdefgh")
                    #expect(response.trailers.map { "\($0.name): \($0.value)" } == ["X-Sum: 8"])
                    #expect(response["connection"] == "keep-alive")
                }
                let old = try await client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(old.text == "abcdefgh")
                #expect(old.isEndedByClose)
                #expect(old["transfer-encoding"] == nil)
            }
        }
    }

    struct Bodyless: Sendable, CustomTestStringConvertible {
        let method: String
        let response: String
        let field: String
        var testDescription: String { "\(method): \(response)" }

        init(_ method: String, _ response: String, _ field: String) {
            self.method = method
            self.response = "HTTP/1.1 \(response)\r\n\(field)\r\n\r\n"
            self.field = field
        }

        static let all = [
            Bodyless("HEAD", "200 OK", "Content-Length: 1234"),
            Bodyless("HEAD", "200 OK", "ETag: \"x\""),
            Bodyless("HEAD", "404 Not Found", "Content-Length: 9"),
            Bodyless("GET", "204 No Content", "ETag: \"x\""),
            Bodyless("GET", "304 Not Modified", "Content-Length: 1234"),
            Bodyless("GET", "304 Not Modified", "ETag: \"x\""),
            Bodyless("POST", "204 No Content", "X-A: b"),
        ]
    }

    /// No body follows, whatever the head says, and the connections on both sides go on.
    @Test(arguments: Bodyless.all, ProxyKind.allCases)
    func bodyless(_ bodyless: Bodyless, kind: ProxyKind) async throws {
        try await withProxy(kind, .replying(bodyless.response)) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<3 {
                    let response = try await client.exchange("\(bodyless.method) / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.startLine == bodyless.response.prefix { $0 != "\r\n" })
                    #expect(response.head.contains(bodyless.field))
                    #expect(response["connection"] == "keep-alive")
                    #expect(response["transfer-encoding"] == nil)
                }
                #expect(origin.connectionCount == 1)
            }
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func headOfChunked(kind: ProxyKind) async throws {
        try await withProxy(kind, .replying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")) {
            service,
            origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<3 {
                    let response = try await client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.status == 200)
                }
                #expect(origin.connectionCount == 1)
            }
        }
    }

    /// Both directions at once, each larger than every buffer between.
    @Test(arguments: ProxyKind.allCases)
    func echo(kind: ProxyKind) async throws {
        let size = 3_000_000
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            var left = size
            while left > 0 {
                let some = try await connection.receiveSome()
                if some.isEmpty { throw TestFailure("the request ends \(left) bytes early") }
                left -= some.count
                try await connection.send(some)
            }
            try await connection.awaitClose()
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
                var sent = 0
                var received: [UInt8] = []
                sent += try await client.sendUntilFull(payload)
                let head = try await client.receiveHead()
                #expect(RawMessage(head: head).status == 200)
                while received.count < size {
                    if sent < size { sent += try await client.sendUntilFull(Array(payload[sent...])) }
                    let some = try await client.receiveSome()
                    if some.isEmpty { throw TestFailure("the response ends after \(received.count) bytes") }
                    received += some
                }
                #expect(received == payload)
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// A head that announces a body reaches the client though the body is still to come.
    @Test(arguments: ProxyKind.allCases)
    func headBeforeBody(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            while try await connection.nextRequest() != nil {
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                try await connection.origin.wait { $0.requests.contains { $0.target == "/go" } }
                try await connection.send("body")
            }
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(RawMessage(head: try await client.receiveHead()).status == 200)
                let direct = try await RawClient.connect(to: origin.address)
                try await direct.send("GET /go HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(String(decoding: try await client.receive(count: 4), as: UTF8.self) == "body")
            }
        }
    }

    /// The same from a plain server that writes its answer piece by piece.
    @Test func headBeforeBodyOfAServer() async throws {
        let diary = Diary()
        try await withServer { session in
            var head = ResponseHeader(status: .ok)
            head.headers.set(.contentLength, integer: 4)
            try await session.writeResponseHeader(head)
            try await diary.wait(for: "go")
            try await session.writeResponseBody(Bytes("body"), endOfStream: true)
        } _: { service in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(RawMessage(head: try await client.receiveHead()).status == 200)
                diary.note("go")
                #expect(String(decoding: try await client.receive(count: 4), as: UTF8.self) == "body")
            }
        }
    }

    // MARK: - Informational responses

    @Test(arguments: ProxyKind.allCases)
    func informational(kind: ProxyKind) async throws {
        let script = OriginScript.replying(
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
        try await withProxy(kind, script) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(try await client.receiveHead().hasPrefix("HTTP/1.1 102 Processing\r\n"))
                    let hints = RawMessage(head: try await client.receiveHead())
                    #expect(hints.status == 103)
                    #expect(hints["link"] == "</a>")
                    #expect(hints["connection"] == nil)
                    #expect(try await client.receiveResponse(skipsInformational: false).text == "ok")
                }
                // A 1.0 client does not know them.
                try await client.send("GET / HTTP/1.0\r\n\r\n")
                #expect(try await client.receiveResponse(skipsInformational: false).text == "ok")
            }
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func continueIsRelayed(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            while let head = try await connection.nextRequestHead() {
                #expect(head["expect"] == "100-continue")
                try await connection.send("HTTP/1.1 100 Continue\r\n\r\n")
                let request = try await connection.receiveBody(of: head)
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\(request.text)")
            }
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let request = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
                    try await client.send(request)
                    #expect(try await client.receiveHead().hasPrefix("HTTP/1.1 100 "))
                    try await client.send("body")
                    #expect(try await client.receiveResponse(skipsInformational: false).text == "body")
                }
                #expect(origin.connectionCount == 1)
            }
        }
    }

    /// Without 100 the client need not send its body: neither connection can go on.
    @Test(arguments: ProxyKind.allCases)
    func continueIsRefused(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
            try await connection.awaitClose()
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                let response = try await client.exchange(
                    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
                )
                #expect(response.status == 417)
                #expect(response["connection"] == "close")
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
                try await origin.wait { $0.openConnectionCount == 0 }
            }
        }
    }
}
