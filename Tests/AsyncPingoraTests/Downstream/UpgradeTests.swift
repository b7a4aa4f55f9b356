import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("An upgrade becomes a tunnel, if origin and policy want it", .serialized, .timeLimit(.minutes(5)))
struct UpgradeTests {
    private static let request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    @Test(arguments: ProxyKind.allCases)
    func tunnel(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            let request = try await connection.expectRequest()
            #expect(request["connection"]?.lowercased() == "upgrade")
            #expect(request["upgrade"] == "websocket")
            // Bytes that come in one piece with the head are the tunnel's first.
            try await connection.send(Self.switching + "early")
            while true {
                let some = try await connection.receiveSome()
                if some.isEmpty { break }
                try await connection.send(some)
            }
            try await connection.send("bye")
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request + "sent at once")
                let head = RawMessage(head: try await client.receiveHead())
                #expect(head.status == 101)
                #expect(head["connection"]?.lowercased() == "upgrade")
                #expect(head["upgrade"] == "websocket")
                #expect(head.fields.count { $0.name.lowercased() == "transfer-encoding" } == 0)
                #expect(try await text(client, "earlysent at once") == "earlysent at once")
                // What looks like HTTP is not: it is not parsed any more.
                for message in [
                    "\0\u{1}\u{2}", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", String(repeating: "x", count: 300_000),
                ] {
                    try await client.send(message)
                    #expect(try await text(client, message) == message)
                }
                client.closeWrite()
                #expect(String(decoding: try await client.receiveToEnd(), as: UTF8.self) == "bye")
                try await service.diary.wait(for: "logged 101")
                #expect(service.diary.lines.count == 1)
                #expect(origin.requestCount == 1)
            }
        }
    }

    /// The origin closes its side first; the client goes on sending, and all of it arrives.
    @Test(arguments: ProxyKind.allCases)
    func originHalfCloses(kind: ProxyKind) async throws {
        let received = Diary()
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send(Self.switching + "all I have to say")
            connection.closeWrite()
            received.note(String(decoding: try await connection.receiveToEnd(), as: UTF8.self))
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                _ = try await client.receiveHead()
                #expect(String(decoding: try await client.receiveToEnd(), as: UTF8.self) == "all I have to say")
                let message = String(repeating: "y", count: 200_000)
                try await client.send(message)
                client.closeWrite()
                try await received.wait(for: message)
                try await service.diary.wait(for: "logged 101")
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// More than the buffers hold, both ways, then both ends at once.
    @Test func bulk() async throws {
        let size = 2_000_000
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send(Self.switching)
            try await connection.send([UInt8](repeating: 1, count: size))
            connection.closeWrite()
            #expect(try await connection.receive(count: size) == [UInt8](repeating: 2, count: size))
            #expect(try await connection.receiveToEnd().isEmpty)
        }
        try await withProxy(.plain, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                _ = try await client.receiveHead()
                #expect(try await client.receive(count: size) == [UInt8](repeating: 1, count: size))
                try await client.send([UInt8](repeating: 2, count: size))
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
                try await service.diary.wait(for: "logged 101")
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// Either side breaks off: the other learns of it, and the request is logged.
    @Test(arguments: [true, false])
    func brokenOff(byClient: Bool) async throws {
        let origins = Diary()
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send(Self.switching)
            if byClient {
                try await connection.awaitClose()
            } else {
                _ = try await connection.receive(count: 1)
                connection.reset()
            }
            origins.note("ended")
        }
        try await withProxy(.plain, script) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                _ = try await client.receiveHead()
                if byClient {
                    client.reset()
                } else {
                    try await client.send("x")
                    try await client.awaitClose()
                }
                try await origins.wait(for: "ended")
                try await service.diary.wait { $0.count == 1 }
            }
        }
    }

    /// The origin does not want to: an ordinary response, and both connections go on.
    @Test(arguments: ProxyKind.allCases)
    func refused(kind: ProxyKind) async throws {
        try await withProxy(kind, .ok("no")) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange(Self.request)
                    #expect(response.status == 200)
                    #expect(response.text == "no")
                    #expect(response["upgrade"] == nil)
                    #expect(response["connection"] == "keep-alive")
                }
                #expect(origin.connectionCount == 1)
            }
        }
    }

    struct Withheld: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fields: String
        var policy = UpgradePolicy.any
        var version = "1.1"

        static let all = [
            Withheld(testDescription: "h2c", fields: "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
            Withheld(testDescription: "H2C", fields: "Connection: Upgrade\r\nUpgrade: H2C\r\n"),
            Withheld(
                testDescription: "h2c with settings",
                fields: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
            ),
            Withheld(testDescription: "h2c among others", fields: "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
            Withheld(
                testDescription: "h2c in a second field",
                fields: "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"
            ),
            Withheld(testDescription: "h2c with a version", fields: "Connection: Upgrade\r\nUpgrade: h2c/1\r\n"),
            Withheld(testDescription: "not named by Connection", fields: "Upgrade: websocket\r\n"),
            Withheld(
                testDescription: "HTTP/1.0",
                fields: "Connection: Upgrade\r\nUpgrade: websocket\r\n",
                version: "1.0"
            ),
            Withheld(
                testDescription: "denied",
                fields: "Connection: Upgrade\r\nUpgrade: websocket\r\n",
                policy: .deny
            ),
            Withheld(
                testDescription: "not WebSocket",
                fields: "Connection: Upgrade\r\nUpgrade: irc\r\n",
                policy: .webSocketOnly
            ),
        ]
    }

    @Test(arguments: Withheld.all)
    func withheld(_ upgrade: Withheld) async throws {
        var options = HttpProxyOptions()
        options.upgrades = upgrade.policy
        try await withProxy(.plain, .ok("plain"), proxy: options) { service, origin in
            let head = "GET / HTTP/\(upgrade.version)\r\nHost: a\r\n\(upgrade.fields)\r\n"
            let response = try await service.response(to: head)
            #expect(response.text == "plain")
            let seen = try #require(origin.requests.first)
            #expect(seen["upgrade"] == nil)
            #expect(seen["http2-settings"] == nil)
            #expect(seen["connection"] == nil)
        }
    }

    /// A 101 that nobody asked for must not open a tunnel past the proxy.
    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ])
    func unasked(_ request: String) async throws {
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send(Self.switching + "tunnelled")
            try await connection.awaitClose()
        }
        try await withProxy(.plain, script) { service, _ in
            let response = try await service.response(to: request)
            #expect(response.status == 502)
            #expect(response.text.isEmpty)
        }
    }
}

private func text(_ client: RawClient, _ expected: String) async throws -> String {
    String(decoding: try await client.receive(count: expected.utf8.count), as: UTF8.self)
}
