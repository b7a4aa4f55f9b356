package import AsyncTransport
package import HTTPCodecs

/// One HTTP/1.1 connection to an upstream, used for one exchange after another.
///
/// Its methods never wait: they do what can be done and say whether there is more to come. The proxy's loop parks when neither
/// side can go on. Confined to the task that holds it; between tasks it rests in a pool.
package final class HTTP1ClientSession: UpstreamSession {
    package let stream: any ByteStream
    package let identity: PeerIdentity
    /// How many exchanges were begun on this connection before the present one.
    package private(set) var priorExchangeCount = 0
    package private(set) var bodyBytesReceived: UInt64 = 0

    private var input = MessageInput()
    private var output = OutputQueue()
    private var parser: HTTP1.HeadParser
    private var decoder = HTTP1.BodyDecoder(framing: .none, limits: HTTP1.Limits())
    private var writer = BodyWriter(.none)
    private let limits: HTTP1.Limits
    private var state = State.idle
    private var exchange = Exchange()
    private var received: ResponseHeader?
    /// Who is woken when something happens on this connection while it rests.
    package var keeper: Parker?
    /// What the idle pool keeps about this connection.
    package var idle = IdleRecord()

    /// Beyond this the body's source waits until the upstream has taken some.
    private static let highWaterMark = 65_536

    private enum State {
        case idle, awaitingHead, readingBody, complete, tunnel, failed
    }

    private struct Exchange {
        var method = RequestHeader.MethodKind.get
        var asksForUpgrade = false
        var requestAllowsReuse = true
        var responseAllowsReuse = true
        var hasReceivedBytes = false
        var hasSentBytes = false
    }

    package init(stream: any ByteStream, peer: any Peer) {
        self.stream = stream
        identity = peer.identity
        var limits = HTTP1.Limits()
        limits.maximumHeadBytes = peer.options.maximumResponseHeadBytes
        limits.maximumFieldCount = peer.options.maximumResponseFieldCount
        self.limits = limits
        parser = HTTP1.HeadParser(limits: limits)
    }

    // MARK: - Request

    package func begin(_ request: borrowing RequestHeader, framing: HTTP1.BodyFraming) {
        exchange = Exchange()
        exchange.method = request.methodKind
        exchange.asksForUpgrade = request.headers.contains(.upgrade)
        exchange.requestAllowsReuse = HTTP1.KeepAlive.isPersistent(request: request)
        bodyBytesReceived = 0
        writer = BodyWriter(framing)
        state = .awaitingHead
        output.append(byteCount: request.wireByteCount) { out in request.serialize(into: &out) }
    }

    package var canQueueBody: Bool { output.byteCount < Self.highWaterMark }
    package var holdsBuffer: Bool { output.holdsPieces }
    package var pendingByteCount: Int { output.byteCount }
    package var isRequestComplete: Bool { writer.isComplete }
    package var hasSentBytes: Bool { exchange.hasSentBytes }
    package var hasReceivedBytes: Bool { exchange.hasReceivedBytes }

    @inline(never)
    package func queueBody(_ bytes: Bytes) throws(PingoraError) {
        guard writer.append(bytes, to: &output) else {
            throw PingoraError(.internalError, context: "more request body than its head announces")
        }
    }

    @inline(never)
    package func finishBody(trailers: HeaderMap?) throws(PingoraError) {
        guard writer.finish(trailers: trailers, to: &output) else {
            throw PingoraError(.internalError, context: "less request body than its head announces")
        }
    }

    @inline(never)
    package func flush() throws(PingoraError) -> Bool {
        if output.isEmpty { return true }
        let before = output.byteCount
        do {
            let isDone = try stream.tryWrite(&output).hasMoved
            if output.byteCount < before { exchange.hasSentBytes = true }
            return isDone
        } catch {
            if output.byteCount < before { exchange.hasSentBytes = true }
            output.removeAll()
            // A response may be waiting all the same (413, say): the caller goes on reading and reports this only if none comes.
            throw PingoraError(error, source: .upstream, retry: .reusedOnly)
        }
    }

    // MARK: - Response

    @inline(never)
    package func pollHead() throws(PingoraError) -> Bool {
        while true {
            if !input.isEmpty, try parseHead() { return true }
            switch try fill() {
            case .moved:
                exchange.hasReceivedBytes = true
            case .wouldBlock:
                return false
            case .endOfStream:
                state = .failed
                throw PingoraError(
                    .connectionClosed,
                    source: .upstream,
                    retry: input.isEmpty && !exchange.hasReceivedBytes ? .reusedOnly : .decided(false),
                    context: "upstream closed the connection before the response head was complete"
                )
            }
        }
    }

    private func parseHead() throws(PingoraError) -> Bool {
        do throws(HTTP1.ParseError) {
            var head = HeadPool.takeResponse()
            let consumed = try input.withBytes { bytes throws(HTTP1.ParseError) in
                try parser.parseResponse(bytes, into: &head)
            }
            guard let consumed else {
                HeadPool.give(&head)
                return false
            }
            input.consume(consumed)
            try take(head)
            received = head
            return true
        } catch {
            state = .failed
            throw PingoraError(.invalidHTTPHeader(error), source: .upstream, context: "response head")
        }
    }

    /// Takes note of what a head says about its body and the connection.
    private func take(_ response: borrowing ResponseHeader) throws(HTTP1.ParseError) {
        let framing = try HTTP1.responseFraming(
            response,
            requestMethod: exchange.method,
            requestAsksForUpgrade: exchange.asksForUpgrade
        )
        if response.isInformational, framing != .tunnel { return }
        decoder.begin(framing, limits: limits)
        exchange.responseAllowsReuse = HTTP1.KeepAlive.isPersistent(response: response)
        if let seconds = HTTP1.KeepAlive.timeout(of: response) { idle.announcedTimeoutSeconds = seconds }
        switch framing {
        case .tunnel:
            state = .tunnel
            writer = BodyWriter(.tunnel)
        case .none, .length(0):
            state = .complete
        default:
            state = .readingBody
        }
    }

    package func takeResponse() -> ResponseHeader {
        guard let head = received.take() else { preconditionFailure("no response head is complete") }
        return head
    }

    package var responseFraming: HTTP1.BodyFraming { decoder.framing }
    package var isTunnel: Bool { state == .tunnel }
    package var hasInput: Bool { !input.isEmpty || state == .complete }

    @inline(never)
    package func pollBody() throws(PingoraError) -> BodyEvent {
        if state == .complete { return .end(trailers: nil) }
        while true {
            if !input.isEmpty, let event = try decodeBody() { return event }
            switch try fill() {
            case .moved: continue
            case .wouldBlock: return .wouldBlock
            case .endOfStream: return try bodyEndedByClose()
            }
        }
    }

    private func decodeBody() throws(PingoraError) -> BodyEvent? {
        do throws(HTTP1.ParseError) {
            let step = try input.withBytes { bytes throws(HTTP1.ParseError) in try decoder.next(bytes) }
            switch step {
            case .needMore(let consumed):
                input.consume(consumed)
                return nil
            case .data(let skip, let count):
                let chunk = input.bytes(skip..<(skip + count))
                input.consume(skip + count)
                bodyBytesReceived += UInt64(count)
                if decoder.isComplete, case .length = decoder.framing { state = .complete }
                return .chunk(chunk)
            case .end(let consumed):
                input.consume(consumed)
                state = .complete
                return .end(trailers: decoder.trailers)
            }
        } catch {
            state = .failed
            throw PingoraError(.invalidBody(error), source: .upstream, context: "response body")
        }
    }

    private func bodyEndedByClose() throws(PingoraError) -> BodyEvent {
        do throws(HTTP1.ParseError) {
            exchange.responseAllowsReuse = false
            try decoder.finishAtEOF()
            state = .complete
            return .end(trailers: nil)
        } catch {
            state = .failed
            throw PingoraError(
                .connectionClosed,
                source: .upstream,
                cause: error,
                context: "upstream closed the connection before the response body was complete"
            )
        }
    }

    private func fill() throws(PingoraError) -> IOResult {
        do throws(TransportError) {
            let result = try input.fill(from: stream)
            if !result.hasMoved { input.releaseIfEmpty() }
            return result
        } catch {
            state = .failed
            let isUntouched = input.isEmpty && !exchange.hasReceivedBytes
            throw PingoraError(error, source: .upstream, retry: isUntouched ? .reusedOnly : .decided(false))
        }
    }

    package var mayBeReadable: Bool { stream.mayBeReadable }
    package var version: HTTPVersion { .http11 }
    package var localAddress: SocketAddress? { stream.localAddress }
    package var tls: TLSDigest? { stream.tls }

    package func closeWrite() {
        stream.closeWrite()
    }

    // MARK: - Between exchanges

    /// Whether the exchange has ended in a way that leaves the connection fit for another.
    package var isReusable: Bool {
        guard state == .complete, writer.isComplete, output.isEmpty, input.isEmpty else { return false }
        if decoder.framing == .untilClose { return false }
        return exchange.requestAllowsReuse && exchange.responseAllowsReuse
    }

    /// Prepares for the pool: nothing but the connection is kept.
    package func rest() {
        priorExchangeCount += 1
        state = .idle
        input.reclaim()
    }

    /// Whether the connection, unused for a while, is still silent and open.
    ///
    /// Anything that came meanwhile makes it unfit.
    package func isQuiet() -> Bool {
        guard stream.mayBeReadable else { return true }
        if stream.isHungUp { return false }
        // The last read filled its buffer to the brim, or the poller told of something: only a read can say.
        guard case .wouldBlock? = try? input.fill(from: stream) else { return false }
        return true
    }

    package func close() {
        output.removeAll()
        input.reclaim()
        stream.close(reset: false)
    }
}
