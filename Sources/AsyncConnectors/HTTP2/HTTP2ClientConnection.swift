internal import AsyncTransport
internal import HTTPCodecs
internal import Synchronization

/// An HTTP/2 connection to an upstream, shared by all requests that it has room for.
///
/// What others see of it: they reserve a stream, leave its request in the stream's mailbox and give the stream back. One task, started
/// by the connector's keeper on the worker that made the connection, owns the socket and speaks the protocol.
package final class HTTP2ClientConnection: Sendable {
    private struct State {
        var activeCount = 0
        var servedCount = 0
        /// How many streams there may be at once: what the peer option says, and the server's setting once it is known.
        var limit: Int
        var isReady = false
        var takesStreams = true
        /// Whether the connector counts it among its idle connections.
        var countsAsIdle = false
        var idleSince: UInt64
        /// Objects of streams that are over: a busy connection makes none.
        var spares: [HTTP2Stream] = []

        func idleExpiry(_ timeout: UInt64) -> UInt64 {
            let (sum, overflow) = idleSince.addingReportingOverflow(timeout)
            return overflow ? .max : sum
        }
    }

    private let state: Lock<State>
    /// The connection on its way to the task that owns it.
    private let handover = Lock<(any ByteStream)?>(nil)
    let mailbox = HTTP2Mailbox()
    /// The worker that made it, by number.
    let worker: Int
    /// Where its task runs.
    let executor: (any TaskExecutor)?
    private let options: HTTP2PeerOptions
    private let idleTimeout: UInt64
    /// What was agreed on in the TLS handshake; nil in the clear.
    let tls: TLSDigest?
    /// Whether the peer may be spoken to in HTTP/1.1 instead.
    let fallsBack: Bool

    /// Streams that may be opened before the server has said how many.
    static let assumedLimit = 100
    private static let spareLimit = 128

    /// - Parameters:
    ///   - stream: the connection, which nobody else uses any more.
    ///   - peer: where it leads.
    init(stream: any ByteStream, peer: any Peer) {
        options = HTTP2PeerOptions(peer.options)
        fallsBack = peer.options.httpVersions == .negotiated
        idleTimeout = peer.options.idleTimeout?.wholeNanoseconds ?? .max
        tls = stream.tls
        worker = ThreadContext.currentIndex ?? 0
        executor = ThreadContext.currentExecutor
        state = Lock(State(limit: 1, idleSince: Deadline.currentNanoseconds))
        handover.withLock { $0 = stream }
    }

    // MARK: - From any worker

    /// Reserves a stream; nil when there is no room, or the connection takes no more.
    func reserve() -> HTTP2Front.Reservation? {
        state.withLock { (state: inout State) -> HTTP2Front.Reservation? in
            guard state.takesStreams, state.activeCount < state.limit else { return nil }
            defer {
                state.activeCount += 1
                state.servedCount += 1
                state.countsAsIdle = false
            }
            return HTTP2Front.Reservation(
                connection: self,
                isReused: state.servedCount > 0,
                wasIdle: state.countsAsIdle,
                spare: state.spares.popLast()
            )
        }
    }

    /// Gives a reserved stream back.
    ///
    /// - Parameter spare: the stream's object, if nobody uses it any more.
    /// - Returns: whether it was the last of a connection that takes more.
    func giveBack(_ spare: consuming HTTP2Stream?) -> Bool {
        let (isLast, takesStreams) = state.withLock { (state: inout State) in
            if let spare = spare.take(), state.spares.count < Self.spareLimit { state.spares.append(spare) }
            state.activeCount -= 1
            if state.activeCount == 0 { state.idleSince = Deadline.currentNanoseconds }
            return (state.activeCount == 0, state.takesStreams)
        }
        // Its task counts the time until it closes.
        if isLast { mailbox.wake() }
        return isLast && takesStreams
    }

    /// Takes note that the connector counts the connection as idle; false when it is not idle any more.
    func countAsIdle() -> Bool {
        state.withLock { (state: inout State) in
            guard state.activeCount == 0, state.takesStreams, !state.countsAsIdle else { return false }
            state.countsAsIdle = true
            return true
        }
    }

    /// Ends being counted as idle; whether it was.
    func countNoMore() -> Bool {
        state.withLock { (state: inout State) in
            defer { state.countsAsIdle = false }
            return state.countsAsIdle
        }
    }

    /// Opens no more streams here, as after one has timed out: the others go on.
    func retire() {
        state.withLock { $0.takesStreams = false }
        mailbox.wake()
    }

    var activeCount: Int { state.withLock { $0.activeCount } }
    var limit: Int { state.withLock { $0.limit } }
    var takesStreams: Bool { state.withLock { $0.takesStreams } }
    /// Whether a stream could be reserved.
    var hasRoom: Bool { state.withLock { $0.takesStreams && $0.activeCount < $0.limit } }
    /// Whether the server's settings have come.
    var isReady: Bool { state.withLock { $0.isReady } }

    // MARK: - The task that owns it

    /// Speaks the protocol until the connection ends, has been idle for too long, or the task is cancelled.
    ///
    /// - Parameters:
    ///   - changed: is called when the server's settings have come, and when no more streams are taken.
    ///   - missedPing: is called if it is given up because a ping was not answered, before anyone can see that it is.
    func run(changed: @Sendable (HTTP2ClientConnection) -> Void, missedPing: @Sendable () -> Void) async {
        guard let stream = handover.withLock({ $0.take() }) else { return }
        await withParker { parker in
            defer { changed(self) }
            do throws(TransportError) {
                try stream.moveToCurrentThread()
            } catch {
                stream.close(reset: false)
                stopTakingStreams()
                let reason = PingoraError(error, source: .upstream, retry: .decided(true))
                for stream in mailbox.close() { stream.fail(.connection(reason)) }
                return
            }
            stream.attach(to: parker)
            let connection = HTTP2Connection(
                stream: stream,
                role: .client,
                settings: options.settings,
                mailbox: mailbox,
                scheme: tls != nil ? .https : .http
            )
            mailbox.attach(owner: parker)
            var pings = PingClock(options)
            let failure = await serve(connection, parker: parker, pings: &pings, changed: changed)
            if pings.hasFailed { missedPing() }
            stopTakingStreams()
            connection.session.goAway(.noError)
            connection.end(failure)
        }
    }

    /// Returns why the connection has ended; nil when nobody needs it any more.
    private func serve(
        _ connection: HTTP2Connection,
        parker: Parker,
        pings: inout PingClock,
        changed: (HTTP2ClientConnection) -> Void
    ) async -> PingoraError? {
        var turns = 0
        while true {
            do throws(PingoraError) {
                let hasMoved = try connection.advance()
                let notices = connection.takeNotices()
                if notices.hasReceived { pings.received(notices.pong) }
                if notices.hasSettings || notices.isGoingAway {
                    note(notices, allowed: connection.session.peerMaximumConcurrentStreams)
                    changed(self)
                }
                if notices.isAtEnd { throw .upstreamHasClosed }
                if parker.isCancelled { throw PingoraError(.cancelled, source: .upstream) }
                if hasMoved {
                    turns += 1
                    // A busy connection lets the others of its worker have a turn.
                    if turns.isMultiple(of: HTTP2Connection.turnsInARow) { await Task.yield() }
                    continue
                }
                if try pings.beat(connection.session) { continue }
            } catch {
                return error
            }
            if connection.isFinished { return connection.failure }
            if closeIfIdle() { return nil }
            await parker.park(until: min(pings.deadline, idleDeadline))
        }
    }

    private func note(_ notices: HTTP2Connection.Notices, allowed: Int) {
        state.withLock { (state: inout State) in
            if notices.hasSettings {
                state.isReady = true
                state.limit = min(options.maximumStreams, allowed)
            }
            if notices.isGoingAway { state.takesStreams = false }
        }
    }

    private func stopTakingStreams() {
        state.withLock { $0.takesStreams = false }
    }

    /// Whether nobody uses the connection and nobody shall; from then on nobody can.
    private func closeIfIdle() -> Bool {
        state.withLock { (state: inout State) in
            guard state.activeCount == 0 else { return false }
            if state.takesStreams, Deadline.currentNanoseconds < state.idleExpiry(idleTimeout) { return false }
            state.takesStreams = false
            return true
        }
    }

    private var idleDeadline: Deadline {
        state.withLock { (state: inout State) in
            state.activeCount > 0 ? .never : Deadline(nanoseconds: state.idleExpiry(idleTimeout))
        }
    }
}

extension PingoraError {
    /// The socket has ended: a stream that had no answer yet may be tried elsewhere if the connection had been used before.
    fileprivate static var upstreamHasClosed: PingoraError {
        PingoraError(
            .connectionClosed,
            source: .upstream,
            retry: .reusedOnly,
            context: "upstream closed the HTTP/2 connection"
        )
    }
}
