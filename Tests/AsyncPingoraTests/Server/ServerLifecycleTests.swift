import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// Answers a request when its body has come: that is when the test says so.
private struct Gate: Sendable {
    let diary = Diary()

    func serve(_ session: Session) async throws {
        diary.note("began \(session.request.path)")
        while try await session.readRequestBody() != nil {}
        try await session.respond(.ok, body: Bytes(session.isShuttingDown ? "draining" : "running"))
    }

    static let begin = "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    static let open = "body"
}

@Suite(
    "A server starts all of its services or none, and ends them as it is asked to",
    .serialized,
    .timeLimit(.minutes(5))
)
struct ServerLifecycleTests {
    private static let graceful: [ExecutionPhase] = [
        .setup, .bootstrap, .bootstrapComplete, .running, .gracefulTerminate, .shutdownStarted, .shutdownGracePeriod,
        .shutdownRuntimes, .terminated,
    ]
    private static let fast: [ExecutionPhase] = [
        .setup, .bootstrap, .bootstrapComplete, .running, .shutdownStarted, .shutdownRuntimes, .terminated,
    ]

    @Test(arguments: [ServerSignal.fastShutdown, .gracefulShutdown])
    func phases(signal: ServerSignal) async throws {
        try await TestExecutor.withExecutor { _ in
            let diary = Diary()
            let server = Server(logger: silentLogger)
            await server.add(NotedService("a", diary))
            await server.add(NotedService("b", diary))
            let phases = await server.phases()
            let signals = ManualSignals()
            let seen = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                var seen: [ExecutionPhase] = []
                for await phase in phases {
                    seen.append(phase)
                    guard phase == .running else { continue }
                    try await diary.wait(for: "a runs")
                    try await diary.wait(for: "b runs")
                    signals.send(signal)
                }
                try await group.waitForAll()
                return seen
            }
            let isFast = signal == .fastShutdown
            #expect(seen == (isFast ? Self.fast : Self.graceful))
            #expect(diary.lines.prefix(2) == ["a prepared", "b prepared"])
            let end = isFast ? "cancelled" : "drained"
            #expect(diary.lines.suffix(2).sorted() == ["a \(end)", "b \(end)"])
        }
    }

    /// A signal that came before the start counts.
    @Test func earlySignal() async throws {
        try await TestExecutor.withExecutor { _ in
            let server = Server(logger: silentLogger)
            await server.add(NotedService("a", Diary()))
            let signals = ManualSignals()
            signals.send(.fastShutdown)
            try await server.run(signals: signals)
        }
    }

    @Test func withoutServices() async throws {
        try await TestExecutor.withExecutor { _ in
            try await Server(logger: silentLogger).run(signals: ManualSignals())
        }
    }

    @Test func failingPrepare() async throws {
        try await TestExecutor.withExecutor { _ in
            let diary = Diary()
            let server = Server(logger: silentLogger)
            await server.add(NotedService("a", diary))
            await server.add(NotedService("b", diary, prepares: { throw TestFailure("no luck") }))
            await server.add(NotedService("c", diary))
            let phases = await server.phases()
            let error = await #expect(throws: ServerError.self) { try await server.run(signals: ManualSignals()) }
            #expect(error?.description == "service 'b' cannot start: no luck")
            var seen: [ExecutionPhase] = []
            for await phase in phases { seen.append(phase) }
            #expect(seen == [.setup, .bootstrap, .shutdownStarted, .shutdownRuntimes, .terminated])
            #expect(diary.lines == ["a prepared"])
        }
    }

    /// An address that is taken stops the start, and leaves none of the others bound.
    @Test func takenAddress() async throws {
        try await withServer(
            serve: { try await $0.respond(.ok) },
            { running in
                var listeners = Listeners()
                let free = try #require(
                    SocketAddress(unixPath: "/tmp/async-pingora-\(UInt64.random(in: 0...UInt64.max))")
                )
                listeners.add(free)
                listeners.add(running.address)
                let server = Server(logger: silentLogger)
                await server.add(
                    httpService(name: "web", ClosureServer { _ in }, listeners: listeners, threadCount: 1)
                )
                let error = await #expect(throws: ServerError.self) { try await server.run(signals: ManualSignals()) }
                #expect(
                    error?.description
                        == "service 'web' cannot start: bind \(running.address): Address already in use"
                )
                await #expect(throws: TransportError.self) { _ = try await RawClient.connect(to: free) }
            }
        )
    }

    /// A graceful end lets the last request finish, takes no new connection, and is over when that request is.
    @Test func gracefulEnd() async throws {
        let gate = Gate()
        try await withServer(
            serve: { try await gate.serve($0) },
            { running in
                let idle = try await RawClient.connect(to: running.address)
                #expect(try await idle.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").text == "running")
                let fresh = try await RawClient.connect(to: running.address)
                let busy = try await RawClient.connect(to: running.address)
                try await busy.send(Gate.begin)
                try await gate.diary.wait(for: "began /wait")
                running.signals.send(.gracefulShutdown)
                // Connections without a request end at once.
                #expect(try await idle.receiveToEnd().isEmpty)
                #expect(try await fresh.receiveToEnd().isEmpty)
                await #expect(throws: TransportError.self) {
                    // The listener closes at the same time as the idle connections, not before.
                    while true {
                        let late = try await RawClient.connect(to: running.address)
                        try await late.awaitClose()
                    }
                }
                try await busy.send(Gate.open)
                let response = try await busy.receiveResponse()
                #expect(response.text == "draining")
                #expect(response["connection"] == "close")
                #expect(try await busy.receiveToEnd().isEmpty)
            }
        )
    }

    /// What is still going on when the grace period ends is dropped; so it is at a second signal.
    @Test(arguments: [true, false])
    func endOfGrace(bySignal: Bool) async throws {
        let gate = Gate()
        try await TestExecutor.withExecutor { _ in
            var configuration = Server.Configuration()
            configuration.gracePeriod = bySignal ? .seconds(3_600) : .milliseconds(20)
            var listeners = Listeners()
            listeners.add(try loopback())
            let service = httpService(ClosureServer { try await gate.serve($0) }, listeners: listeners, threadCount: 1)
            try await withService(service, configuration: configuration) { running in
                let busy = try await RawClient.connect(to: running.address)
                try await busy.send(Gate.begin)
                try await gate.diary.wait(for: "began /wait")
                running.signals.send(.gracefulShutdown)
                if bySignal { running.signals.send(.gracefulShutdown) }
                try await busy.awaitClose()
            }
        }
    }

    /// A fast end drops what is going on.
    @Test func fastEnd() async throws {
        let gate = Gate()
        try await withServer(
            serve: { try await gate.serve($0) },
            { running in
                let busy = try await RawClient.connect(to: running.address)
                try await busy.send(Gate.begin)
                try await gate.diary.wait(for: "began /wait")
                running.signals.send(.fastShutdown)
                try await busy.awaitClose()
            }
        )
    }

    /// Cancelling the task that a server runs in ends it as a fast signal does.
    @Test func cancelled() async throws {
        try await TestExecutor.withExecutor { _ in
            let diary = Diary()
            let server = Server(logger: silentLogger)
            await server.add(NotedService("a", diary))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: ManualSignals()) }
                try await diary.wait(for: "a runs")
                group.cancelAll()
                try? await group.waitForAll()
            }
            #expect(diary.lines == ["a prepared", "a runs", "a cancelled"])
        }
    }

    @Test func backgroundService() async throws {
        try await TestExecutor.withExecutor { _ in
            let diary = Diary()
            let server = Server(logger: silentLogger)
            await server.add(
                BackgroundService(name: "background") { context in
                    diary.note("runs")
                    let whole = await context.sleep(for: .seconds(3_600))
                    diary.note(whole ? "slept" : "woken")
                }
            )
            let signals = ManualSignals()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                try await diary.wait(for: "runs")
                signals.send(.gracefulShutdown)
                try await group.waitForAll()
            }
            #expect(diary.lines == ["runs", "woken"])
        }
    }
}
