import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("A connection goes on exactly as long as both sides say", .serialized, .timeLimit(.minutes(5)))
struct KeepAliveTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let request: String
        let keepsAlive: Bool

        init(_ request: String, keepsAlive: Bool) {
            testDescription = request.replacing("\r\n", with: " | ")
            self.request = request + "\r\n\r\n"
            self.keepsAlive = keepsAlive
        }

        static let all = [
            Rule("GET / HTTP/1.1\r\nHost: a", keepsAlive: true),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive", keepsAlive: true),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: close", keepsAlive: false),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nconnection: CLOSE", keepsAlive: false),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a, close", keepsAlive: false),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a\r\nConnection: close", keepsAlive: false),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close", keepsAlive: false),
            Rule("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed", keepsAlive: true),
            Rule("GET / HTTP/1.0\r\nHost: a", keepsAlive: false),
            Rule("GET / HTTP/1.0", keepsAlive: false),
            Rule("GET / HTTP/1.0\r\nConnection: keep-alive", keepsAlive: true),
            Rule("GET / HTTP/1.0\r\nConnection: Keep-Alive", keepsAlive: true),
            Rule("GET / HTTP/1.0\r\nConnection: keep-alive, close", keepsAlive: false),
        ]
    }

    @Test(arguments: Rule.all, ProxyKind.allCases)
    func rule(_ rule: Rule, kind: ProxyKind) async throws {
        try await withProxy(kind, .ok("hello")) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                let response = try await client.exchange(rule.request)
                #expect(response.text == "hello")
                #expect(response["connection"] == (rule.keepsAlive ? "keep-alive" : "close"))
                if rule.keepsAlive {
                    #expect(try await client.exchange(rule.request).text == "hello")
                    #expect(origin.requestCount == 2)
                    #expect(origin.connectionCount == 1)
                } else {
                    #expect(try await client.receiveToEnd().isEmpty)
                }
            }
        }
    }

    /// What the origin says of its own connection is no concern of the client's.
    @Test(arguments: ProxyKind.allCases)
    func originCloses(kind: ProxyKind) async throws {
        let script = OriginScript.sequence(["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"])
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for count in 1...3 {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.text == "ok")
                    #expect(response["connection"] == "keep-alive")
                    #expect(origin.connectionCount == count)
                }
            }
        }
    }

    /// A body that only the end of the connection ends becomes chunked for a 1.1 client, and ends a 1.0 client's connection.
    @Test(arguments: ProxyKind.allCases)
    func untilClose(kind: ProxyKind) async throws {
        let script = OriginScript.sequence(["HTTP/1.1 200 OK\r\n\r\nuntil the end"])
        try await withProxy(kind, script) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.text == "until the end")
                    #expect(response["transfer-encoding"] == "chunked")
                    #expect(response["connection"] == "keep-alive")
                }
                let last = try await client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(last.text == "until the end")
                #expect(last.isEndedByClose)
                #expect(last["connection"] == "close")
            }
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func pipelining(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                let body = request.target + request.text
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            }
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                var batch = ""
                for index in 0..<50 {
                    batch +=
                        index.isMultiple(of: 2)
                        ? "GET /\(index) HTTP/1.1\r\nHost: a\r\n\r\n"
                        : "POST /\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n!"
                }
                try await client.send(batch)
                for index in 0..<50 {
                    let response = try await client.receiveResponse()
                    #expect(response.text == (index.isMultiple(of: 2) ? "/\(index)" : "/\(index)!"))
                }
                #expect(origin.requestCount == 50)
                #expect(origin.connectionCount == 1)
            }
        }
    }

    /// Empty lines before a request are tolerated (RFC 9112 2.2): old clients send one after a body.
    @Test func emptyLines() async throws {
        try await withProxy(.plain, .ok()) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.status == 200)
                }
            }
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func requestLimit(kind: ProxyKind) async throws {
        var options = HttpServerOptions()
        options.keepAliveRequestLimit = 3
        try await withProxy(kind, .ok(), server: options) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                try await client.send(String(repeating: request, count: 5))
                #expect(try await client.receiveResponse()["connection"] == "keep-alive")
                #expect(try await client.receiveResponse()["connection"] == "keep-alive")
                #expect(try await client.receiveResponse()["connection"] == "close")
                try await client.awaitClose()
                #expect(origin.requestCount == 3)
            }
        }
    }

    /// The client still writes when it is refused: it reads the answer all the same, not a reset.
    @Test(arguments: [
        (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
        (431, "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 65_536))"),
    ])
    func lingering(status: Int, head: String) async throws {
        let refuse: @Sendable (Session) async throws -> Void = { _ in throw PingoraError(.httpStatus(413)) }
        try await withServer(serve: refuse) { service in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(head)
                for _ in 0..<8 { try? await client.send([UInt8](repeating: 120, count: 16_384)) }
                let response = try await client.receiveResponse()
                #expect(response.status == status)
                #expect(response["connection"] == "close")
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    /// The same from a client that has not sent the rest yet when it gets the answer.
    ///
    /// A connection that is closed at once answers what comes next with a reset, and the next write fails.
    @Test(arguments: [
        (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"),
        (413, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "BROKEN\r\n\r\n"),
        (405, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        (431, "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 65_536))"),
        (200, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n"),
    ])
    func lingeringForWhatComes(status: Int, head: String) async throws {
        try await withServer { session in
            guard session.request.path == "/last" else { throw PingoraError(.httpStatus(413)) }
            session.disableKeepAlive()
            try await session.respond(.ok)
        } _: { service in
            try await RawClient.withConnection(to: service.address) { client in
                let response = try await client.exchange(head)
                #expect(response.status == status)
                #expect(response["connection"] == "close")
                for _ in 0..<4 { try await client.send([UInt8](repeating: 120, count: 4_096)) }
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    /// The same from a client that has closed its side by then.
    @Test func lingeringHalfClosed() async throws {
        try await withServer(
            serve: { _ in },
            { service in
                try await RawClient.withConnection(to: service.address) { client in
                    try await client.send("BROKEN\r\n\r\n" + String(repeating: "x", count: 200_000))
                    client.closeWrite()
                    #expect(try await client.receiveResponse().status == 400)
                    #expect(try await client.receiveToEnd().isEmpty)
                }
            }
        )
    }
}
