public import AsyncConnectors
public import AsyncTransport
public import HTTPCodecs

/// What `requestFilter` decides.
public enum RequestDisposition: Sendable {
    /// Goes on to the upstream.
    case forward
    /// A response has been written; no upstream is asked.
    case responded
}

/// What a client is told after a failure.
public struct FailureResponse: Sendable {
    /// The status to answer with; 0 sends nothing.
    public var status: Int
    /// Whether the connection may go on after it, if the request was read whole.
    public var canReuseDownstream: Bool

    /// Makes a decision.
    public init(status: Int, canReuseDownstream: Bool = false) {
        self.status = status
        self.canReuseDownstream = canReuseDownstream
    }
}

/// The logic of a proxy: one type whose callbacks see each request on its way to an upstream and each response on its way back.
///
/// Only ``newContext()`` and ``upstreamPeer(_:context:)`` must be written. The callbacks of one request run one after another in the
/// task of its connection, so they share the context without any locking; those of different requests run at the same time, so what the type
/// itself holds must be `Sendable`. A callback may suspend. One that throws fails its request only: see ``failToProxy(_:error:context:)``.
///
/// Order: ``newContext()``, ``earlyRequestFilter(_:context:)``, modules, ``requestFilter(_:context:)``,
/// ``proxyUpstreamFilter(_:context:)``; then for each attempt ``upstreamPeer(_:context:)``,
/// ``connectedToUpstream(_:peer:isReused:context:)``, ``upstreamRequestFilter(_:request:context:)``, the body filters and the response
/// filters as bytes arrive; and once at the end, whatever happened, ``logging(_:error:context:)``.
public protocol ProxyHttp: Sendable {
    /// What the callbacks of one request share. Belongs to the request's task; need not be `Sendable`.
    associatedtype Context = Void

    /// Makes the context of a request.
    func newContext() -> Context

    /// Adds the modules that work on every request of the service. Called once, at start.
    func initDownstreamModules(_ modules: inout HttpModules)

    /// Sees the request before any module. Does nothing by default.
    func earlyRequestFilter(_ session: Session, context: inout Context) async throws

    /// Checks, changes or answers the request. Forwards it by default.
    func requestFilter(_ session: Session, context: inout Context) async throws -> RequestDisposition

    /// Sees each chunk of the request body on its way to the upstream, and `nil` at the end if that comes alone.
    ///
    /// Setting `body` to nil withholds the chunk. Runs again for chunks that another attempt sends again. A filter that changes the length
    /// must have removed Content-Length in `upstreamRequestFilter`.
    func requestBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws

    /// Decides whether an upstream is asked at all; false, without a response written, answers 502. True by default.
    func proxyUpstreamFilter(_ session: Session, context: inout Context) async throws -> Bool

    /// Names the upstream for the next attempt.
    func upstreamPeer(_ session: Session, context: inout Context) async throws -> HttpPeer

    /// Learns that a connection, new or reused, is there. Does nothing by default.
    func connectedToUpstream(
        _ session: Session,
        peer: HttpPeer,
        isReused: Bool,
        context: inout Context
    ) async throws

    /// Changes the request head that is about to be sent. Hop-by-hop fields have been removed. Does nothing by default.
    func upstreamRequestFilter(
        _ session: Session,
        request: inout RequestHeader,
        context: inout Context
    ) async throws

    /// Sees each response head of the upstream, informational ones too, before anything else does. Does nothing by default.
    func upstreamResponseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Context
    ) async throws

    /// Sees each chunk of the upstream's body. A returned duration delays the next step by as much. Does nothing by default.
    func upstreamResponseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws -> Duration?

    /// Sees the upstream's trailers. Does nothing by default.
    func upstreamResponseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Context
    ) async throws

    /// Changes the response head that is about to be sent to the client. Does nothing by default.
    func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Context) async throws

    /// Sees each chunk on its way to the client. A returned duration delays the next step by as much. Does nothing by default.
    ///
    /// A filter that changes the length must have removed Content-Length in `responseFilter`.
    func responseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws -> Duration?

    /// Changes the trailers for the client. What it returns is written at the end of the body. Does nothing by default.
    func responseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Context
    ) async throws -> Bytes?

    /// Decides what a failed connect means: return the error with `retry` set to try again. Unchanged by default, which does not.
    func failToConnect(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        context: inout Context
    ) -> PingoraError

    /// Decides what a failure after connecting means.
    ///
    /// By default another attempt is made only when it is safe: the connection had been used before and failed before any response byte,
    /// the request is idempotent or none of it was sent, and the body can be sent again.
    func errorWhileProxy(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        isReused: Bool,
        context: inout Context
    ) -> PingoraError

    /// Chooses the answer to a failed request, if nothing has been answered yet.
    ///
    /// By default: the status an error asks for; 502 or 504 (timeouts) for the upstream's faults; 400, 408, 413, 414, 431, 501, 505 for the
    /// client's, nothing when it has gone; 500 for our own. May write a response itself and return status 0.
    func failToProxy(_ session: Session, error: PingoraError, context: inout Context) async -> FailureResponse

    /// Whether to keep this error out of the log. False by default.
    func suppressErrorLog(_ session: Session, error: PingoraError, context: Context) -> Bool

    /// Describes the request in log lines.
    func requestSummary(_ session: Session, context: Context) -> String

    /// Runs once at the end of every request, however it ended: the place for access logs and metrics.
    func logging(_ session: Session, error: PingoraError?, context: inout Context) async

    /// Returns what the next request on this connection may know; nil, the default, for nothing. HTTP/1 only.
    func persistConnectionContext(_ session: Session, context: Context) -> (any Sendable)?

    /// Is given what ``persistConnectionContext(_:context:)`` returned for the request before. Does nothing by default.
    func onConnectionReuse(_ session: Session, context: inout Context, previous: any Sendable)
}

extension ProxyHttp where Context == Void {
    /// There is nothing to share.
    public func newContext() {}
}

extension ProxyHttp {
    /// Adds nothing.
    public func initDownstreamModules(_ modules: inout HttpModules) {}
    /// Does nothing.
    public func earlyRequestFilter(
        _ session: Session,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.earlyRequestFilter, of: Self.self)
    }
    /// Forwards the request.
    public func requestFilter(
        _ session: Session,
        context: inout Context
    ) async throws -> RequestDisposition {
        session.callbacks?.note(.requestFilter, of: Self.self)
        return .forward
    }
    /// Changes nothing.
    public func requestBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.requestBodyFilter, of: Self.self)
    }
    /// Lets the request pass.
    public func proxyUpstreamFilter(
        _ session: Session,
        context: inout Context
    ) async throws -> Bool {
        session.callbacks?.note(.proxyUpstreamFilter, of: Self.self)
        return true
    }
    /// Does nothing.
    public func connectedToUpstream(
        _ session: Session,
        peer: HttpPeer,
        isReused: Bool,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.connectedToUpstream, of: Self.self)
    }
    /// Changes nothing.
    public func upstreamRequestFilter(
        _ session: Session,
        request: inout RequestHeader,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.upstreamRequestFilter, of: Self.self)
    }
    /// Changes nothing.
    public func upstreamResponseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.upstreamResponseFilter, of: Self.self)
    }
    /// Changes nothing.
    public func upstreamResponseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws -> Duration? {
        session.callbacks?.note(.upstreamResponseBodyFilter, of: Self.self)
        return nil
    }
    /// Changes nothing.
    public func upstreamResponseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Context
    ) async throws {}
    /// Changes nothing.
    public func responseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Context
    ) async throws {
        session.callbacks?.note(.responseFilter, of: Self.self)
    }
    /// Changes nothing.
    public func responseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Context
    ) async throws -> Duration? {
        session.callbacks?.note(.responseBodyFilter, of: Self.self)
        return nil
    }
    /// Changes nothing.
    public func responseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Context
    ) async throws -> Bytes? { nil }
    /// Returns the error as it is.
    public func failToConnect(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        context: inout Context
    ) -> PingoraError { error }
    /// Allows another attempt where it is safe.
    public func errorWhileProxy(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        isReused: Bool,
        context: inout Context
    ) -> PingoraError {
        error.resolvingRetry(isReused: isReused, session: session)
    }
    /// Maps the error to a status.
    public func failToProxy(
        _ session: Session,
        error: PingoraError,
        context: inout Context
    ) async -> FailureResponse {
        FailureResponse(status: ErrorResponse.status(for: error))
    }
    /// Logs every error.
    public func suppressErrorLog(_ session: Session, error: PingoraError, context: Context) -> Bool { false }
    /// Names method, target and host.
    public func requestSummary(_ session: Session, context: Context) -> String { session.requestSummary }
    /// Does nothing.
    public func logging(_ session: Session, error: PingoraError?, context: inout Context) async {
        session.callbacks?.note(.logging, of: Self.self)
    }
    /// Keeps nothing.
    public func persistConnectionContext(_ session: Session, context: Context) -> (any Sendable)? { nil }
    /// Does nothing.
    public func onConnectionReuse(_ session: Session, context: inout Context, previous: any Sendable) {}
}

extension PingoraError {
    /// Turns "only if the connection was reused" into a decision.
    func resolvingRetry(isReused: Bool, session: Session) -> PingoraError {
        var error = self
        if case .reusedOnly = retry {
            let isSafe = session.request.methodKind.isIdempotent || !session.hasSentToUpstream
            error.retry = .decided(isReused && isSafe && session.canReplayRequest)
        }
        return error
    }
}
