import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// A plain server on one connection in memory, whose clock the test moves.
private struct ManualConnection {
    let executor: ManualExecutor
    let client: MemoryStream
    let pending: PendingTask<Void>
    let app: HttpApp<HttpServer<ClosureServer>>
    private let drain = DrainState()

    init(
        options: HttpServerOptions,
        capacity: Int = 65_536,
        serve: @escaping @Sendable (Session) async throws -> Void
    ) throws {
        executor = try ManualExecutor()
        let (near, far) = MemoryStream.makePair(capacity: capacity)
        client = far
        app = HttpApp(
            HttpServer(ClosureServer(body: serve), logger: silentLogger),
            options: options,
            logger: silentLogger
        )
        pending = executor.start { [app, drain] in
            await withParker { parker in
                let connection = ServerConnection(stream: near, parker: parker, drain: drain)
                // What the accept loop does: an idle connection gets a task again at its deadline.
                drain.add(parker)
                defer { drain.remove(parker) }
                while case .idle(let deadline) = await app.process(connection) { await parker.park(until: deadline) }
                near.close(reset: false)
            }
        }
        executor.runUntilIdle()
    }

    /// What a service does when it begins to end; the task has yet to notice.
    func beginDraining() {
        drain.begin()
    }

    func send(_ text: String) {
        client.put(text)
        executor.runUntilIdle()
    }

    /// What has come since the last time.
    func received() -> String {
        let text = String(decoding: client.takeAvailable(), as: UTF8.self)
        executor.runUntilIdle()
        return text
    }

    func advance(seconds: Double) {
        executor.advance(by: .milliseconds(Int(seconds * 1_000)))
    }
}

@Suite("No client keeps a connection longer than its deadlines allow", .serialized, .timeLimit(.minutes(5)))
struct DeadlineTests {
    private static let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let answer: @Sendable (Session) async throws -> Void = { session in
        var size = 0
        while let bytes = try await session.readRequestBody() { size += bytes.count }
        try await session.respond(.ok, body: Bytes("\(size)"))
    }

    private static var options: HttpServerOptions {
        var options = HttpServerOptions()
        options.requestHeadTimeout = .seconds(10)
        options.keepAliveTimeout = .seconds(20)
        options.bodyReadTimeout = .seconds(5)
        options.writeTimeout = .seconds(3)
        options.lingeringTimeout = .seconds(2)
        return options
    }

    /// The whole head counts, not each byte: dripping buys no time.
    @Test func wholeHead() throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        connection.advance(seconds: 15)
        for byte in "GET / HTT" {
            connection.send(String(byte))
            connection.advance(seconds: 1)
        }
        connection.advance(seconds: 0.5)
        #expect(connection.received().isEmpty)
        connection.send("P")
        connection.advance(seconds: 1)
        let head = RawMessage(head: connection.received())
        #expect(head.status == 408)
        #expect(head["connection"] == "close")
        connection.advance(seconds: 3)
        #expect(connection.pending.isFinished)
        #expect(connection.client.isAtEnd && !connection.client.isReset)
    }

    @Test func headInTime() throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        for _ in 0..<3 {
            connection.send("GET / HTTP/1.1\r\n")
            connection.advance(seconds: 9)
            connection.send("Host: a\r\n\r\n")
            #expect(RawMessage(head: connection.received()).status == 200)
            // The time between requests does not count for the head.
            connection.advance(seconds: 15)
        }
        #expect(!connection.pending.isFinished)
    }

    /// Options that are replaced hold for what begins afterwards, also on connections that are there.
    @Test func replacedOptions() throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        var options = Self.options
        options.requestHeadTimeout = .seconds(1)
        options.keepAliveTimeout = .seconds(2)
        options.limits.maximumTargetBytes = 10
        connection.app.replaceOptions(options)
        #expect(connection.app.options.keepAliveTimeout == .seconds(2))
        // The request under way goes by the old ones.
        connection.advance(seconds: 4.5)
        connection.send("ab")
        #expect(RawMessage(head: connection.received()).status == 200)
        // As does the wait after it; the next request and the wait after that one go by the new ones.
        connection.advance(seconds: 15)
        connection.send(Self.request)
        #expect(RawMessage(head: connection.received()).status == 200)
        connection.send("GET /0123456789 HTTP/1.1\r\n")
        #expect(RawMessage(head: connection.received()).status == 414)
        connection.advance(seconds: 3)
        #expect(connection.pending.isFinished)
    }

    @Test func replacedHeadTimeout() throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        var options = Self.options
        options.requestHeadTimeout = .seconds(1)
        connection.app.replaceOptions(options)
        connection.send("GET")
        connection.advance(seconds: 1.1)
        #expect(RawMessage(head: connection.received()).status == 408)
    }

    /// A connection without a request ends quietly, whether or not it has carried one.
    @Test(arguments: [0, 1, 2])
    func idle(requestCount: Int) throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        for _ in 0..<requestCount {
            connection.send(Self.request)
            #expect(RawMessage(head: connection.received()).status == 200)
        }
        connection.advance(seconds: 19)
        #expect(!connection.pending.isFinished)
        connection.advance(seconds: 1.1)
        #expect(connection.pending.isFinished)
        #expect(connection.received().isEmpty)
        #expect(connection.client.isAtEnd && !connection.client.isReset)
    }

    /// Each piece of a body restarts its clock; silence ends in 408.
    @Test(arguments: ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n64\r\n"])
    func body(framing: String) throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        connection.send("POST / HTTP/1.1\r\nHost: a\r\n" + framing)
        for _ in 0..<9 {
            connection.advance(seconds: 4)
            connection.send("0123456789")
        }
        #expect(connection.received().isEmpty)
        connection.advance(seconds: 5.1)
        let head = RawMessage(head: connection.received())
        #expect(head.status == 408)
        #expect(head["connection"] == "close")
        connection.advance(seconds: 3)
        #expect(connection.pending.isFinished)
    }

    private static let large: @Sendable (Session) async throws -> Void = { session in
        try await session.respond(.ok, body: Bytes([UInt8](repeating: 120, count: 20_000)))
    }

    @Test func nothingTaken() throws {
        let connection = try ManualConnection(options: Self.options, capacity: 1_000, serve: Self.large)
        connection.send(Self.request)
        connection.advance(seconds: 2.9)
        #expect(!connection.pending.isFinished)
        connection.advance(seconds: 0.3)
        #expect(connection.pending.isFinished)
    }

    /// Without a minimum rate, taking something now and then is enough.
    @Test func slowlyTaken() throws {
        let connection = try ManualConnection(options: Self.options, capacity: 1_000, serve: Self.large)
        connection.send(Self.request)
        var size = 0
        for _ in 0..<30 where size < 20_000 {
            size += connection.received().utf8.count
            connection.advance(seconds: 2.5)
        }
        #expect(size >= 20_000)
        #expect(!connection.pending.isFinished)
    }

    /// With one it is not: 20 KB at 2,000 bytes per second may take 10 seconds.
    @Test(arguments: [(500, false), (1_900, false), (2_500, true)])
    func minimumRate(bytesPerSecond: Int, isFastEnough: Bool) throws {
        var options = Self.options
        options.minimumSendRate = 2_000
        let connection = try ManualConnection(options: options, capacity: bytesPerSecond / 2, serve: Self.large)
        connection.send(Self.request)
        var size = 0
        for _ in 0..<100 where !connection.pending.isFinished && size < 20_000 {
            connection.advance(seconds: 0.5)
            size += connection.received().utf8.count
        }
        #expect((size >= 20_000) == isFastEnough)
        #expect(connection.pending.isFinished != isFastEnough)
    }

    /// What has been asked for when a service begins to end is answered, on the last occasion; who has not asked is sent away.
    @Test(arguments: [0, 1], [true, false])
    func draining(requestCount: Int, hasAsked: Bool) throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        for _ in 0..<requestCount {
            connection.send(Self.request)
            #expect(RawMessage(head: connection.received())["connection"] == "keep-alive")
        }
        if hasAsked { connection.client.put(Self.request) }
        connection.beginDraining()
        connection.executor.runUntilIdle()
        let head = RawMessage(head: connection.received())
        #expect(head.status == (hasAsked ? 200 : nil))
        #expect(head["connection"] == (hasAsked ? "close" : nil))
        // It may have asked for more, so it is heard out; then that is the end.
        #expect(connection.pending.isFinished != hasAsked)
        connection.client.closeWrite()
        connection.executor.runUntilIdle()
        #expect(connection.pending.isFinished)
    }

    /// A client that does not stop sending is not heard out forever.
    @Test func lingering() throws {
        let connection = try ManualConnection(options: Self.options, serve: Self.answer)
        connection.send("BROKEN\r\n\r\n")
        #expect(RawMessage(head: connection.received()).status == 400)
        connection.send("more")
        connection.advance(seconds: 1.5)
        #expect(!connection.pending.isFinished)
        connection.send("more")
        connection.advance(seconds: 1)
        #expect(connection.pending.isFinished)
    }
}
