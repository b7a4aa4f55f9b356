package import AsyncTransport
package import HTTPCodecs

/// An exchange with an upstream on a stream of an HTTP/2 connection that others use at the same time.
///
/// Confined to the task that leased it.
package final class HTTP2ClientSession: UpstreamSession {
    let connection: HTTP2ClientConnection
    package private(set) var bodyBytesReceived: UInt64 = 0
    package private(set) var responseFraming = HTTP1.BodyFraming.none
    package private(set) var isTunnel = false
    package private(set) var hasSentBytes = false

    private var stream: HTTP2Stream
    private var outgoing = HTTP2Outgoing()
    /// Bytes of the response that have been read and are not yet credit for the upstream.
    private var consumed = 0
    private var received: ResponseHeader?
    private var method = RequestHeader.MethodKind.get
    private var asksForUpgrade = false
    /// Whether the request may turn into a tunnel, so that it must not be ended before the answer says.
    private var mayBecomeTunnel = false
    private var remaining: UInt64?
    private var hasHead = false
    private var isRequestComplete = false
    private var isResponseComplete = false

    init(_ reservation: HTTP2Front.Reservation, parker: Parker) {
        connection = reservation.connection
        if let spare = reservation.spare {
            spare.renew(waiter: parker)
            stream = spare
        } else {
            stream = HTTP2Stream(mailbox: connection.mailbox, waiter: parker)
        }
    }

    package var version: HTTPVersion { .http2 }
    package var localAddress: SocketAddress? { nil }
    package var tls: TLSDigest? { connection.tls }

    // MARK: - Request

    package func begin(_ request: borrowing RequestHeader, framing: HTTP1.BodyFraming) throws(PingoraError) {
        method = request.methodKind
        asksForUpgrade = request.headers.contains(.upgrade)
        mayBecomeTunnel = asksForUpgrade || method == .connect
        if case .length(let length) = framing { remaining = length }
        outgoing.request = copy request
        if framing == .none || framing == .length(0) { try finishBody(trailers: nil) }
    }

    package var canQueueBody: Bool { pendingByteCount < HTTP2Stream.highWaterMark }
    package var pendingByteCount: Int { outgoing.body.byteCount + stream.pendingByteCount }

    package func queueBody(_ bytes: Bytes) throws(PingoraError) {
        if let announced = remaining {
            guard UInt64(bytes.count) <= announced else {
                throw PingoraError(.internalError, context: "more request body than its head announces")
            }
            remaining = announced - UInt64(bytes.count)
        }
        outgoing.append(bytes)
    }

    package func finishBody(trailers: HeaderMap?) throws(PingoraError) {
        guard !isRequestComplete, !mayBecomeTunnel else { return }
        guard remaining ?? 0 == 0 else {
            throw PingoraError(.internalError, context: "less request body than its head announces")
        }
        isRequestComplete = true
        outgoing.end(trailers: trailers)
    }

    package func flush() throws(PingoraError) -> Bool {
        hasSentBytes = true
        return post()
    }

    private func post() -> Bool {
        defer { consumed = 0 }
        return stream.post(&outgoing, consumed: consumed)
    }

    package func closeWrite() {
        guard !isRequestComplete else { return }
        isRequestComplete = true
        outgoing.end(trailers: nil)
        _ = post()
    }

    // MARK: - Response

    package func pollHead() throws(PingoraError) -> Bool {
        guard let head = stream.takeResponse() else {
            try checkFailure()
            return false
        }
        received = head
        hasHead = true
        do throws(HTTP1.ParseError) {
            let framing = try HTTP1.responseFraming(head, requestMethod: method, requestAsksForUpgrade: asksForUpgrade)
            if head.isInformational, framing != .tunnel { return true }
            responseFraming = framing
            isTunnel = framing == .tunnel
            if mayBecomeTunnel, !isTunnel { closeWrite() }
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), source: .upstream, context: "response head")
        }
        if !isTunnel, stream.isInboundRead { responseFraming = .none }
        return true
    }

    package func takeResponse() -> ResponseHeader {
        guard let head = received.take() else { preconditionFailure("no response head is complete") }
        return head
    }

    package func pollBody() throws(PingoraError) -> BodyEvent {
        switch stream.takeBody() {
        case .chunk(let bytes):
            bodyBytesReceived += UInt64(bytes.count)
            consumed += bytes.count
            if consumed >= HTTP2Stream.creditStep { _ = post() }
            return .chunk(bytes)
        case .end(let trailers):
            isResponseComplete = true
            return .end(trailers: trailers)
        case .wouldBlock, nil:
            try checkFailure()
            // However little: what is being waited for may need it.
            if consumed > 0 { _ = post() }
            return .wouldBlock
        }
    }

    package var mayBeReadable: Bool { stream.hasNews }

    private func checkFailure() throws(PingoraError) {
        guard let failure = stream.failure else { return }
        var error = PingoraError(failure, hasResponse: hasHead)
        // HTTP/1.1 would be another matter. Where it is out of the question, a new connection may help, if this one was not new.
        let asksForHTTP1 = error.kind == .h2Downgrade || error.kind == .invalidH2
        if asksForHTTP1, !connection.fallsBack, !hasHead { error.retry = .reusedOnly }
        throw error
    }

    // MARK: - End

    /// Whether the exchange has ended in a way that says nothing against the connection.
    var isComplete: Bool { isResponseComplete && isRequestComplete }

    /// Lets go of the stream: one whose exchange is not complete is reset, so that the upstream stops working for it.
    ///
    /// - Returns: the stream's object, if the connection is done with it: another request may use it.
    func end() -> HTTP2Stream? {
        if !isComplete, stream.failure == nil { stream.reset(.cancel) }
        guard isComplete, !stream.isKnown else {
            stream.detach(consumed: consumed)
            return nil
        }
        // Nothing more will come, and the connection need not be told that nobody would read it.
        connection.mailbox.leave(credit: consumed)
        guard isKnownUniquelyReferenced(&stream) else { return nil }
        var spare = HTTP2Stream.none
        swap(&spare, &stream)
        spare.clear()
        return spare
    }
}

extension PingoraError {
    /// What a stream's failure means for its request (RFC 9113 8.7).
    fileprivate init(_ failure: HTTP2Stream.Failure, hasResponse: Bool) {
        switch failure {
        case .connection(let error):
            self = error
            if hasResponse { retry = .decided(false) }
        case .reset(.http11Required, _):
            self.init(.h2Downgrade, source: .upstream, retry: .decided(true))
        case .reset(.refusedStream, _):
            self.init(.h2Error(.refusedStream), source: .upstream, retry: .decided(!hasResponse))
        case .reset(let code, let byPeer):
            self.init(.h2Error(code), source: .upstream, context: byPeer ? "upstream reset the stream" : "stream error")
        }
    }
}
