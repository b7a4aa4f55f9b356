import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("TLS connections begin and end in good order", .serialized)
struct TLSLifecycleTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"

    /// Runs `body` with a server that answers once `gate` has been noted in the diary.
    private func withServer(
        _ authority: TestAuthority,
        timeout: Duration = .seconds(20),
        _ body: @escaping @Sendable (RunningService) async throws -> Void
    ) async throws {
        let certificate = try await authority.issue()
        try await TestExecutor.withExecutor { _ in
            var settings = TLSServerSettings(certificates: [certificate.source])
            settings.handshakeTimeout = timeout
            var listeners = Listeners()
            try listeners.addTLS(try loopback(), settings: settings)
            let diary = Diary()
            let server = ClosureServer { session in
                diary.note("asked")
                try await diary.wait(for: "answer")
                try await session.respond(.ok, body: Bytes("done"))
            }
            let service = httpService(server, listeners: listeners, threadCount: 1, logger: silentLogger)
            try await withService(service, diary: diary, body)
        }
    }

    @Test("A graceful end lets requests finish, and waits neither for idle connections nor for half-open ones")
    func gracefulEnd() async throws {
        let authority = try await TestAuthority()
        try await withServer(authority) { service in
            let idle = try await RawClient.connect(to: service.address, tls: authority.trusted)
            let busy = try await RawClient.connect(to: service.address, tls: authority.trusted)
            let halfOpen = try await RawClient.connect(to: service.address)
            try await halfOpen.send([22, 3, 1])
            try await busy.send(Self.get)
            try await service.diary.wait(for: "asked")
            service.signals.send(.gracefulShutdown)
            // With a close_notify: a stream that is cut would throw.
            let outcome1 = try await idle.receiveToEnd().isEmpty
            #expect(outcome1)
            // It may not have been accepted yet, or its bytes not read: then it is reset.
            let outcome2 = (try? await halfOpen.receiveToEnd()) ?? []
            #expect(outcome2.isEmpty)
            service.diary.note("answer")
            let response = try await busy.receiveResponse()
            #expect(response.text == "done")
            #expect(response["connection"] == "close")
            let outcome3 = try await busy.receiveToEnd().isEmpty
            #expect(outcome3)
        }
    }

    @Test("Clients that do not get through the handshake are dropped, and others served")
    func brokenHandshakes() async throws {
        let authority = try await TestAuthority()
        try await withServer(authority, timeout: .milliseconds(500)) { service in
            service.diary.note("answer")
            let silent = try await RawClient.connect(to: service.address)
            let slow = try await RawClient.connect(to: service.address)
            try await slow.send([22, 3, 1, 2, 0, 1])
            let plain = try await RawClient.connect(to: service.address)
            try await plain.send(Self.get)
            let good = try await RawClient.connect(to: service.address, tls: authority.trusted)
            let response = try await good.exchange(Self.get)
            #expect(response.text == "done")
            let outcome4 = try await silent.receiveToEnd().isEmpty
            #expect(outcome4)
            let outcome5 = try await slow.receiveToEnd().isEmpty
            #expect(outcome5)
            // It gets an alert, perhaps a reset behind it, and no answer.
            let answer = (try? await plain.receiveToEnd()) ?? []
            #expect(!String(decoding: answer, as: UTF8.self).contains("HTTP"))
            #expect(service.diary.count(of: "asked") == 1)
        }
    }

    @Test("A response that is cut does not look complete", arguments: ["Content-Length: 100\r\n", ""], ["1.0", "1.1"])
    func cutResponse(_ framing: String, _ version: String) async throws {
        let authority = try await TestAuthority()
        let script = OriginScript { connection in
            _ = try await connection.nextRequest()
            try await connection.send("HTTP/1.1 200 OK\r\n\(framing)\r\npart of it")
            // What was sent must have been passed on, or it would be a 502.
            try await connection.origin.wait { $0.requestCount == 2 }
            connection.reset()
        }
        try await withTLSProxy(authority, script) { fixture in
            let client = try await RawClient.connect(to: fixture.proxy, tls: authority.trusted)
            try await client.send("GET / HTTP/\(version)\r\nHost: a.test\r\n\r\n")
            let head = try await client.receiveHead()
            #expect(head.hasPrefix("HTTP/1.1 200"))
            let other = try await RawClient.connect(to: fixture.proxy, tls: authority.trusted)
            try await other.send(Self.get)
            let outcome = try await UpstreamOutcome(from: client)
            #expect(outcome.isReset || head.contains("ength: 100") || !outcome.text.hasSuffix("0\r\n\r\n"))
            #expect(version == "1.1" || !framing.isEmpty || outcome.isReset)
        }
    }
}
