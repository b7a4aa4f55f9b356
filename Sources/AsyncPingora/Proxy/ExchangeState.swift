internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs

/// Where one attempt stands: what is done in each direction, what is waited for, and until when.
struct ExchangeState {
    /// Where the next attempt of the request body begins: an index into what was recorded, then beyond it.
    var bodyCursor = 0
    var isRequestDone = false
    var isUpstreamFlushed = false
    var hasHead = false
    var isResponseDone = false
    var isFlushed = false
    var isTunnel = false
    /// The response goes on when the client has taken some of it.
    var isWaitingForRoom = false
    /// The request goes on when the client has sent some more.
    var isReadingClient = false
    var closesUpstreamWhenFlushed = false
    var closesClientWhenFlushed = false
    /// Why the request could not be sent, kept while a response may still come.
    var sendError: PingoraError?

    private var clientRead = Deadline.never
    private var clientWrite = SendClock()
    private var upstreamRead = Deadline.never
    private var upstreamWrite = Deadline.never

    /// A message ends with its response; a tunnel when both sides have closed.
    var isFinished: Bool { isResponseDone && isFlushed && (!isTunnel || isRequestDone) }

    /// Whether a direction that waited for room has got it by the last flush: no event will tell of that again.
    var canGoOn: Bool {
        (isFlushed && isWaitingForRoom) || (isUpstreamFlushed && !isRequestDone && !isReadingClient)
    }

    // MARK: - Progress restarts a direction's clock

    mutating func clientHasSent() {
        isReadingClient = false
        clientRead = .never
        if isTunnel { upstreamRead = .never }
    }

    /// The request goes on when the upstream has taken some of it; the client may have sent more by then, and nobody has looked.
    mutating func awaitsUpstreamRoom() {
        isReadingClient = false
        clientRead = .never
    }

    mutating func clientHasTaken(_ count: Int) {
        if isFlushed { clientWrite.stop() } else { clientWrite.clientHasTaken(count) }
    }

    mutating func upstreamHasSent() {
        upstreamRead = .never
        if isTunnel { clientRead = .never }
    }

    mutating func upstreamHasTaken() {
        upstreamWrite = .never
    }

    // MARK: - Waiting

    /// When to look again at the latest; throws if the client has gone.
    @inline(never)  // docs/workarounds.md, 1
    mutating func beginWait(_ session: Session, peer: HttpPeer) throws(PingoraError) -> Deadline {
        try checkClient(session)
        let downstream = session.downstream
        let client = downstream.timeouts
        // A tunnel may be silent as long as its upstream may; once that has closed, the client's time to follow is limited.
        if isReadingClient, !isTunnel || isResponseDone, clientRead == .never {
            clientRead = .after(nanoseconds: client.bodyRead)
        }
        if !isFlushed { clientWrite.run(for: downstream) }
        if !isUpstreamFlushed, upstreamWrite == .never { upstreamWrite = .after(nanoseconds: peer.timeouts.write) }
        // The upstream may be silent as long as it has no whole request to answer, and while the client keeps it waiting.
        let awaitsUpstream = ((isRequestDone && isUpstreamFlushed) || hasHead) && !isResponseDone && !isWaitingForRoom
        if awaitsUpstream, upstreamRead == .never { upstreamRead = .after(nanoseconds: peer.timeouts.read) }
        return min(min(clientRead, clientWrite.deadline), min(upstreamRead, upstreamWrite))
    }

    /// Throws if what ended the wait is that time is up, the client has gone, or the task was cancelled.
    @inline(never)  // docs/workarounds.md, 1
    func endWait(_ session: Session, _ upstream: any UpstreamSession) throws(PingoraError) {
        if session.downstream.parker.isCancelled { throw PingoraError(.cancelled) }
        try checkClient(session)
        if clientWrite.deadline.hasPassed { throw PingoraError(.writeTimedOut, source: .downstream) }
        if upstreamWrite.hasPassed { throw PingoraError(.writeTimedOut, source: .upstream) }
        if upstreamRead.hasPassed, !upstream.mayBeReadable {
            throw PingoraError(.readTimedOut, source: .upstream)
        }
        if clientRead.hasPassed { throw PingoraError(.readTimedOut, source: .downstream) }
    }

    private func checkClient(_ session: Session) throws(PingoraError) {
        guard !isTunnel, session.abortsOnClose, session.downstream.isHungUp else { return }
        throw .clientGone
    }
}

extension PingoraError {
    /// Nobody waits for the answer any more.
    static var clientGone: PingoraError {
        PingoraError(.connectionClosed, source: .downstream, context: "the client has gone")
    }
}
