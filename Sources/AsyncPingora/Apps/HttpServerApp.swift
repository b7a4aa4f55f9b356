public import AsyncConnectors
public import AsyncTransport
internal import HTTPCodecs
public import Logging
public import Tracing

/// What the exchanges of one connection share.
public final class HttpConnectionContext {
    /// What the app kept for the connection's next request.
    public var persisted: (any Sendable)?

    init() {}
}

/// An app that serves HTTP exchanges: ``HttpProxy``, or a ``ServeHttp`` through ``HttpServer``.
public protocol HttpServerApp: Sendable {
    /// Serves one exchange. When it returns, the response is complete or the exchange has been given up.
    func process(_ session: Session, connection: HttpConnectionContext) async

    /// Runs beside the listeners for as long as the service does.
    func runAlongside() async

    /// Where its upstream connections come from; nil if it has none.
    var upstreams: Connector? { get }
}

extension HttpServerApp {
    /// Returns at once.
    public func runAlongside() async {}
    /// Has no upstream connections.
    public var upstreams: Connector? { nil }
}

/// What a listener does with a connection.
///
/// ``HttpApp`` is the one for HTTP.
public protocol ServerApp: Sendable {
    /// Serves a connection until it ends, or until it has nothing to do for a while.
    func process(_ connection: ServerConnection) async -> ConnectionOutcome

    /// Runs beside the listeners for as long as the service does.
    func runAlongside() async

    /// What the service is measured with; nil leaves it unmeasured.
    var metrics: ServiceMetrics? { get }

    /// Where its upstream connections come from; nil if it has none.
    var upstreams: Connector? { get }

    /// Is called when the last connection of the service has ended.
    func serviceEnded()
}

/// Why an app returns from a connection.
public enum ConnectionOutcome: Sendable {
    /// It is over: the listener closes it.
    case ended
    /// It is idle: the app is called again, in a new task, when the client sends something, at the deadline, or when the service ends.
    ///
    /// The app keeps what it needs in ``ServerConnection/appState``.
    case idle(until: Deadline)
}

extension ServerApp {
    /// Returns at once.
    public func runAlongside() async {}
    /// Is not measured.
    public var metrics: ServiceMetrics? { nil }
    /// Has no upstream connections.
    public var upstreams: Connector? { nil }
    /// Does nothing.
    public func serviceEnded() {}
}

/// A connection that a listener has accepted.
///
/// Belongs to the task that serves it.
public final class ServerConnection {
    package internal(set) var stream: any ByteStream
    package let parker: Parker
    package let drain: DrainState
    /// What the app keeps while the connection is idle and no task serves it.
    public var appState: AnyObject?

    package init(stream: any ByteStream, parker: Parker, drain: DrainState) {
        self.stream = stream
        self.parker = parker
        self.drain = drain
        stream.attach(to: parker)
    }

    /// The client's address; nil when the kernel does not tell.
    public var clientAddress: SocketAddress? { stream.peerAddress }
    /// The address that the client connected to.
    public var serverAddress: SocketAddress? { stream.localAddress }
    /// What was agreed on in the TLS handshake; nil in the clear.
    public var tls: TLSDigest? { stream.tls }
    /// Whether the service is ending gracefully.
    public var isShuttingDown: Bool { drain.isDraining }

    /// Returns the next bytes, waiting for them; nil at the end of the stream.
    public func read(timeout: Duration? = nil) async throws -> Bytes? {
        let buffer = IOBuffer()
        guard try await stream.read(into: buffer, deadline: .after(timeout)) else { return nil }
        return Bytes(of: buffer, 0..<buffer.count)
    }

    /// Writes all of `bytes`, waiting for the client to take them.
    public func write(_ bytes: Bytes, timeout: Duration? = nil) async throws {
        var queue = OutputQueue()
        queue.append(bytes)
        try await stream.write(&queue, deadline: .after(timeout))
    }
}

/// Serves a connection as HTTP: one exchange after another, each passed to an ``HttpServerApp``.
public struct HttpApp<App: HttpServerApp>: ServerApp {
    /// The app that gets the exchanges.
    public let app: App
    /// How connections are timed, limited and kept.
    public var options: HttpServerOptions { optionsSource.current.options }
    /// What the service is measured with; nil leaves it unmeasured.
    public let metrics: ServiceMetrics?
    let optionsSource: ServerOptionsSource
    private let observers: [any ExchangeObserver]
    private let tracing: TracerSource
    private let logger: Logger

    /// Makes an app for a listening service.
    ///
    /// - Parameters:
    ///   - app: what gets the exchanges.
    ///   - options: how connections are timed, limited and kept.
    ///   - observers: who is told of each exchange when it has ended.
    ///   - metrics: what the service is measured with; nil leaves it unmeasured.
    ///   - tracer: what traces the exchanges; nil takes the one that the program has bootstrapped when the first comes, if it has.
    ///   - logger: where requests that cannot be read are logged, and what ``Session/logger`` is made of.
    public init(
        _ app: App,
        options: HttpServerOptions = HttpServerOptions(),
        observers: [any ExchangeObserver] = [],
        metrics: ServiceMetrics? = nil,
        tracer: (any Tracer)? = nil,
        logger: Logger = Logger(label: "AsyncPingora.HttpApp")
    ) {
        self.app = app
        optionsSource = ServerOptionsSource(options, logger: logger)
        tracing = TracerSource(tracer)
        self.metrics = metrics
        self.observers = if let metrics { observers + [metrics] } else { observers }
        self.logger = logger
    }

    /// Replaces the options while the service runs: requests, and HTTP/2 connections, that begin from now on are served by them.
    ///
    /// From any thread. A session whose options a filter has set keeps those.
    public func replaceOptions(_ options: HttpServerOptions) {
        optionsSource.replace(options)
    }

    /// Runs what the app and its observers run beside the listeners.
    public func runAlongside() async {
        await withDiscardingTaskGroup { group in
            for observer in observers { group.addTask { await observer.runAlongside() } }
            await app.runAlongside()
        }
    }

    /// Tells the observers.
    public func serviceEnded() {
        for observer in observers { observer.serviceEnded() }
    }

    /// Where the app's upstream connections come from.
    public var upstreams: Connector? { app.upstreams }

    /// Serves the connection's exchanges in order.
    public func process(_ connection: ServerConnection) async -> ConnectionOutcome {
        if connection.tls?.applicationProtocol == .http2 {
            await serveHTTP2(connection, input: MessageInput())
            return .ended
        }
        let state = state(of: connection)
        let downstream = state.session
        serving: while true {
            // Between requests the task parks here, at the top: it keeps no more of its stack than this.
            switch downstream.pollRequest() {
            case .wait(let deadline):
                await connection.parker.park(until: deadline)
            case .idle(let deadline):
                return .idle(until: deadline)
            case .request:
                await serve(downstream, connection: state.context, drain: connection.drain)
                guard downstream.endExchange() else { break serving }
                if !downstream.isRequestBodyComplete, await !downstream.drainRequestBody() { break serving }
            case .refused(let error):
                await refuse(downstream, error: error, drain: connection.drain)
                break serving
            case .http2:
                await serveHTTP2(connection, input: downstream.takeInput())
                return .ended
            case .closed:
                break serving
            }
        }
        await downstream.close()
        return .ended
    }

    /// Serves one exchange, whatever its version.
    func serve(_ downstream: any DownstreamSession, connection: HttpConnectionContext, drain: DrainState) async {
        let session = Session(downstream: downstream, drain: drain)
        observers.begin(session)
        if let tracer = tracing.tracer {
            await serve(session, connection: connection, tracer: tracer)
        } else if refusesConnect(session) {
            await refuseConnect(session)
        } else {
            await app.process(session, connection: connection)
        }
        observers.end(session)
    }

    @inline(never)  // a frame of its own: it is not needed without a tracer
    private func serve(_ session: Session, connection: HttpConnectionContext, tracer: any Tracer) async {
        let trace = ExchangeTrace(tracer, session)
        session.trace = trace
        await InstrumentationContext.$current.withValue(trace.context) {
            if refusesConnect(session) {
                await refuseConnect(session)
            } else {
                await app.process(session, connection: connection)
            }
        }
        trace.end(session)
    }

    private func refusesConnect(_ session: Session) -> Bool {
        session.downstream.requestMethod == .connect && !session.options.allowsConnect
    }

    private func refuseConnect(_ session: Session) async {
        session.disableKeepAlive()
        await session.answer(status: 405)
    }

    private func state(of connection: ServerConnection) -> HTTP1ConnectionState {
        if let state = connection.appState as? HTTP1ConnectionState { return state }
        let session = HTTP1ServerSession(
            stream: connection.stream,
            parker: connection.parker,
            options: optionsSource,
            drain: connection.drain
        )
        let state = HTTP1ConnectionState(session: session)
        connection.appState = state
        return state
    }

    /// Answers a request that could not be read.
    private func refuse(_ downstream: HTTP1ServerSession, error: PingoraError, drain: DrainState) async {
        let status = ErrorResponse.status(for: error)
        guard status > 0 else {
            downstream.abort()
            return
        }
        logger.debug(
            "refused a request with \(status): \(error)",
            metadata: downstream.clientAddress.map { ["client": .string("\($0)")] }
        )
        downstream.keepsAlive = false
        let session = Session(downstream: downstream, drain: drain)
        session.failure = error
        observers.begin(session)
        await session.answer(status: status)
        observers.end(session)
    }
}

/// What an HTTP/1.1 connection has of its own from request to request.
private final class HTTP1ConnectionState {
    let session: HTTP1ServerSession
    let context = HttpConnectionContext()

    init(session: HTTP1ServerSession) {
        self.session = session
    }
}
