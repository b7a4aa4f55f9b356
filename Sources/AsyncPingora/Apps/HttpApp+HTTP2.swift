internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs

// An HTTP/2 connection: this task owns it, and each stream is served by a child task of its own.

extension HttpApp {
    /// Serves the connection's streams until it ends.
    ///
    /// - Parameters:
    ///   - connection: the client's.
    ///   - input: what has been read of it already.
    func serveHTTP2(_ connection: ServerConnection, input: consuming MessageInput) async {
        let facts = HTTP2ConnectionFacts(connection, options: optionsSource)
        let http2 = HTTP2Connection(
            stream: connection.stream,
            input: input,
            role: .server,
            settings: facts.options.options.http2,
            mailbox: HTTP2Mailbox()
        )
        http2.mailbox.attach(owner: connection.parker)
        await withDiscardingTaskGroup { group in
            let tasks = StreamTasks()
            let end = await run(http2, connection, facts, tasks, in: &group)
            let mayBeReading = http2.finish(end.error)
            tasks.close()
            if mayBeReading, !end.hasParted {
                let timeout = facts.options.options.lingeringTimeout
                await http2.linger(until: .after(timeout), parker: connection.parker)
            }
            http2.close()
        }
    }

    /// Why a connection has ended, if it could have gone on, and whether the client has read all it was sent, or has had its time to.
    private typealias End = (error: PingoraError?, hasParted: Bool)

    /// Moves bytes and starts streams until the connection is over.
    private func run(
        _ http2: HTTP2Connection,
        _ connection: ServerConnection,
        _ facts: HTTP2ConnectionFacts,
        _ tasks: StreamTasks,
        in group: inout DiscardingTaskGroup
    ) async -> End {
        let drain = connection.drain
        var turns = 0
        var end = HTTP2ServerEnd(facts.options)
        while true {
            do throws(PingoraError) {
                let hasMoved = try http2.advance()
                http2.takeArrivals { arrival in
                    end.count(http2, limit: facts.options.options.keepAliveRequestLimit)
                    if tasks.assign(arrival) { return }
                    group.addTask { await serve(arrival, tasks, facts: facts, drain: drain) }
                }
                let notices = http2.takeNotices()
                if notices.isAtEnd { throw PingoraError(.connectionClosed, source: .downstream) }
                if drain.isDraining { end.drain(http2, pong: notices.pong) }
                end.hear(notices.pong)
                // However busy the client keeps it.
                if connection.parker.isCancelled { throw PingoraError(.cancelled, source: .downstream) }
                if hasMoved || http2.mustWrite {
                    turns += 1
                    // A busy connection lets the others of its worker have a turn.
                    if turns.isMultiple(of: HTTP2Connection.turnsInARow) { await Task.yield() }
                    continue
                }
                if end.hasParted { return (nil, true) }
                if http2.isFinished, !end.mayPart(http2) { return (nil, false) }
                guard let deadline = try end.nextDeadline(http2) else { continue }
                await connection.parker.park(until: deadline)
            } catch {
                return (error, end.isParting)
            }
        }
    }

    /// Serves a stream, and then others.
    private func serve(
        _ first: HTTP2Connection.Arrival,
        _ tasks: StreamTasks,
        facts: HTTP2ConnectionFacts,
        drain: DrainState
    ) async {
        await withParker { parker in
            // Nothing is kept from stream to stream: which follows which is chance.
            let context = HttpConnectionContext()
            var next: HTTP2Connection.Arrival? = first
            while next != nil {
                await serve(&next, parker: parker, context: context, facts: facts, drain: drain)
                next = await tasks.next(parker)
            }
        }
    }

    /// Takes the stream, so that the session alone has its head, whose memory can then be used again.
    private func session(
        for arrival: inout HTTP2Connection.Arrival?,
        parker: Parker,
        facts: HTTP2ConnectionFacts
    ) -> HTTP2ServerSession? {
        guard let taken = arrival.take() else { return nil }
        return HTTP2ServerSession(taken, parker: parker, facts: facts)
    }

    /// Serves a stream and lets go of it: while a task waits for the next one it keeps nothing of the last.
    private func serve(
        _ arrival: inout HTTP2Connection.Arrival?,
        parker: Parker,
        context: HttpConnectionContext,
        facts: HTTP2ConnectionFacts,
        drain: DrainState
    ) async {
        guard let downstream = session(for: &arrival, parker: parker, facts: facts) else { return }
        metrics?.connections.streamBegan()
        await serve(downstream, connection: context, drain: drain)
        metrics?.connections.streamEnded()
        downstream.end()
    }
}

/// When an HTTP/2 client's connection ends, other than by the client.
private struct HTTP2ServerEnd {
    private let timeouts: ServerTimeouts
    /// How long the client may take to answer the last ping, in nanoseconds.
    private let lingering: UInt64
    private var idleDeadline = Deadline.never
    private var phase = Phase.open
    private var requestCount = 0

    private enum Phase {
        case open
        /// New streams are still served; the deadline ends that. If none was open then, it is noted how many requests had come.
        case announced(until: Deadline, quietAfter: Int?)
        case final
        /// All has been said; the client is asked whether it has read it.
        case parting(until: Deadline)
        case parted
    }

    /// How long after the announcement new streams are served, unless the client shows that it has got it.
    private static let announcement: UInt64 = 1_000_000_000
    private static let drainPing: UInt64 = 0x6472_6169_6E
    private static let partingPing: UInt64 = 0x7061_7274

    init(_ options: SharedServerOptions) {
        timeouts = options.timeouts
        lingering = options.options.lingeringTimeout.wholeNanoseconds
    }

    /// The service ends: the client is told, then told which stream was the last (RFC 9113 6.8).
    mutating func drain(_ http2: HTTP2Connection, pong: UInt64?) {
        switch phase {
        case .open:
            http2.session.announceShutdown()
            http2.session.ping(Self.drainPing)
            let quietAfter = http2.streamCount == 0 ? requestCount : nil
            phase = .announced(until: .after(nanoseconds: Self.announcement), quietAfter: quietAfter)
        case .announced(let deadline, let quietAfter) where pong == Self.drainPing || deadline.hasPassed:
            // Before the GOAWAY: a client that has no streams may be done with the connection when it has seen that.
            if quietAfter != requestCount, http2.streamCount == 0 { part(http2) } else { phase = .final }
            http2.session.goAway(.noError)
            // Nothing but GOAWAYs has been sent for as long as it takes the client to answer.
            if quietAfter == requestCount { phase = .parted }
        case .announced, .final, .parting, .parted:
            break
        }
    }

    private mutating func part(_ http2: HTTP2Connection) {
        http2.askForLastWord(Self.partingPing)
        phase = .parting(until: .after(nanoseconds: lingering))
    }

    /// A client that answers the last ping has read all that came before it: closing can destroy nothing.
    mutating func hear(_ pong: UInt64?) {
        if case .parting = phase, pong == Self.partingPing { phase = .parted }
    }

    var hasParted: Bool {
        if case .parted = phase { true } else { false }
    }

    var isParting: Bool {
        switch phase {
        case .parting, .parted: true
        case .open, .announced, .final: false
        }
    }

    /// Whether a connection on which nothing more is expected may still carry the last ping and its answer.
    func mayPart(_ http2: HTTP2Connection) -> Bool {
        if http2.session.isTerminated { return false }
        if case .final = phase { return true }
        return isParting
    }

    /// A request has come: the one that reaches the limit is the last.
    mutating func count(_ http2: HTTP2Connection, limit: Int?) {
        requestCount += 1
        guard let limit, requestCount == limit else { return }
        http2.session.goAway(.noError)
        phase = .final
    }

    /// Until when the connection may wait; nil when there is something to write first.
    ///
    /// - Throws: when the client has been idle, or has taken nothing, for too long; quietly when a connection that has no streams left has
    ///   not been closed by its client in its time.
    mutating func nextDeadline(_ http2: HTTP2Connection) throws(PingoraError) -> Deadline? {
        if case .final = phase, http2.streamCount == 0, !http2.isBlocked {
            part(http2)
            return nil
        }
        if case .parting(let until) = phase, until.hasPassed { throw PingoraError(.connectionClosed) }
        if http2.streamCount > 0 {
            idleDeadline = .never
        } else if idleDeadline == .never {
            idleDeadline = .after(nanoseconds: timeouts.keepAlive)
        }
        let (sum, overflow) = (http2.blockedSince ?? .max).addingReportingOverflow(timeouts.write)
        let writeDeadline = Deadline(nanoseconds: overflow ? .max : sum)
        if writeDeadline.hasPassed { throw PingoraError(.writeTimedOut, source: .downstream) }
        if idleDeadline.hasPassed {
            http2.session.goAway(.noError)
            throw PingoraError(.readTimedOut, source: .downstream, context: "idle")
        }
        var deadline = min(min(idleDeadline, writeDeadline), http2.resetStalled(after: timeouts.write))
        switch phase {
        case .announced(let until, _), .parting(let until): deadline = min(deadline, until)
        case .open, .final, .parted: break
        }
        return http2.mustWrite ? nil : deadline
    }
}

extension HTTP2ConnectionFacts {
    fileprivate convenience init(_ connection: ServerConnection, options: ServerOptionsSource) {
        self.init(
            options: options.current,
            optionsSource: options,
            clientAddress: connection.clientAddress,
            serverAddress: connection.serverAddress,
            tls: connection.tls
        )
    }
}
