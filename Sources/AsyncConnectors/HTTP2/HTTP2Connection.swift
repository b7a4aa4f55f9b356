package import AsyncTransport
package import HTTPCodecs

/// An HTTP/2 connection in the hands of the one task that owns it: moves bytes between the stream below and the mailboxes above.
///
/// Nothing here waits. The owner calls ``advance()`` until nothing moves, serves what it got, and parks.
package final class HTTP2Connection {
    package let stream: any ByteStream
    package let session: HTTP2.Session
    package let mailbox: HTTP2Mailbox
    /// Requests that have come and that nobody serves yet; servers only.
    private var arrivals: [Arrival] = []
    /// What concerns the connection as a whole, for the owner to look at.
    package private(set) var notices = Notices()

    private var streams = HTTP2.StreamTable<OpenStream>()
    /// Streams that have left all they have to say, to a peer that has not taken all of it.
    private var unwatchedCount = 0
    /// Upgrades that wait to learn from the server's settings whether it takes any (RFC 8441 3).
    private var waitingUpgrades: [WaitingUpgrade] = []
    private var knowsSettings = false
    /// Whether the peer has closed the connection, or has broken it off.
    private var hasPeerGone = false
    private var input: MessageInput
    private var output = OutputQueue()
    private var events: [HTTP2.Session.Event] = []
    private var posted: [HTTP2Stream] = []
    /// Streams that are over, for their objects to be used again.
    private var spent: [HTTP2Stream] = []
    private let scheme: RequestHeader.Scheme
    /// What the peer is to answer before the connection is closed; nil before all has been said.
    private var lastWord: LastWord?

    /// A request that opened a stream.
    package struct Arrival: Sendable {
        package let stream: HTTP2Stream
        package let hasBody: Bool
    }

    /// What is known of a stream that is open.
    private struct OpenStream {
        let stream: HTTP2Stream
        /// Its task has ended, and wants nothing of what comes.
        var isDetached = false
        /// When the peer last took any of what is left of the stream's message, in nanoseconds; nil while its task still watches over that.
        var unwatchedSince: UInt64?
    }

    /// A request that is not on its way yet.
    private final class WaitingUpgrade {
        let stream: HTTP2Stream
        let request: RequestHeader
        var letter = HTTP2Stream.Letter()

        init(_ stream: HTTP2Stream, _ request: consuming RequestHeader, saying letter: inout HTTP2Stream.Letter) {
            self.stream = stream
            self.request = request
            self.letter.queuedByteCount = letter.queuedByteCount
            swap(&self.letter.outgoing, &letter.outgoing)
        }
    }

    /// What concerns the connection as a whole.
    package struct Notices {
        /// The peer's settings have come.
        package var hasSettings = false
        /// The peer takes no more streams.
        package var isGoingAway = false
        /// The peer has closed its sending side.
        package var isAtEnd = false
        /// Bytes have come since the owner looked.
        package var hasReceived = false
        package var pong: UInt64?
    }

    private static let spentLimit = 128
    /// An idle connection keeps fewer.
    private static let idleSpentLimit = 16
    /// How often the owner may go on at once before others get a turn.
    package static let turnsInARow = 32
    /// Output that waits for the socket, at most: beyond it, frames stay unmade.
    private static let outputLimit = 131_072

    /// - Parameters:
    ///   - stream: the connection, attached to the owner's parker.
    ///   - input: what has been read from it already.
    ///   - role: which end this is.
    ///   - settings: what the peer is told, and its limits.
    ///   - mailbox: where streams leave word.
    ///   - scheme: what requests say the resource's scheme is; clients only.
    package init(
        stream: any ByteStream,
        input: consuming MessageInput = MessageInput(),
        role: HTTP2.Role,
        settings: HTTP2.Settings,
        mailbox: HTTP2Mailbox,
        scheme: RequestHeader.Scheme = .http
    ) {
        self.stream = stream
        self.input = input
        self.mailbox = mailbox
        self.scheme = scheme
        session = HTTP2.Session(role: role, settings: settings)
    }

    /// Streams that are open.
    package var streamCount: Int { streams.count }
    /// Whether there is output that the peer has not taken.
    package var isBlocked: Bool { !output.isEmpty }
    /// When the peer last took any of the output that waits, in nanoseconds; nil when none does.
    package private(set) var blockedSince: UInt64?
    /// Whether there are frames to be made and nothing keeps them back.
    package var mustWrite: Bool { output.isEmpty && session.wantsOutput }
    /// Whether neither side will say anything more.
    package var isFinished: Bool { session.isFinished && output.isEmpty }

    /// Calls `body` with each request that has come since this was called last.
    package func takeArrivals(_ body: (Arrival) -> Void) {
        if arrivals.isEmpty { return }
        for arrival in arrivals { body(arrival) }
        arrivals.removeAll(keepingCapacity: true)
    }

    package func takeNotices() -> Notices {
        defer { notices = Notices() }
        return notices
    }

    // MARK: - One round

    /// Moves what can be moved in both directions; true when anything was.
    ///
    /// - Throws: when the connection cannot go on; ``end(_:)`` is due then.
    package func advance() throws(PingoraError) -> Bool {
        var hasMoved = try read()
        session.consume(byteCount: mailbox.takeCredit())
        mailbox.take(into: &posted)
        if !posted.isEmpty {
            hasMoved = true
            for stream in posted { apply(stream) }
            posted.removeAll(keepingCapacity: true)
        }
        return try write() || hasMoved
    }

    /// One read at a time: what it brought is served before the next.
    private func read() throws(PingoraError) -> Bool {
        var hasMoved = !input.isEmpty
        if !hasMoved {
            do throws(TransportError) {
                switch try input.fill(from: stream) {
                case .moved: hasMoved = true
                case .wouldBlock: break
                case .endOfStream:
                    notices.isAtEnd = true
                    hasPeerGone = true
                }
            } catch {
                hasPeerGone = true
                throw PingoraError(error, source: source, retry: .reusedOnly)
            }
        }
        guard hasMoved else { return false }
        notices.hasReceived = true
        if lastWord != nil {
            listenForLastWord()
            return true
        }
        session.advanceClock(toSecond: Int(Deadline.currentNanoseconds / 1_000_000_000))
        do throws(HTTP2.ConnectionError) {
            defer { handleEvents() }
            try input.withBytes { bytes throws(HTTP2.ConnectionError) in try session.receive(bytes, events: &events) }
        } catch {
            throw PingoraError(.invalidH2, source: source, retry: .decided(true), cause: error)
        }
        return true
    }

    /// What the peer has done that was found only as the GOAWAY was sent.
    package var failure: PingoraError? {
        session.failure.map { PingoraError(.invalidH2, source: source, retry: .decided(true), cause: $0) }
    }

    /// Whose fault a failure of this connection is.
    private var source: PingoraError.Source { session.role == .server ? .downstream : .upstream }

    private func handleEvents() {
        for index in events.indices {
            // Moved out of its place: a copy of a head costs as much as looking at it.
            var event = HTTP2.Session.Event.settingsChanged
            swap(&event, &events[index])
            handle(event)
        }
        events.removeAll(keepingCapacity: true)
        input.consume(input.count)
        input.releaseIfEmpty()
    }

    private func handle(_ event: consuming HTTP2.Session.Event) {
        switch consume event {
        case .request(let id, let request, let endStream):
            let stream = makeStream(request, isInboundEnded: endStream)
            open(stream, as: id)
            if let spare = HeadPool.takeSpareRequest() { session.reuse(spare) }
            arrivals.append(Arrival(stream: stream, hasBody: !endStream))
        case .response(let id, let response, let endStream):
            guard let stream = streams.value(of: id)?.stream else { return }
            if !stream.deliver(response: response, endStream: endStream) { session.reset(id, .enhanceYourCalm) }
            if let spare = HeadPool.takeSpareResponse() { session.reuse(spare) }
        case .data(let id, let offset, let count):
            guard let open = streams.value(of: id), !open.isDetached else {
                session.consume(id, byteCount: count)
                return
            }
            open.stream.deliver(body: input.bytes(offset..<(offset + count)).compacted)
        case .trailers(let id, let trailers):
            streams.value(of: id)?.stream.deliverEnd(trailers: trailers)
        case .end(let id):
            streams.value(of: id)?.stream.deliverEnd(trailers: nil)
        case .closed(let id, let code, let byPeer):
            close(id, code: code, byPeer: byPeer)
        case .goAway:
            notices.isGoingAway = true
        case .pong(let opaque):
            notices.pong = opaque
        case .settingsChanged:
            notices.hasSettings = true
            knowsSettings = true
            for upgrade in waitingUpgrades { submit(upgrade.request, of: upgrade.stream, &upgrade.letter) }
            waitingUpgrades = []
        }
    }

    private func makeStream(_ request: consuming RequestHeader, isInboundEnded: Bool) -> HTTP2Stream {
        guard let stream = spent.popLast() else {
            return HTTP2Stream(mailbox: mailbox, waiter: nil, request: request, isInboundEnded: isInboundEnded)
        }
        stream.renew(waiter: nil, request: request, isInboundEnded: isInboundEnded)
        return stream
    }

    private func open(_ stream: HTTP2Stream, as id: HTTP2.StreamID) {
        streams.insert(OpenStream(stream: stream), for: id)
        stream.opened(as: id)
    }

    private func close(_ id: HTTP2.StreamID, code: HTTP2.ErrorCode, byPeer: Bool) {
        guard let closed = streams.remove(id) else { return }
        if closed.unwatchedSince != nil { unwatchedCount -= 1 }
        // Moved out: a second reference would keep it from being used again.
        var stream = (consume closed).stream
        stream.closed()
        defer { keep(&stream) }
        // A server may end a request early with NO_ERROR once it has answered (RFC 9113 8.1): what it said stays good.
        let isCut = code != .noError || !stream.isInboundComplete || (byPeer && session.role == .server)
        if isCut { stream.fail(.reset(code, byPeer: byPeer)) }
    }

    /// Keeps a stream's object for another one, if its task has let go of it: a busy connection makes none.
    private func keep(_ stream: inout HTTP2Stream) {
        let isKept = session.role == .server && spent.count < Self.spentLimit && isKnownUniquelyReferenced(&stream)
        if isKept {
            stream.clear()
            spent.append(stream)
        }
        if streams.isEmpty, spent.count > Self.idleSpentLimit {
            spent.removeLast(spent.count - Self.idleSpentLimit)
        }
    }

    // MARK: - What streams want

    private func apply(_ stream: HTTP2Stream) {
        var letter = stream.takeLetter()
        let isOpening = letter.outgoing.request != nil
        if let request = letter.outgoing.request.take() { submit(request, of: stream, &letter) }
        let id = stream.id
        // Of a stream that is gone, too: what was read of it is credit for the connection.
        if letter.consumedByteCount > 0 { session.consume(id, byteCount: letter.consumedByteCount) }
        guard stream.isKnown else {
            // Nobody waits any more for an upgrade that waits for the settings.
            let isUnwanted = letter.reset != nil || letter.isDetached
            if isUnwanted, !waitingUpgrades.isEmpty { waitingUpgrades.removeAll { $0.stream === stream } }
            return
        }
        if let code = letter.reset {
            session.reset(id, code)
            return
        }
        if !isOpening { say(&letter, of: stream, to: id) }
        if letter.isDetached {
            if let index = streams.index(of: id) { streams[index].isDetached = true }
            session.endUnread(id)
        }
    }

    /// Opens a stream for a client's request.
    private func submit(
        _ request: consuming RequestHeader,
        of stream: HTTP2Stream,
        _ letter: inout HTTP2Stream.Letter
    ) {
        if !knowsSettings, request.headers.contains(.upgrade) {
            waitingUpgrades.append(WaitingUpgrade(stream, request, saying: &letter))
            return
        }
        do {
            let endsAtOnce = letter.endsAtOnce
            let id = try session.submitRequest(request, scheme: scheme, endStream: endsAtOnce)
            open(stream, as: id)
            if letter.queuedByteCount > 0 { session.offerBody(id, byteCount: letter.queuedByteCount) }
            if letter.outgoing.isEnded, !endsAtOnce { session.endBody(id, trailers: letter.outgoing.trailers) }
            HeadPool.give(&request)
        } catch {
            // Nothing of it has been sent: if the server is going away, another connection may have it.
            stream.fail(
                .connection(
                    PingoraError(
                        .h2Error(.internalError),
                        source: .upstream,
                        retry: .decided(!session.acceptsRequests),
                        cause: error,
                        context: "cannot open a stream"
                    )
                )
            )
        }
    }

    /// Passes on a server's heads and body.
    private func say(_ letter: inout HTTP2Stream.Letter, of stream: HTTP2Stream, to id: HTTP2.StreamID) {
        var hasEnded = false
        do {
            for head in letter.outgoing.informational { try session.submitInformational(id, head) }
            if var head = letter.outgoing.response.take() {
                hasEnded = letter.endsAtOnce
                try session.submitResponse(id, head, endStream: hasEnded)
                HeadPool.give(&head)
            }
        } catch {
            session.reset(id, .internalError)
            return
        }
        if letter.queuedByteCount > 0 { session.offerBody(id, byteCount: letter.queuedByteCount) }
        guard letter.outgoing.isEnded else { return }
        if !hasEnded { session.endBody(id, trailers: letter.outgoing.trailers) }
        // Its task may have ended: whether the peer takes the rest is watched here.
        guard stream.pendingByteCount > 0, session.role == .server, let index = streams.index(of: id) else { return }
        if streams[index].unwatchedSince == nil { unwatchedCount += 1 }
        streams[index].unwatchedSince = Deadline.currentNanoseconds
    }

    // MARK: - Output

    /// Makes frames and writes them, as much as the peer takes; true when any byte left.
    private func write() throws(PingoraError) -> Bool {
        var hasMoved = false
        while true {
            if session.wantsOutput, output.byteCount < Self.outputLimit {
                var sink = Sink(connection: self)
                session.produce(limit: Self.outputLimit - output.byteCount, into: &sink)
                session.takeEvents(into: &events)
                if !events.isEmpty { handleEvents() }
            }
            if output.isEmpty { return hasMoved }
            let before = output.byteCount
            do throws(TransportError) {
                let isDone = try stream.tryWrite(&output).hasMoved
                let hasProgressed = output.byteCount < before
                hasMoved = hasMoved || hasProgressed
                guard isDone else {
                    if hasProgressed || blockedSince == nil { blockedSince = Deadline.currentNanoseconds }
                    return hasMoved
                }
                blockedSince = nil
            } catch {
                output.removeAll()
                hasPeerGone = true
                throw PingoraError(error, source: source, retry: .reusedOnly)
            }
        }
    }

    private struct Sink: HTTP2OutputSink {
        let connection: HTTP2Connection

        func append(_ bytes: RawSpan) {
            connection.output.append(copying: bytes)
        }

        func appendBody(of stream: HTTP2.StreamID, count: Int) {
            guard let open = connection.streams.value(of: stream) else { return }
            open.stream.takeOutbound(count) { connection.output.append($0) }
            guard open.unwatchedSince != nil, let index = connection.streams.index(of: stream) else { return }
            connection.streams[index].unwatchedSince = Deadline.currentNanoseconds
        }
    }

    /// Asks the peer for an answer when all else has been said, and listens for nothing but that; it is a notice like another pong.
    package func askForLastWord(_ opaque: UInt64) {
        output.append(Bytes(HTTP2.Session.pingFrame(opaque)))
        lastWord = LastWord(opaque)
    }

    private func listenForLastWord() {
        if input.withBytes({ lastWord?.isIn($0) }) == true { notices.pong = lastWord?.opaque }
        input.consume(input.count)
        input.releaseIfEmpty()
    }

    /// The answer to a PING, looked for in what comes.
    private struct LastWord {
        let opaque: UInt64
        private let answer: [UInt8]
        private var tail: [UInt8] = []

        init(_ opaque: UInt64) {
            self.opaque = opaque
            answer = HTTP2.Session.pingFrame(opaque, isAnswer: true)
        }

        mutating func isIn(_ bytes: RawSpan) -> Bool {
            tail += Bytes(copying: bytes)
            defer { tail.removeFirst(max(tail.count - answer.count + 1, 0)) }
            return tail.indices.contains { tail[$0...].starts(with: answer) }
        }
    }

    // MARK: - End

    /// Resets streams of whose last bytes the peer has taken nothing for so long, its window being closed.
    ///
    /// - Parameter timeout: in nanoseconds.
    /// - Returns: when to look again.
    package func resetStalled(after timeout: UInt64) -> Deadline {
        var next = Deadline.never
        guard unwatchedCount > 0 else { return next }
        streams.visit { id, open in
            guard let since = open.unwatchedSince else { return }
            let (sum, overflow) = since.addingReportingOverflow(timeout)
            let deadline = overflow ? Deadline.never : Deadline(nanoseconds: sum)
            if deadline.hasPassed { session.reset(id, .cancel) } else { next = min(next, deadline) }
        }
        return next
    }

    /// Ends the connection: its streams fail for this reason, and whoever serves them is woken.
    ///
    /// What is still to be said, a GOAWAY above all, is offered to the peer once.
    func end(_ error: PingoraError?) {
        finish(error)
        close()
    }

    /// Says what is still to be said, and fails the streams; ``close()`` is due then.
    ///
    /// - Returns: whether there is a peer that has yet to read some of it.
    @discardableResult
    package func finish(_ error: PingoraError?) -> Bool {
        let isWritten = (try? write()) != nil && output.isEmpty && !hasPeerGone
        // The peer may have acted on what it has been sent; what it has not may be sent to another.
        streams.visit { _, open in
            open.stream.fail(.connection(error ?? .connectionHasEnded(retry: .reusedOnly)))
        }
        for stream in mailbox.close() + waitingUpgrades.map(\.stream) {
            stream.fail(.connection(error ?? .connectionHasEnded(retry: .decided(true))))
        }
        streams = HTTP2.StreamTable()
        unwatchedCount = 0
        waitingUpgrades = []
        arrivals = []
        output.removeAll()
        return isWritten
    }

    /// Reads and drops what the peer still sends until it closes too, or it is `deadline`.
    ///
    /// Closing with unread bytes makes the kernel send a reset, which can destroy the last response on its way (RFC 9112 9.6).
    package func linger(until deadline: Deadline, parker: Parker) async {
        stream.closeWrite()
        var budget = 4 * Self.outputLimit
        while budget > 0, !deadline.hasPassed, !parker.isCancelled {
            input.consume(input.count)
            guard let result = try? input.fill(from: stream) else { return }
            switch result {
            case .moved(let count): budget -= count
            case .endOfStream: return
            case .wouldBlock: await parker.park(until: deadline)
            }
        }
    }

    /// Closes the socket.
    package func close() {
        input.reclaim()
        stream.close(reset: false)
    }
}
