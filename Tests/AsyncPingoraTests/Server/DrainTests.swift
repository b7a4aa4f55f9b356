import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A graceful end cuts off nobody who has connected or was just served", .timeLimit(.minutes(3)))
struct DrainTests {
    enum Family: CaseIterable, Sendable {
        case tcp, unix
    }

    /// Runs `body` with a service whose one thread can be held up, and where what may be on its way is waited for as long as it takes.
    private func withService(
        _ family: Family = .tcp,
        options: HttpServerOptions = HttpServerOptions(),
        serve: @escaping @Sendable (Session) async throws -> Void,
        _ body: @escaping @Sendable (RunningService) async throws -> Void
    ) async throws {
        let path = "/tmp/async-pingora-\(UInt64.random(in: 0...UInt64.max))"
        defer { _ = unsafe unlink(path) }
        try await TestExecutor.withExecutor { _ in
            var configuration = Server.Configuration()
            configuration.lastRequestTimeout = .seconds(3_600)
            var listeners = Listeners()
            listeners.add(family == .tcp ? try loopback() : try #require(SocketAddress(unixPath: path)))
            let service = httpService(
                ClosureServer(body: serve),
                listeners: listeners,
                threadCount: 1,
                serverOptions: options,
                logger: silentLogger
            )
            try await AsyncPingoraTests.withService(service, configuration: configuration, body)
        }
    }

    @Test("Connections that wait in the listener's queue are served once", arguments: Family.allCases)
    func queue(family: Family) async throws {
        let diary = Diary()
        let isGoing = Lock(false)
        try await withService(family) { session in
            if session.request.path == "/block" {
                diary.note("blocks")
                while !isGoing.withLock({ $0 }) || !session.isShuttingDown { sched_yield() }
            }
            try await session.respond(.ok, body: Bytes(session.request.path))
        } _: { service in
            let blocking = try await RawClient.connect(to: service.address)
            try await blocking.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
            try await diary.wait(for: "blocks")
            var clients: [RawClient] = []
            for _ in 0..<100 { clients.append(try await RawClient.connect(to: service.address)) }
            for client in clients.prefix(50) { try await client.send("GET /queued HTTP/1.1\r\nHost: a\r\n\r\n") }
            service.signals.send(.gracefulShutdown)
            isGoing.withLock { $0 = true }
            // Some ask only when the listener is closed already.
            #expect(try await blocking.receiveResponse().text == "/block")
            for client in clients.suffix(50) { try await client.send("GET /queued HTTP/1.1\r\nHost: a\r\n\r\n") }
            for client in clients {
                let response = try await client.receiveResponse()
                #expect(response.text == "/queued")
                #expect(response["connection"] == "close")
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    @Test("A client that was just served, or has just connected, may ask once more")
    func lastRequest() async throws {
        try await withService { session in
            try await session.respond(.ok, body: Bytes(session.isShuttingDown ? "last" : "first"))
        } _: { service in
            let served = try await RawClient.connect(to: service.address)
            #expect(try await served.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text == "first")
            let fresh = try await RawClient.connect(to: service.address)
            // The listener is closed before this one, which it still accepts, is told so.
            service.signals.send(.gracefulShutdown)
            await #expect(throws: TransportError.self) {
                while true { _ = try await RawClient.connect(to: service.address) }
            }
            for client in [served, fresh] {
                let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.text == "last")
                #expect(response["connection"] == "close")
                #expect(try await client.receiveToEnd().isEmpty)
            }
            // Nobody asks on the others: they are not waited for when this is over.
            service.signals.send(.fastShutdown)
        }
    }

    @Test("A client in the middle of a TLS handshake may finish it and ask")
    func handshake() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        let diary = Diary()
        try await TestExecutor.withExecutor { _ in
            var configuration = Server.Configuration()
            configuration.lastRequestTimeout = .seconds(3_600)
            var listeners = Listeners()
            try listeners.addTLS(try loopback(), settings: TLSServerSettings(certificates: [certificate.source]))
            let server = ClosureServer { session in
                try await session.respond(.ok, body: Bytes(session.isShuttingDown ? "last" : "first"))
            }
            let service = httpService(server, listeners: listeners, threadCount: 1, logger: silentLogger)
            try await AsyncPingoraTests.withService(service, diary: diary, configuration: configuration) { running in
                let deadline = Deadline.after(.seconds(40))
                let answer = try await withParker { parker in
                    let socket = try await SocketStream.connect(
                        to: running.address,
                        options: SocketStream.ConnectOptions(),
                        deadline: deadline,
                        parker: parker
                    )
                    running.signals.send(.gracefulShutdown)
                    await #expect(throws: TransportError.self) {
                        while true { _ = try await RawClient.connect(to: running.address) }
                    }
                    let stream = try await TLSConnector().connect(
                        over: socket,
                        options: authority.trusted,
                        protocols: [.http11],
                        deadline: deadline
                    )
                    var request = OutputQueue()
                    request.append(Bytes("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"))
                    try await stream.write(&request, deadline: deadline)
                    let buffer = IOBuffer()
                    var answer = ""
                    while try await stream.read(into: buffer, deadline: deadline) {
                        answer += String(decoding: Array(Bytes(of: buffer, 0..<buffer.count)), as: UTF8.self)
                        buffer.removeAll()
                    }
                    stream.close(reset: false)
                    return answer
                }
                #expect(answer.hasSuffix("last"))
            }
        }
    }
}
