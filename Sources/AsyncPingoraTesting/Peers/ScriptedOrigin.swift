public import AsyncTransport
internal import Glibc

/// A server on a port of the kernel's choice that does with each connection what a script says, and remembers what it saw.
///
/// Made by ``withScriptedOrigin(_:at:listener:tls:_:)``, on the worker of the calling task.
public final class ScriptedOrigin: Sendable {
    /// Where it listens, with the port that the kernel gave.
    public let address: SocketAddress
    private let listener: ListeningSocket
    private let script: OriginScript
    private let tls: TLSAcceptor?
    private let log = Lock(Log())

    private struct Log {
        var connectionCount = 0
        var openCount = 0
        var requests: [RawMessage] = []
        var failures: [any Error] = []
        var waiting: [ObjectIdentifier: Parker] = [:]
    }

    init(address: SocketAddress, options: ListenerOptions, tls: TLSAcceptor?, script: OriginScript) throws {
        listener = try ListeningSocket(address: address, options: options)
        self.address = listener.address
        self.script = script
        self.tls = tls
    }

    /// How many connections it has accepted.
    public var connectionCount: Int { log.withLock { $0.connectionCount } }

    /// How many connections are open now.
    public var openConnectionCount: Int { log.withLock { $0.openCount } }

    /// How many request heads it has received.
    public var requestCount: Int { log.withLock { $0.requests.count } }

    /// The request heads it has received, in order, without bodies.
    public var requests: [RawMessage] { log.withLock { $0.requests } }

    /// What scripts have thrown, but for the cancellation at the end of the scope.
    public var failures: [any Error] { log.withLock { $0.failures } }

    /// Waits until `condition` holds, looking again after each connection, request and close.
    ///
    /// - Throws: ``TestPeerError`` when it does not within `timeout`, or the task is cancelled.
    public func wait(
        atMost timeout: Duration = .seconds(120),
        until condition: (ScriptedOrigin) -> Bool
    ) async throws {
        try RawConnection.requireWorker()
        let deadline = Deadline.after(timeout)
        try await withParker { parker in
            log.withLock { $0.waiting[ObjectIdentifier(parker)] = parker }
            defer { log.withLock { $0.waiting[ObjectIdentifier(parker)] = nil } }
            while !condition(self) {
                if parker.isCancelled || deadline.hasPassed {
                    throw TestPeerError(
                        "the origin did not get there: \(connectionCount) connections, \(requestCount) requests"
                    )
                }
                await parker.park(until: deadline)
            }
        }
    }

    func note(request: RawMessage) {
        change { $0.requests.append(request) }
    }

    /// Has those look again who wait for a connection to be handed over.
    func noteArrival() {
        change { _ in }
    }

    private func change(_ body: (inout Log) -> Void) {
        let waiting = log.withLock { (log: inout Log) in
            body(&log)
            return Array(log.waiting.values)
        }
        for parker in waiting { parker.unpark() }
    }

    // MARK: - Running

    /// Accepts until cancelled; all connections have ended when it returns.
    func run() async {
        await withParker { parker in
            do {
                try listener.register(parker: parker)
                await withDiscardingTaskGroup { group in
                    await accept(parker: parker) { socket in
                        let index = log.withLock { (log: inout Log) in
                            defer {
                                log.connectionCount += 1
                                log.openCount += 1
                            }
                            return log.connectionCount
                        }
                        change { _ in }
                        group.addTask { await self.serve(socket, index: index) }
                    }
                    group.cancelAll()
                }
            } catch {
                change { $0.failures.append(error) }
            }
        }
        listener.close()
        // SAFETY: the path is passed as a C string for the length of the call.
        if let path = address.unixPath { _ = unsafe unlink(path) }
    }

    private func accept(
        parker: Parker,
        _ start: (AcceptedSocket) -> Void
    ) async {
        while !parker.isCancelled {
            do {
                switch try listener.tryAccept() {
                case .connection(let socket): start(socket)
                case .wouldBlock: await parker.park()
                }
            } catch {
                // Out of descriptors, most likely: try again once some may have been closed.
                change { $0.failures.append(error) }
                await parker.park(until: .after(.milliseconds(20)))
            }
        }
    }

    private func serve(_ socket: AcceptedSocket, index: Int) async {
        do {
            guard let socket = try socket.open() else { return }
            let stream = try await secure(socket)
            let connection = OriginConnection(stream: stream, index: index, origin: self)
            defer { connection.close() }
            try await script.run(connection)
        } catch {
            let isCancellation = (error as? TransportError)?.isCancellation ?? (error is CancellationError)
            if !isCancellation { change { $0.failures.append(error) } }
        }
        change { $0.openCount -= 1 }
    }

    private func secure(_ socket: SocketStream) async throws -> any ByteStream {
        guard let tls else { return socket }
        return try await withParker { parker in
            socket.attach(to: parker)
            let stream = try await tls.accept(socket)
            stream.attach(to: nil)
            return stream
        }
    }
}

/// Runs `body` while an origin serves connections by `script`, and leaves nothing of the origin behind.
///
///     try await TestExecutor.withExecutor { _ in
///         try await withScriptedOrigin(.ok("hello")) { origin in
///             let client = try await RawClient.connect(to: origin.address)
///             let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
///             #expect(response.text == "hello")
///             #expect(origin.requestCount == 1)
///         }
///     }
///
/// - Parameters:
///   - script: what to do with each connection.
///   - address: where to listen; nil is 127.0.0.1 with a port of the kernel's choice.
///   - listener: options of the listening socket and of what it accepts.
///   - tls: encrypts its connections; nil leaves them in the clear.
///   - body: what to do meanwhile, on the same worker.
/// - Returns: what `body` returns.
/// - Throws: ``/AsyncTransport/TransportError`` when the address cannot be bound; ``TestPeerError`` when the calling task is not on a worker; else
///   what `body` throws.
public func withScriptedOrigin<Result>(
    _ script: OriginScript,
    at address: SocketAddress? = nil,
    listener: ListenerOptions = ListenerOptions(),
    tls: TLSAcceptor? = nil,
    _ body: nonisolated(nonsending) (ScriptedOrigin) async throws -> Result
) async throws -> Result {
    try RawConnection.requireWorker()
    guard let address = address ?? SocketAddress(host: "127.0.0.1", port: 0) else {
        throw TestPeerError("no loopback address")
    }
    let origin = try ScriptedOrigin(address: address, options: listener, tls: tls, script: script)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await origin.run() }
        defer { group.cancelAll() }
        return try await body(origin)
    }
}
