internal import AsyncTransport

/// A peer's HTTP/2 connections, and those that are being made.
///
/// Requests that find no room while a connection is being made wait for it, as many as it is likely to have room for: a burst of first
/// requests opens few connections instead of one each.
final class HTTP2Front: Sendable {
    private struct State {
        var connections: [HTTP2ClientConnection] = []
        var dials: [Dial] = []
        /// How many streams the server allowed last time.
        var knownLimit: Int?
        /// Until when the peer is spoken to in HTTP/1.1 because HTTP/2 did not work, in nanoseconds.
        var avoidedUntil: UInt64 = 0
    }

    private let state = Lock(State())

    /// How long a peer that wanted HTTP/1.1, or did not speak HTTP/2 well, is remembered.
    private static let memory: UInt64 = 300_000_000_000

    // MARK: - Reserving

    /// A stream on a connection, not yet opened.
    struct Reservation {
        let connection: HTTP2ClientConnection
        let isReused: Bool
        /// Whether the connection was idle, and counted as such, until now.
        let wasIdle: Bool
        /// The object of a stream that is over, to be used for this one.
        let spare: HTTP2Stream?
    }

    /// Reserves a stream: on the worker's own connection if one has room, else on any that has.
    func reserve(worker: Int) -> Reservation? {
        let connections = state.withLock { $0.connections }
        for isOwn in [true, false] {
            for connection in connections where (connection.worker == worker) == isOwn {
                if let reservation = connection.reserve() { return reservation }
            }
        }
        return nil
    }

    /// Whether the peer is to be spoken to in HTTP/1.1 for now.
    var isAvoided: Bool { state.withLock { $0.avoidedUntil } > Deadline.currentNanoseconds }

    /// Remembers for some minutes that the peer does not do HTTP/2 well.
    ///
    /// What has begun on its connections goes on, and they take nothing new.
    func avoid() {
        let until = Deadline.after(nanoseconds: Self.memory).nanoseconds
        let connections = state.withLock { (state: inout State) in
            state.avoidedUntil = until
            return state.connections
        }
        for connection in connections { connection.retire() }
    }

    // MARK: - Dialling

    /// A connection that is being made, and the requests that wait for it.
    final class Dial: Sendable {
        /// What came of it.
        enum Outcome {
            /// A connection is there, or has been: look again.
            case settled
            /// The server chose HTTP/1.1.
            case http1
            case failed(PingoraError)
        }

        private struct State {
            var outcome: Outcome?
            var waiting: [Parker] = []
        }

        private let state = Lock(State())

        var outcome: Outcome? { state.withLock { $0.outcome } }

        /// Has `parker` woken when the outcome is there.
        func add(_ parker: Parker) {
            let isOver = state.withLock { (state: inout State) in
                state.waiting.append(parker)
                return state.outcome != nil
            }
            if isOver { parker.unpark() }
        }

        fileprivate func finish(_ outcome: Outcome) {
            let waiting = state.withLock { (state: inout State) -> [Parker] in
                guard state.outcome == nil else { return [] }
                state.outcome = outcome
                defer { state.waiting = [] }
                return state.waiting
            }
            for parker in waiting { parker.unpark() }
        }

        fileprivate let promisedCount = Lock(1)
        fileprivate let connection = Lock<HTTP2ClientConnection?>(nil)
    }

    /// What a request does that has found no room.
    enum Turn {
        /// It makes a connection, and says what came of it by ``finish(_:_:)`` or ``add(_:by:)``.
        case dials(Dial)
        /// It waits for one that is being made.
        case waits(Dial)
        /// A connection has got room since it looked.
        case looksAgain
    }

    /// Decides whether a request waits for a connection that is being made, or makes one.
    ///
    /// - Parameter limit: how many streams a connection may have by the peer's options.
    /// - Returns: the dial, and whose it is.
    func join(limit: Int) -> Turn {
        state.withLock { (state: inout State) in
            // Its settings came between the caller's look and this one, and its dial is gone.
            if state.connections.contains(where: \.hasRoom) { return .looksAgain }
            let expected = min(limit, state.knownLimit ?? HTTP2ClientConnection.assumedLimit)
            for dial in state.dials {
                let hasRoom = dial.promisedCount.withLock { (promised: inout Int) in
                    guard promised < expected else { return false }
                    promised += 1
                    return true
                }
                if hasRoom { return .waits(dial) }
            }
            let dial = Dial()
            state.dials.append(dial)
            return .dials(dial)
        }
    }

    /// The dial has come to nothing, or to an HTTP/1.1 connection.
    func finish(_ dial: Dial, _ outcome: Dial.Outcome) {
        state.withLock { $0.dials.removeAll { $0 === dial } }
        dial.finish(outcome)
    }

    /// The dial has come to a connection; those that wait go on once its server has said how many streams it allows.
    func add(_ connection: HTTP2ClientConnection, by dial: Dial) {
        dial.connection.withLock { $0 = connection }
        state.withLock { $0.connections.append(connection) }
        if connection.isReady || !connection.takesStreams { changed(connection) }
    }

    /// The server's settings have come, or the connection takes no more streams.
    func changed(_ connection: HTTP2ClientConnection) {
        let settled = state.withLock { (state: inout State) -> [Dial] in
            if connection.isReady { state.knownLimit = connection.limit }
            if !connection.takesStreams { state.connections.removeAll { $0 === connection } }
            let settled = state.dials.filter { $0.connection.withLock { $0 } === connection }
            state.dials.removeAll { dial in settled.contains { $0 === dial } }
            return settled
        }
        for dial in settled { dial.finish(.settled) }
    }

    // MARK: - Facts

    /// Whether there is no connection and none is being made.
    var isEmpty: Bool { state.withLock { $0.connections.isEmpty && $0.dials.isEmpty } }

    /// The connections that take streams.
    var connections: [HTTP2ClientConnection] { state.withLock { $0.connections } }
}
