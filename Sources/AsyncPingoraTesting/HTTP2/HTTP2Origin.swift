public import AsyncTransport
public import HTTPCodecs

/// An HTTP/2 server whose connections the test itself takes and serves, in whatever order it likes.
///
/// Made by ``withHTTP2Origin(_:)``.
public final class HTTP2Origin: Sendable {
    /// What keeps count of connections and requests.
    public let origin: ScriptedOrigin
    private let arrivals: Arrivals

    fileprivate init(origin: ScriptedOrigin, arrivals: Arrivals) {
        self.origin = origin
        self.arrivals = arrivals
    }

    /// Where it listens.
    public var address: SocketAddress { origin.address }

    /// Takes the next connection, waiting for one.
    ///
    /// - Parameter settings: What the client is told.
    /// - Returns: The connection, on which nothing has been read or written.
    /// - Throws: ``TestPeerError`` when none comes in time.
    public func accept(settings: HTTP2.Settings = HTTP2.Settings()) async throws -> RawHTTP2Connection {
        RawHTTP2Connection(on: try await acceptRaw(), role: .server, settings: settings)
    }

    /// Takes the next connection, waiting for one, to serve it without HTTP/2.
    ///
    /// - Throws: ``TestPeerError`` when none comes in time.
    public func acceptRaw() async throws -> OriginConnection {
        var taken: OriginConnection?
        try await origin.wait { _ in
            taken = arrivals.take()
            return taken != nil
        }
        guard let taken else { throw TestPeerError("no connection has come") }
        return taken
    }
}

/// Connections on their way from the origin's tasks to the test's.
private final class Arrivals: @unchecked Sendable {
    // SAFETY: the connections are kept under the lock. The task that has accepted one does not touch it any more until its scope ends,
    // when whoever took it has returned.
    private var waiting: [OriginConnection] = []
    private let lock = Lock(())

    func add(_ connection: OriginConnection) {
        lock.withLock { (_: inout Void) in waiting.append(connection) }
    }

    func take() -> OriginConnection? {
        lock.withLock { (_: inout Void) in waiting.isEmpty ? nil : waiting.removeFirst() }
    }
}

/// Runs `body` with an HTTP/2 origin whose connections it serves by hand.
///
///     try await withHTTP2Origin { origin in
///         let client = try await RawHTTP2Connection.connect(to: origin.address)
///         let stream = try await client.request("GET", "/")
///         let server = try await origin.accept()
///         try await server.respond(to: try await server.nextRequest(), body: Array("hello".utf8))
///         let exchange = try await client.finish(stream)
///         #expect(exchange.text == "hello")
///     }
///
/// - Throws: `TransportError` when no address can be bound; ``TestPeerError`` when the calling task is not on a worker; else what
///   `body` throws.
public func withHTTP2Origin<Result>(
    _ body: nonisolated(nonsending) (HTTP2Origin) async throws -> Result
) async throws -> Result {
    let arrivals = Arrivals()
    let script = OriginScript { connection in
        arrivals.add(connection)
        connection.origin.noteArrival()
        await withParker { parker in
            while !parker.isCancelled { await parker.park() }
        }
    }
    return try await withScriptedOrigin(script) { origin in
        try await body(HTTP2Origin(origin: origin, arrivals: arrivals))
    }
}

extension OriginScript {
    /// Speaks HTTP/2 on each connection.
    ///
    /// - Parameters:
    ///   - settings: What clients are told.
    ///   - run: What to do with a connection; it ends when this does.
    /// - Returns: The script.
    public static func http2(
        settings: HTTP2.Settings = HTTP2.Settings(),
        _ run: @escaping @Sendable (RawHTTP2Connection) async throws -> Void = { try await $0.answerAll() }
    ) -> OriginScript {
        OriginScript { connection in
            connection.timeout = .seconds(3_600)
            try await run(RawHTTP2Connection(on: connection, role: .server, settings: settings))
        }
    }
}
