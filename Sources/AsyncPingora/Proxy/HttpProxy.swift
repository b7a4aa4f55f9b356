public import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs
public import Logging
internal import Synchronization

/// Runs a ``ProxyHttp`` on the requests of a service: the app of a proxy service.
public final class HttpProxy<Proxy: ProxyHttp>: HttpServerApp {
    /// The user's logic.
    public let proxy: Proxy
    /// Where connections to upstreams come from.
    public let connector: Connector
    let upgrades: UpgradePolicy
    /// The most upstream attempts per request, the first one included; may be changed at any time, from any thread.
    public var maximumAttempts: Int {
        get { attemptLimit.load(ordering: .relaxed) }
        set { attemptLimit.store(newValue, ordering: .relaxed) }
    }
    private let attemptLimit: Atomic<Int>
    let logger: Logger
    private let modules: HttpModules
    private let callbacks = CallbackProfile(of: Proxy.self)

    /// Makes the app.
    ///
    /// - Parameters:
    ///   - proxy: the user's logic.
    ///   - connector: shared by all workers of the service.
    ///   - options: limits on attempts, and what is passed on.
    ///   - logger: gets a line for each failed attempt and request.
    public init(
        _ proxy: Proxy,
        connector: Connector,
        options: HttpProxyOptions = HttpProxyOptions(),
        logger: Logger = Logger(label: "AsyncPingora.HttpProxy")
    ) {
        self.proxy = proxy
        self.connector = connector
        upgrades = options.upgrades
        attemptLimit = Atomic(options.maximumAttempts)
        self.logger = logger
        var modules = HttpModules()
        proxy.initDownstreamModules(&modules)
        self.modules = modules
    }

    /// Closes idle upstream connections as they expire or die, for as long as the service runs.
    public func runAlongside() async {
        await connector.maintain()
    }

    /// Where connections to upstreams come from.
    public var upstreams: Connector? { connector }

    /// Serves one request.
    public func process(_ session: Session, connection: HttpConnectionContext) async {
        session.use(callbacks)
        if !modules.isEmpty { session.modules = modules.makeContext() }
        var context = proxy.newContext()
        if let previous = connection.persisted {
            connection.persisted = nil
            proxy.onConnectionReuse(session, context: &context, previous: previous)
        }
        do throws(PingoraError) {
            if try await runFilters(session, context: &context) == .forward {
                repeat { try await attempt(session, context: &context) } while session.wantsAnotherAttempt
            }
        } catch {
            session.failure = error
            await fail(session, error: error, context: &context)
        }
        if !session.defaults.contains(.logging) {
            await proxy.logging(session, error: session.failure, context: &context)
        }
        if session.downstream.keepsAlive {
            connection.persisted = proxy.persistConnectionContext(session, context: context)
        }
    }

    private func runFilters(
        _ session: Session,
        context: inout Proxy.Context
    ) async throws(PingoraError) -> RequestDisposition {
        let defaults = session.defaults
        if defaults.isSuperset(of: [.earlyRequestFilter, .requestFilter, .proxyUpstreamFilter]), session.modules.isEmpty
        {
            session.timings.filterNothing()
            return .forward
        }
        do {
            try await proxy.earlyRequestFilter(session, context: &context)
            if !session.modules.isEmpty { try await session.modules.filterRequestHeader(&session.request) }
            if try await proxy.requestFilter(session, context: &context) == .responded {
                try requireResponse(session)
                return .responded
            }
            if try await proxy.proxyUpstreamFilter(session, context: &context) {
                session.timings.note(.filtered)
                return .forward
            }
            if session.responseStatus == nil {
                throw PingoraError(.httpStatus(502), context: "proxyUpstreamFilter declined")
            }
            try requireResponse(session)
            return .responded
        } catch {
            throw PingoraError(callback: error)
        }
    }

    private func requireResponse(_ session: Session) throws(PingoraError) {
        guard session.downstream.isResponseComplete else {
            throw PingoraError(
                .noResponse,
                context: "requestFilter says that it responded, but the response is not complete"
            )
        }
    }

    /// Asks one upstream.
    ///
    /// A failure that may be tried again is noted in the session; any other is thrown.
    private func attempt(_ session: Session, context: inout Proxy.Context) async throws(PingoraError) {
        session.beginAttempt()
        let peer: HttpPeer
        do {
            peer = try await proxy.upstreamPeer(session, context: &context)
        } catch {
            throw PingoraError(callback: error)
        }
        session.upstreamPeer = peer
        session.timings.note(.peerChosen)
        session.trace?.beginAttempt(session, peer: peer)
        do throws(PingoraError) {
            let parker = session.downstream.parker
            let lease: Connector.Lease
            if let pooled = connector.leasePooled(peer, parker: parker) {
                lease = pooled
                session.timings.takePooled()
            } else {
                lease = try await connect(to: peer, session: session, context: &context)
                session.timings.note(.connected)
            }
            session.isUpstreamReused = lease.isReused
            try await use(lease, session: session, peer: peer, context: &context)
            session.trace?.endAttempt(session, error: nil)
        } catch {
            session.trace?.endAttempt(session, error: error)
            guard mayTryAgain(session, after: error) else { throw error }
            session.wantsAnotherAttempt = true
        }
    }

    @inline(never)
    private func mayTryAgain(_ session: Session, after error: PingoraError) -> Bool {
        guard error.retry == .decided(true), session.attemptCount < maximumAttempts,
            session.responseStatus == nil, session.canReplayRequest
        else { return false }
        session.attemptFailures.append(error)
        logger.warning("attempt \(session.attemptCount) failed, trying again: \(error)", metadata: session.logMetadata)
        return true
    }

    @inline(never)  // a frame of its own: it is seldom needed
    private func connect(
        to peer: HttpPeer,
        session: Session,
        context: inout Proxy.Context
    ) async throws(PingoraError) -> Connector.Lease {
        let isAbandoned = { session.abortsOnClose && session.downstream.isHungUp }
        do throws(PingoraError) {
            return try await connector.connect(peer, parker: session.downstream.parker, isAbandoned: isAbandoned)
        } catch {
            if error.kind == .cancelled { throw isAbandoned() ? .clientGone : error }
            throw proxy.failToConnect(
                session,
                peer: peer,
                error: error.adding(context: "peer \(peer)"),
                context: &context
            )
        }
    }

    private func use(
        _ lease: Connector.Lease,
        session: Session,
        peer: HttpPeer,
        context: inout Proxy.Context
    ) async throws(PingoraError) {
        do throws(PingoraError) {
            try await exchange(session, lease: lease, peer: peer, context: &context)
        } catch {
            noteEnd(of: lease.session, session)
            connector.discard(lease, peer: peer, after: error)
            throw proxy.errorWhileProxy(
                session,
                peer: peer,
                error: error.adding(context: "peer \(peer)"),
                isReused: lease.isReused,
                context: &context
            )
        }
        connector.release(lease, peer: peer)
    }

    @inline(never)  // what it looks at would otherwise stay in the frame of its caller
    private func noteEnd(of upstream: any UpstreamSession, _ session: Session) {
        session.hasSentToUpstream = upstream.hasSentBytes
        session.upstreamBodyBytesReceived = upstream.bodyBytesReceived
    }

    /// Tells the client about a failure as far as that is still possible, and the log.
    @inline(never)  // a frame of its own: it is seldom needed
    private func fail(_ session: Session, error: PingoraError, context: inout Proxy.Context) async {
        let downstream = session.downstream
        downstream.withdrawHead()
        var status = 0
        if error.kind == .cancelled {
            downstream.abort()
        } else {
            let decision = await proxy.failToProxy(session, error: error, context: &context)
            status = decision.status
            if !decision.canReuseDownstream { downstream.keepsAlive = false }
            await session.answer(status: status)
        }
        // What came before the failure still gets there, if the client takes it now; its end does not.
        if !downstream.isResponseComplete { _ = try? downstream.flush() }
        if !downstream.isResponseComplete || downstream.pendingByteCount > 0 { downstream.abort() }
        if !proxy.suppressErrorLog(session, error: error, context: context) {
            let summary = proxy.requestSummary(session, context: context)
            // A client that leaves is everyday business.
            let level: Logger.Level = error.source == .downstream && status == 0 ? .debug : .error
            logger.log(
                level: level,
                "\(error), status: \(status), tries: \(session.attemptCount), \(summary)",
                metadata: session.logMetadata
            )
        }
    }
}

/// How a proxy service treats requests.
public struct HttpProxyOptions: Sendable {
    /// The most upstream attempts per request, the first one included.
    ///
    /// Default 16.
    public var maximumAttempts = 16
    /// Which upgrades are passed on.
    ///
    /// Default any but h2c.
    public var upgrades = UpgradePolicy.any

    /// Makes the defaults.
    public init() {}
}
