package import AsyncConnectors
package import AsyncTransport
package import HTTPCodecs

/// A client's HTTP/1.1 connection: reads requests one after another, in order, pipelined ones too, and writes their responses.
///
/// Confined to the connection's task.
package final class HTTP1ServerSession: DownstreamSession {
    package let stream: any ByteStream
    package let parker: Parker
    package var options: HttpServerOptions {
        get { shared.options }
        set { shared = SharedServerOptions(newValue, logger: shared.logger) }
    }
    package var request: RequestHeader {
        get { received ?? RequestHeader() }
        _modify {
            var head = received.take() ?? RequestHeader()
            defer { received = head }
            yield &head
        }
    }
    package private(set) var requestCount = 0

    private(set) var received: RequestHeader?
    private var input = MessageInput()
    private var output = OutputQueue()
    var parser: HTTP1.HeadParser
    private var decoder = HTTP1.BodyDecoder(framing: .none, limits: HTTP1.Limits())
    private var writer = BodyWriter(.none)
    private var exchange = Exchange()
    private var head: HeadProgress?
    let optionsSource: ServerOptionsSource
    package internal(set) var shared: SharedServerOptions
    private let drain: DrainState

    /// What belongs to the exchange under way.
    private struct Exchange {
        // Of the request as it came: what the answer's framing depends on, whatever filters make of the head.
        var method = RequestHeader.MethodKind.get
        var version = HTTPVersion.http11
        var asksForUpgrade = false
        var isRequestBodyComplete = true
        var awaitsContinue = false
        var responseStatus: Int?
        var keepsAlive = false
        /// The client has said that this is its last request.
        var isLast = false
        var closesAtEnd = false
        /// The final head is queued and waits for the first bytes of the body.
        var isHoldingHead = false
        var isAborted = false
        var bodyBytesReceived: UInt64 = 0
        var bodyBytesSent: UInt64 = 0
    }

    /// Beyond this the body's source waits until the client has taken some.
    private static let highWaterMark = 65_536

    package init(
        stream: any ByteStream,
        parker: Parker,
        options: ServerOptionsSource,
        drain: DrainState
    ) {
        self.stream = stream
        self.parker = parker
        optionsSource = options
        shared = options.current
        self.drain = drain
        parser = HTTP1.HeadParser(limits: shared.options.limits)
        stream.attach(to: parker)
    }

    package var clientAddress: SocketAddress? { stream.peerAddress }
    package var serverAddress: SocketAddress? { stream.localAddress }
    package var tls: TLSDigest? { stream.tls }
    package var isHungUp: Bool { stream.isHungUp }

    // MARK: - Request head

    /// Looks for the next request in what has arrived.
    package func pollRequest() -> NextRequest {
        if head == nil {
            exchange = Exchange()
            if input.isEmpty { input.reclaim() }
            head = HeadProgress(
                deadline: .after(nanoseconds: timeouts.keepAlive),
                trimsAt: .after(nanoseconds: Self.nanosecondsUntilTrimmed),
                isAwaitedUntil: .after(nanoseconds: drain.patience)
            )
        }
        do throws(PingoraError) {
            let next = try readOn()
            switch next {
            case .wait, .idle: break
            default: head = nil
            }
            return next
        } catch {
            head = nil
            return .refused(error)
        }
    }

    /// An idle connection may end at any time; one in the middle of a head must go on, and in time.
    private func readOn() throws(PingoraError) -> NextRequest {
        while true {
            if !input.isEmpty {
                if head?.hasBegun == false {
                    if optionsSource.hasNewer(than: shared) { adoptNewestOptions() }
                    head = HeadProgress(hasBegun: true, deadline: .after(nanoseconds: timeouts.requestHead))
                }
                switch preface {
                case .whole: return .http2
                case .partial: break
                case .none:
                    if try parseHead() {
                        requestCount += 1
                        return .request
                    }
                }
            }
            guard let head else { return .closed }
            if parker.isCancelled { return .closed }
            switch head.hasBegun ? try fill() : (try? fill()) ?? .endOfStream {
            case .moved:
                continue
            case .endOfStream:
                guard head.hasBegun else { return .closed }
                throw PingoraError(
                    .connectionClosed,
                    source: .downstream,
                    context: "client closed in the middle of a head"
                )
            case .wouldBlock:
                // A service that ends answers what has been asked, and waits for nothing more.
                if !head.hasBegun, drain.isDraining {
                    // A client that was answered just now may have asked again before it could know.
                    guard head.isAwaitedUntil.hasPassed else { return .wait(min(head.deadline, head.isAwaitedUntil)) }
                    // The poller may not have told yet of what has arrived.
                    if head.isLastLook { return .closed }
                    self.head?.isLastLook = true
                    stream.askAgain()
                    continue
                }
                guard head.deadline.hasPassed else { return waiting(for: head) }
                if head.hasBegun { throw PingoraError(.requestHeadTimedOut, source: .downstream) }
                return .closed
            }
        }
    }

    /// How far what has come is the preface of an HTTP/2 client, where one may come.
    private var preface: HTTP2.PrefaceMatch {
        guard options.allowsH2C, requestCount == 0 else { return .none }
        return input.withBytes { HTTP2.matchPreface($0) }
    }

    /// Hands over what has been read of a connection that turns out to be another session's.
    package func takeInput() -> MessageInput {
        var taken = MessageInput()
        swap(&taken, &input)
        return taken
    }

    /// A connection that is idle for longer gives back the memory of its heads.
    ///
    /// Busy ones keep it, for allocating it per request would cost.
    private static let nanosecondsUntilTrimmed: UInt64 = 200_000_000

    private func waiting(for head: HeadProgress) -> NextRequest {
        if head.hasBegun { return .wait(head.deadline) }
        guard head.rests || head.trimsAt.hasPassed else { return .wait(min(head.deadline, head.trimsAt)) }
        if !head.rests {
            self.head?.rests = true
            parser.trim()
        }
        return .idle(until: head.deadline)
    }

    /// Whether the response is complete and the connection can carry another request; gives up on it otherwise.
    package func endExchange() -> Bool {
        if !isResponseComplete { abort() }
        if var head = received.take() { HeadPool.give(&head) }
        return isResponseComplete && keepsAlive
    }

    private func parseHead() throws(PingoraError) -> Bool {
        guard !input.isEmpty else { return false }
        do throws(HTTP1.ParseError) {
            var head = HeadPool.takeRequest()
            let consumed = try input.withBytes { bytes throws(HTTP1.ParseError) in
                try parser.parseRequest(bytes, into: &head)
            }
            guard let consumed else {
                HeadPool.give(&head)
                return false
            }
            input.consume(consumed)
            // Kept of a request that is refused, too, so that the answer fits it.
            exchange.method = head.methodKind
            exchange.version = head.version
            exchange.asksForUpgrade = head.headers.contains(.upgrade)
            defer { received = head }
            try HTTP1.validate(head)
            begin(head, framing: try HTTP1.requestFraming(head))
            return true
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), source: .downstream, context: "request head")
        }
    }

    private func begin(_ request: borrowing RequestHeader, framing: HTTP1.BodyFraming) {
        exchange.keepsAlive = HTTP1.KeepAlive.isPersistent(request: request)
        exchange.isLast = !exchange.keepsAlive
        if let limit = options.keepAliveRequestLimit, requestCount + 1 >= limit { exchange.keepsAlive = false }
        switch framing {
        case .none, .length(0):
            decoder.begin(.none, limits: options.limits)
        default:
            decoder.begin(framing, limits: options.limits)
            exchange.isRequestBodyComplete = false
            exchange.awaitsContinue =
                request.version >= .http11 && request.headers.hasToken("100-continue", in: .expect)
        }
    }

    // MARK: - Request body

    package var requestMethod: RequestHeader.MethodKind { exchange.method }
    package var requestFraming: HTTP1.BodyFraming { decoder.framing }
    package var isRequestBodyComplete: Bool { exchange.isRequestBodyComplete }
    package var hasInput: Bool { !input.isEmpty || exchange.isRequestBodyComplete }
    package var awaitsContinue: Bool { exchange.awaitsContinue }
    package var bodyBytesReceived: UInt64 { exchange.bodyBytesReceived }

    @inline(never)
    package func pollRequestBody() throws(PingoraError) -> BodyEvent {
        if exchange.isRequestBodyComplete { return .end(trailers: nil) }
        while true {
            if !input.isEmpty, let event = try decodeBody() { return event }
            switch try fill() {
            case .moved: continue
            case .wouldBlock: return .wouldBlock
            case .endOfStream:
                exchange.keepsAlive = false
                if decoder.framing == .tunnel {
                    exchange.isRequestBodyComplete = true
                    return .end(trailers: nil)
                }
                throw PingoraError(
                    .connectionClosed,
                    source: .downstream,
                    context: "client closed in the middle of a body"
                )
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
                exchange.awaitsContinue = false
                exchange.bodyBytesReceived += UInt64(count)
                if case .length = decoder.framing, decoder.isComplete { exchange.isRequestBodyComplete = true }
                return .chunk(chunk)
            case .end(let consumed):
                input.consume(consumed)
                exchange.isRequestBodyComplete = true
                return .end(trailers: decoder.trailers)
            }
        } catch {
            exchange.keepsAlive = false
            throw PingoraError(.invalidBody(error), source: .downstream, context: "request body")
        }
    }

    private func fill() throws(PingoraError) -> IOResult {
        do throws(TransportError) {
            let result = try input.fill(from: stream)
            if !result.hasMoved { input.releaseIfEmpty() }
            return result
        } catch {
            exchange.keepsAlive = false
            throw PingoraError(error, source: .downstream)
        }
    }

    // MARK: - Response

    package var responseStatus: Int? { exchange.responseStatus }
    package var isResponseComplete: Bool { exchange.responseStatus != nil && writer.isComplete }
    package var bodyBytesSent: UInt64 { exchange.bodyBytesSent }
    package var pendingByteCount: Int { output.byteCount }
    package var canQueue: Bool { output.byteCount < Self.highWaterMark }
    package var holdsBuffer: Bool { output.holdsPieces }

    package var keepsAlive: Bool {
        get { exchange.keepsAlive && !exchange.closesAtEnd && !exchange.isAborted }
        set { if !newValue { exchange.keepsAlive = false } }
    }

    @inline(never)
    package func queueHead(_ response: inout ResponseHeader) throws(PingoraError) {
        precondition(exchange.responseStatus == nil, "a final response head has been written already")
        if response.isInformational, response.statusCode != 101 {
            exchange.awaitsContinue = false
            // RFC 9110 15.2: a 1.0 client does not know them.
            guard exchange.version >= .http11 else { return }
            enqueue(response)
            return
        }
        do throws(HTTP1.ParseError) {
            let framing = try HTTP1.responseFraming(
                response,
                requestMethod: exchange.method,
                requestAsksForUpgrade: exchange.asksForUpgrade
            )
            settle(framing, for: &response)
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), source: .internal, context: "response head for the client")
        }
        exchange.responseStatus = response.statusCode
        enqueue(response)
        if case .length = writer.framing { exchange.isHoldingHead = !writer.isComplete }
    }

    /// Settles how the body ends and whether the connection goes on, and says so in the head.
    private func settle(_ framing: HTTP1.BodyFraming, for response: inout ResponseHeader) {
        var framing = framing
        switch framing {
        case .tunnel:
            writer = BodyWriter(.tunnel)
            decoder.begin(.tunnel, limits: options.limits)
            exchange.isRequestBodyComplete = false
            exchange.keepsAlive = false
            return
        case .untilClose where exchange.version >= .http11:
            response.headers.set(.transferEncoding, staticBytes: "chunked")
            framing = .chunked
        case .chunked where exchange.version < .http11:
            response.headers.remove(.transferEncoding)
            framing = .untilClose
        default:
            break
        }
        if framing == .untilClose { exchange.keepsAlive = false }
        // The rest of the body may never be read: the client must not count on this connection.
        if !exchange.isRequestBodyComplete || drain.isDraining { exchange.keepsAlive = false }
        writer = BodyWriter(framing)
        if exchange.keepsAlive {
            response.headers.set(.connection, staticBytes: "keep-alive")
        } else {
            response.headers.set(.connection, staticBytes: "close")
        }
    }

    private func enqueue(_ response: borrowing ResponseHeader) {
        output.append(byteCount: response.wireByteCount) { out in response.serialize(into: &out) }
    }

    @inline(never)
    package func queueBody(_ bytes: Bytes) throws(PingoraError) {
        if case .none = writer.framing { return }  // HEAD, 204, 304: there is a body only for the app
        guard writer.append(bytes, to: &output) else {
            throw PingoraError(.internalError, context: "more response body than its head announces")
        }
        exchange.bodyBytesSent += UInt64(bytes.count)
        exchange.isHoldingHead = false
    }

    @inline(never)
    package func finishBody(trailers: HeaderMap?) throws(PingoraError) {
        guard writer.finish(trailers: trailers, to: &output) else {
            throw PingoraError(.internalError, context: "less response body than its head announces")
        }
        if writer.framing == .untilClose { exchange.closesAtEnd = true }
    }

    @inline(never)
    package func flush() throws(PingoraError) -> Bool {
        if output.isEmpty { return true }
        // A head that announces a body leaves with its first bytes, in one packet.
        if exchange.isHoldingHead { return true }
        do {
            return try stream.tryWrite(&output).hasMoved
        } catch {
            exchange.keepsAlive = false
            output.removeAll()
            throw PingoraError(error, source: .downstream)
        }
    }

    package func letHeadGo() -> Bool {
        defer { exchange.isHoldingHead = false }
        return exchange.isHoldingHead
    }

    /// Tells the client that a tunnel's other side has nothing more to say.
    package func closeWrite() {
        stream.closeWrite()
    }

    package func withRequest(_ body: (borrowing RequestHeader) -> Void) {
        // Out and in again: a property that is read in place is copied first, which counts references.
        guard let request = received.take() else { return body(RequestHeader()) }
        body(request)
        received = request
    }

    // MARK: - End

    package func withdrawHead() {
        guard exchange.isHoldingHead else { return }
        exchange.isHoldingHead = false
        exchange.responseStatus = nil
        output.removeAll()
    }

    package func abort() {
        exchange.isAborted = true
        output.removeAll()
    }

    /// Whether what was sent of an aborted response would pass for complete if the connection just ended.
    private var looksComplete: Bool {
        exchange.responseStatus != nil && writer.framing == .untilClose
    }

    /// Ends the connection; a client that is still sending is heard out for a while, so that it gets to read the answer.
    package func close() async {
        if exchange.isAborted {
            input.reclaim()
            stream.close(reset: looksComplete)
            return
        }
        if mayStillBeSending { await linger() }
        output.removeAll()
        input.reclaim()
        stream.close(reset: false)
    }

    /// Whether bytes of the client are unread or may be on their way: of a body, of what was refused, of requests sent ahead.
    ///
    /// One that was answered and has said that it asks for nothing more is believed, unless it is known to have sent something.
    private var mayStillBeSending: Bool {
        // There is no answer to protect if the client has not taken it in its time.
        guard output.isEmpty else { return false }
        if !exchange.isRequestBodyComplete || !input.isEmpty || stream.mayBeReadable { return true }
        return exchange.responseStatus != nil && !exchange.isLast
    }

    /// Closing with unread bytes makes the kernel send a reset, which can destroy the response on its way (RFC 9112 9.6).
    private func linger() async {
        stream.closeWrite()
        let deadline = Deadline.after(options.lingeringTimeout)
        var budget = 4 * Self.highWaterMark
        while budget > 0, !deadline.hasPassed, !parker.isCancelled {
            input.consume(input.count)
            guard let result = try? fill() else { return }
            switch result {
            case .moved(let count): budget -= count
            case .endOfStream: return
            case .wouldBlock: await parker.park(until: deadline)
            }
        }
    }

    /// Reads and drops what is left of the request body if that is little; true when the connection can go on.
    package func drainRequestBody() async -> Bool {
        var budget = options.maximumDrainBytes
        let deadline = Deadline.after(options.bodyReadTimeout)
        while !exchange.isRequestBodyComplete {
            guard budget > 0, !exchange.awaitsContinue, let event = try? pollRequestBody() else { return false }
            switch event {
            case .chunk(let bytes): budget -= bytes.count
            case .end: return true
            case .wouldBlock:
                await parker.park(until: deadline)
                if parker.isCancelled || deadline.hasPassed { return false }
            }
        }
        return true
    }
}
