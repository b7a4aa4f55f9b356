public import AsyncConnectors
public import AsyncTransport
public import HTTPCodecs
public import HTTPTypes
internal import Logging

/// One exchange with a client, as callbacks see it: its request, and the way to answer it.
///
/// Belongs to the task that serves the exchange; it is not `Sendable` and must not outlive it. Reads and writes go through the
/// service's modules.
public final class Session {
    package let downstream: any DownstreamSession
    /// The modules of this exchange.
    public internal(set) var modules = HttpModuleContext()
    /// What the upstream answered last: the status of its final head; nil before.
    public internal(set) var upstreamStatus: Int?
    /// Where the request was sent last; nil before `upstreamPeer` has been asked.
    public internal(set) var upstreamPeer: HttpPeer?
    /// What was agreed on in the TLS handshake with the upstream that the request was sent to last; nil in the clear.
    public internal(set) var upstreamTLS: TLSDigest?
    /// Whether the connection to the upstream that the request was sent to last had been used before.
    public internal(set) var isUpstreamReused = false
    /// Body bytes received from the upstream, without framing.
    public internal(set) var upstreamBodyBytesReceived: UInt64 = 0
    /// Body bytes queued for upstreams, without framing, those of attempts that failed included.
    public internal(set) var upstreamBodyBytesSent: UInt64 = 0
    /// How many upstream attempts were begun.
    public internal(set) var attemptCount = 0
    /// Why the exchange failed; nil when it did not, or has not so far.
    public internal(set) var failure: PingoraError?
    /// Why attempts failed that were followed by another, in order.
    public internal(set) var attemptFailures: [PingoraError] = []
    /// When the exchange reached its stages, if the service has an ``ExchangeObserver``.
    public internal(set) var timings = ExchangeTimings()
    /// Whether the client's closing its side, even half of it, ends the exchange at once.
    ///
    /// On by default.
    ///
    /// Turn it off for clients that close their sending side and still read the answer.
    public var abortsOnClose = true

    /// Whether the attempt that just failed may be followed by another.
    var wantsAnotherAttempt = false
    /// Whether any of the request may have reached the upstream of the last attempt.
    var hasSentToUpstream = false

    /// The exchange's spans; nil when nothing is traced.
    var trace: ExchangeTrace?
    /// What log lines carry, once somebody has asked.
    var ownLogMetadata: Logger.Metadata?

    /// The key that was made up for a WebSocket of an HTTP/2 client's, to check the upstream's answer by.
    var webSocketNonce: String?

    /// What is known of the proxy's callbacks; nil for a plain server.
    private(set) var callbacks: CallbackProfile?
    /// Those that need not be called for this exchange.
    private(set) var defaults: DefaultCallbacks = []

    private let drain: DrainState
    private var recorded = RecordedBody()

    init(downstream: any DownstreamSession, drain: DrainState) {
        self.downstream = downstream
        self.drain = drain
    }

    /// Lets a proxy's defaults tell that they are, and passes over those that have.
    func use(_ callbacks: CallbackProfile) {
        self.callbacks = callbacks
        defaults = callbacks.defaults
    }

    func beginAttempt() {
        attemptCount += 1
        wantsAnotherAttempt = false
        hasSentToUpstream = false
        if attemptCount > 1 { timings.beginAnotherAttempt() }
    }

    // MARK: - Facts

    /// The request as it came, or as earlier callbacks changed it.
    public var request: RequestHeader {
        get { downstream.request }
        _modify { yield &downstream.request }
    }

    /// Whether there is a request: not in the exchange that answers one that could not be read, whose ``request`` says nothing.
    public var hasRequest: Bool { downstream.hasRequest }
    /// The client's address; nil when the kernel does not tell.
    public var clientAddress: SocketAddress? { downstream.clientAddress }
    /// The address that the client connected to.
    public var serverAddress: SocketAddress? { downstream.serverAddress }
    /// What was agreed on in the client's TLS handshake, its certificate and its hello among it; nil in the clear.
    public var tls: TLSDigest? { downstream.tls }
    /// The status of the response that was begun; nil before.
    ///
    /// An informational head does not count.
    public var responseStatus: Int? { downstream.responseStatus }
    /// Body bytes sent to the client, without framing.
    public var bodyBytesSent: UInt64 { downstream.bodyBytesSent }
    /// Body bytes received from the client, without framing.
    public var bodyBytesReceived: UInt64 { downstream.bodyBytesReceived }
    /// Whether the whole request has been read.
    public var isRequestBodyComplete: Bool { downstream.isRequestBodyComplete }
    /// Whether the service is ending gracefully.
    public var isShuttingDown: Bool { drain.isDraining }
    /// `GET /path, Host: example.com`, for logs.
    public var requestSummary: String { downstream.request.description }

    /// Timeouts and limits of this connection.
    ///
    /// A change holds for the rest of the connection.
    public var options: HttpServerOptions {
        get { downstream.options }
        set { downstream.options = newValue }
    }

    /// Lets the connection end after this exchange.
    public func disableKeepAlive() {
        downstream.keepsAlive = false
    }

    // MARK: - Request body

    /// Returns the next bytes of the request body, waiting for them; nil at its end.
    ///
    /// Sends `100 Continue` first if the client waits for it. What is read here, up to 64 KiB, is still passed to the upstream.
    /// - Throws: ``PingoraError`` with source downstream.
    public func readRequestBody() async throws(PingoraError) -> Bytes? {
        if downstream.awaitsContinue {
            var head = ResponseHeader(status: .continue)
            try downstream.queueHead(&head)
            try await flush()
        }
        let deadline = Deadline.after(downstream.options.bodyReadTimeout)
        while true {
            switch try downstream.pollRequestBody() {
            case .chunk(let bytes):
                recorded.append(bytes)
                return bytes
            case .end(let trailers):
                recorded.finish(trailers: trailers)
                return nil
            case .wouldBlock:
                try await park(until: deadline, onTimeout: .readTimedOut)
            }
        }
    }

    /// Whether another attempt can send the whole request again.
    var canReplayRequest: Bool { !recorded.isTruncated }

    /// The request body for an attempt: what was recorded first, then what the client sends.
    func pollRequestBody(from cursor: inout Int) throws(PingoraError) -> BodyEvent {
        if cursor == 0, recorded.isTruncated, bodyBytesReceived > 0 {
            throw PingoraError(
                .internalError,
                context: "the request body was read before and is too large to be sent again"
            )
        }
        if cursor < recorded.chunks.count {
            defer { cursor += 1 }
            return .chunk(recorded.chunks[cursor])
        }
        if recorded.isComplete { return .end(trailers: recorded.trailers) }
        let event = try downstream.pollRequestBody()
        switch event {
        case .chunk(let bytes):
            recorded.append(bytes)
            cursor += 1
        case .end(let trailers):
            recorded.finish(trailers: trailers)
        case .wouldBlock:
            break
        }
        return event
    }

    // MARK: - Response

    /// Writes a response head, informational or final.
    ///
    /// After the final one come ``writeResponseBody(_:endOfStream:)`` calls.
    ///
    /// - Throws: ``PingoraError``; an internal one when a final head was written before.
    public func writeResponseHeader(_ response: ResponseHeader, endOfStream: Bool = false) async throws {
        try requireNoResponse()
        var response = response
        if !modules.isEmpty { try await modules.filterResponseHeader(&response) }
        try send(&response)
        if endOfStream { return try await finishResponse(trailers: nil) }
        _ = downstream.letHeadGo()
        try await flush()
    }

    /// Writes body bytes; the last call, or a call of its own with nil, says `endOfStream`.
    ///
    /// - Throws: ``PingoraError``; an internal one when they exceed what the head announced.
    public func writeResponseBody(_ body: Bytes?, endOfStream: Bool) async throws {
        var body = body
        if !modules.isEmpty { try await modules.filterResponseBody(&body, endOfStream: endOfStream) }
        if let body { try downstream.queueBody(body) }
        if endOfStream { try await finishResponse(trailers: nil) } else { try await flush() }
    }

    /// Answers the request: a status, fields, and a whole body.
    ///
    /// - Throws: ``PingoraError`` when the client has gone.
    public func respond(
        _ status: HTTPResponse.Status,
        headers: HeaderMap = HeaderMap(),
        body: Bytes = Bytes()
    ) async throws {
        var response = ResponseHeader(status: status)
        response.headers = headers
        if status.code >= 200, status != .noContent, status != .notModified, !headers.contains(.transferEncoding) {
            response.headers.set(.contentLength, integer: body.count)
        }
        try requireNoResponse()
        if !modules.isEmpty { try await modules.filterResponseHeader(&response) }
        try send(&response)
        try await writeResponseBody(body.isEmpty ? nil : body, endOfStream: true)
    }

    @inline(never)  // docs/workarounds.md, 1
    private func requireNoResponse() throws(PingoraError) {
        guard downstream.responseStatus == nil else {
            throw PingoraError(.internalError, context: "a final response head has been written already")
        }
    }

    /// Adds what every response carries, and queues the head.
    @inline(never)  // docs/workarounds.md, 1
    func send(_ response: inout ResponseHeader) throws(PingoraError) {
        if !response.isInformational, !response.headers.contains(.date) { WallClock.setDate(in: &response.headers) }
        try downstream.queueHead(&response)
    }

    /// Ends the body, with what the modules add to it.
    @inline(never)  // docs/workarounds.md, 1
    func endResponse(trailers: HeaderMap?) async throws {
        var trailers = trailers
        if !modules.isEmpty {
            if var map = trailers {
                for extra in try await modules.filterResponseTrailers(&map) { try downstream.queueBody(extra) }
                trailers = map
            }
            for extra in try await modules.finishResponse() { try downstream.queueBody(extra) }
        }
        try downstream.finishBody(trailers: trailers)
    }

    /// Ends the body and waits until the client has taken it.
    @inline(never)  // docs/workarounds.md, 1
    func finishResponse(trailers: HeaderMap?) async throws {
        try await endResponse(trailers: trailers)
        try await flush()
    }

    /// Writes what is queued, waiting for the client to take it.
    func flush() async throws(PingoraError) {
        guard try !downstream.flush() else { return }
        var clock = SendClock()
        while true {
            clock.run(for: downstream)
            try await park(until: clock.deadline, onTimeout: .writeTimedOut)
            let before = downstream.pendingByteCount
            if try downstream.flush() { return }
            let after = downstream.pendingByteCount
            if after < before { clock.clientHasTaken(before - after) }
        }
    }

    private func park(until deadline: Deadline, onTimeout kind: PingoraError.Kind) async throws(PingoraError) {
        let parker = downstream.parker
        await parker.park(until: deadline)
        if parker.isCancelled { throw PingoraError(.cancelled, source: .downstream) }
        if deadline.hasPassed { throw PingoraError(kind, source: .downstream) }
    }

    /// Suspends the exchange for a while, as a body filter may ask for to slow it down.
    public func pause(for duration: Duration) async throws(PingoraError) {
        let deadline = Deadline.after(duration)
        while !deadline.hasPassed {
            await downstream.parker.park(until: deadline)
            if downstream.parker.isCancelled { throw PingoraError(.cancelled, source: .downstream) }
            if abortsOnClose, downstream.isHungUp { throw PingoraError(.connectionClosed, source: .downstream) }
        }
    }
}

/// The part of a request body that was read already, kept so that another attempt can send it again.
struct RecordedBody {
    private(set) var chunks: [Bytes] = []
    private(set) var isTruncated = false
    private(set) var isComplete = false
    private(set) var trailers: HeaderMap?
    private var byteCount = 0

    /// A body beyond this is not kept, and then not sent twice.
    static let capacity = 65_536

    mutating func append(_ bytes: Bytes) {
        guard !isTruncated else { return }
        byteCount += bytes.count
        if byteCount > Self.capacity {
            isTruncated = true
            chunks = []
        } else {
            chunks.append(bytes)
        }
    }

    mutating func finish(trailers: HeaderMap?) {
        isComplete = true
        self.trailers = trailers
    }
}
