package import AsyncConnectors
package import AsyncTransport
package import HTTPCodecs

/// A client's side of one exchange on a stream of an HTTP/2 connection.
///
/// Confined to the stream's task. The connection's task does the writing: what is queued here counts as taken as soon as it has been
/// left there and is not too much.
package final class HTTP2ServerSession: DownstreamSession {
    package let parker: Parker
    package var options: HttpServerOptions {
        get { shared.options }
        set { shared = SharedServerOptions(newValue, logger: shared.logger) }
    }
    package var request: RequestHeader
    package let clientAddress: SocketAddress?
    package let serverAddress: SocketAddress?
    package let tls: TLSDigest?
    package let requestMethod: RequestHeader.MethodKind
    package private(set) var requestFraming: HTTP1.BodyFraming
    package private(set) var awaitsContinue = false
    package private(set) var responseStatus: Int?
    package private(set) var bodyBytesReceived: UInt64 = 0
    package private(set) var bodyBytesSent: UInt64 = 0

    package private(set) var shared: SharedServerOptions
    private let stream: HTTP2Stream
    private var outgoing = HTTP2Outgoing()
    /// Bytes of the request that have been read and are not yet credit for the client.
    private var consumed = 0
    private var isRequestRead: Bool
    private var writer = BodyFrame()
    private var isAborted = false

    /// What a response body has announced, and how far it is.
    private struct BodyFrame {
        var framing = HTTP1.BodyFraming.none
        var remaining: UInt64?
        var isComplete = false
    }

    package init(
        _ arrival: consuming HTTP2Connection.Arrival,
        parker: Parker,
        facts: HTTP2ConnectionFacts
    ) {
        self.parker = parker
        shared = facts.newestOptions
        clientAddress = facts.clientAddress
        serverAddress = facts.serverAddress
        tls = facts.tls
        stream = arrival.stream
        request = stream.begin(parker)
        requestMethod = request.methodKind
        // What follows the head of a CONNECT is a body only once a tunnel is there.
        let hasBody = arrival.hasBody && requestMethod != .connect && !request.isExtendedConnect
        isRequestRead = !hasBody
        if !hasBody {
            requestFraming = .none
        } else if let framing = try? HTTP1.requestFraming(request), framing != .none {
            requestFraming = framing
        } else {
            requestFraming = .chunked
        }
        awaitsContinue = hasBody && request.headers.hasToken("100-continue", in: .expect)
    }

    // MARK: - Request body

    package var isRequestBodyComplete: Bool { isRequestRead }

    package func pollRequestBody() throws(PingoraError) -> BodyEvent {
        if isRequestRead { return .end(trailers: nil) }
        switch stream.takeBody() {
        case .chunk(let bytes):
            awaitsContinue = false
            bodyBytesReceived += UInt64(bytes.count)
            consumed += bytes.count
            if consumed >= HTTP2Stream.creditStep { _ = post() }
            return .chunk(bytes)
        case .end(let trailers):
            isRequestRead = true
            return .end(trailers: trailers)
        case .wouldBlock, nil:
            try checkFailure()
            // However little: what is being waited for may need it.
            if consumed > 0 { _ = post() }
            return .wouldBlock
        }
    }

    private func checkFailure() throws(PingoraError) {
        switch stream.failure {
        case nil: return
        case .reset(let code, let byPeer):
            throw PingoraError(
                byPeer ? .connectionClosed : .h2Error(code),
                source: .downstream,
                context: byPeer ? "client reset the stream (\(code))" : "stream error"
            )
        case .connection(let error):
            throw PingoraError(
                .connectionClosed,
                source: .downstream,
                cause: error,
                context: "the HTTP/2 connection has ended"
            )
        }
    }

    // MARK: - Response

    package var isResponseComplete: Bool { responseStatus != nil && writer.isComplete }
    package var pendingByteCount: Int { outgoing.body.byteCount + stream.pendingByteCount }
    package var canQueue: Bool { pendingByteCount < HTTP2Stream.highWaterMark }
    package var isHungUp: Bool { stream.failure != nil }

    /// A stream carries one exchange.
    package var keepsAlive: Bool {
        get { false }
        set {}
    }

    package func queueHead(_ response: inout ResponseHeader) throws(PingoraError) {
        precondition(responseStatus == nil, "a final response head has been written already")
        if response.isInformational, response.statusCode != 101 {
            awaitsContinue = false
            outgoing.informational.append(response)
            return
        }
        do throws(HTTP1.ParseError) {
            writer.framing = try HTTP1.responseFraming(
                response,
                requestMethod: request.methodKind,
                requestAsksForUpgrade: request.headers.contains(.upgrade)
            )
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), source: .internal, context: "response head for the client")
        }
        switch writer.framing {
        case .none: writer.isComplete = true
        case .length(let length):
            writer.remaining = length
            writer.isComplete = length == 0
        case .tunnel: isRequestRead = false
        case .chunked, .untilClose: break
        }
        responseStatus = response.statusCode
        outgoing.response = response
        if writer.isComplete { outgoing.end(trailers: nil) }
    }

    package func queueBody(_ bytes: Bytes) throws(PingoraError) {
        if writer.framing == .none { return }  // HEAD, 204, 304: there is a body only for the app
        if let remaining = writer.remaining {
            guard UInt64(bytes.count) <= remaining else {
                throw PingoraError(.internalError, context: "more response body than its head announces")
            }
            writer.remaining = remaining - UInt64(bytes.count)
        }
        bodyBytesSent += UInt64(bytes.count)
        outgoing.append(bytes)
    }

    package func finishBody(trailers: HeaderMap?) throws(PingoraError) {
        guard !writer.isComplete else { return }
        guard writer.remaining ?? 0 == 0 else {
            throw PingoraError(.internalError, context: "less response body than its head announces")
        }
        writer.isComplete = true
        outgoing.end(trailers: trailers)
    }

    package func flush() throws(PingoraError) -> Bool {
        try checkFailure()
        return post()
    }

    private func post() -> Bool {
        defer { consumed = 0 }
        return stream.post(&outgoing, consumed: consumed)
    }

    package func closeWrite() {
        guard !writer.isComplete else { return }
        writer.isComplete = true
        outgoing.end(trailers: nil)
        _ = post()
    }

    package func withRequest(_ body: (borrowing RequestHeader) -> Void) { body(request) }

    // MARK: - End

    package func withdrawHead() {
        guard bodyBytesSent == 0, !isResponseComplete else { return }
        guard outgoing.response.take() != nil || stream.withdrawHead() else { return }
        responseStatus = nil
        writer = BodyFrame()
    }

    package func abort() {
        isAborted = true
    }

    /// Ends the exchange: one whose response is not complete is reset; one whose request was not read whole ends without it.
    package func end() {
        HeadPool.give(&request)
        if isAborted || !isResponseComplete {
            stream.reset(isHungUp ? .cancel : .internalError)
        } else if isRequestRead, outgoing.isEmpty, consumed == 0 {
            // Nothing more will come, and what was said has been left: the connection sees to the rest by itself.
            return
        }
        _ = post()
        stream.detach(consumed: 0)
    }
}

/// What all streams of a client's connection have in common.
package final class HTTP2ConnectionFacts: Sendable {
    /// Those of the connection, which began with them.
    let options: SharedServerOptions
    let optionsSource: ServerOptionsSource
    let clientAddress: SocketAddress?
    let serverAddress: SocketAddress?
    let tls: TLSDigest?

    init(
        options: SharedServerOptions,
        optionsSource: ServerOptionsSource,
        clientAddress: SocketAddress?,
        serverAddress: SocketAddress?,
        tls: TLSDigest?
    ) {
        self.options = options
        self.optionsSource = optionsSource
        self.clientAddress = clientAddress
        self.serverAddress = serverAddress
        self.tls = tls
    }

    /// What a stream that opens now goes by.
    var newestOptions: SharedServerOptions {
        optionsSource.hasNewer(than: options) ? optionsSource.current : options
    }
}
