internal import AsyncTransport

/// A connection on its way between the accept loop and the tasks that serve it.
final class ConnectionSlot: Sendable {
    let worker: Worker?
    private let accepted: AcceptedSocket
    private let counts: ConnectionCounts
    private let connection = Lock<ServerConnection?>(nil)

    init(_ accepted: AcceptedSocket, worker: Worker?, counts: ConnectionCounts) {
        self.accepted = accepted
        self.worker = worker
        self.counts = counts
        counts.begin()
    }

    /// The connection, for the one task that serves it now; nil when it could not be opened.
    func take(drain: DrainState) -> ServerConnection? {
        if let resting = connection.withLock({ $0.take() }) { return resting }
        guard let stream = try? accepted.open() else { return nil }
        let parker = Parker.take()
        drain.add(parker)
        return ServerConnection(stream: stream, parker: parker, drain: drain)
    }

    /// Wakes the connection if it rests.
    func unpark() {
        connection.withLock { $0?.parker }?.unpark()
    }

    func put(_ resting: ServerConnection) {
        connection.withLock { $0 = resting }
    }

    /// Closes the connection for good.
    func end(_ ended: ServerConnection) {
        ended.drain.remove(ended.parker)
        ended.stream.close(reset: false)
        ended.parker.giveBack()
        end()
    }

    /// Gives up a connection that could not be opened.
    func end() {
        worker?.connectionEnded()
        counts.end()
    }
}

/// The connections of an accept loop that are idle and have no task: a socket, a parker and the session's few fields.
///
/// When something arrives for one, its time is up or the service ends, it goes to the accept loop, which gives it a task again.
final class RestingConnections: Sendable {
    private struct State {
        var resting: [ObjectIdentifier: ConnectionSlot] = [:]
        var ready: [ConnectionSlot] = []
        var isClosed = false
        /// How many have come to rest since memory was given back, and when the last one did.
        var restedCount = 0
        var lastRest = Deadline.never
    }

    private let state = Lock(State())
    /// So many connections that have come to rest are worth the time that giving back their memory takes.
    ///
    /// Busy connections use each other's memory; of a burst that has calmed down, most would be kept for ever.
    private static let worthwhileCount = 512
    /// How long none must have come to rest, in nanoseconds.
    private static let calm: UInt64 = 100_000_000
    private let loop: Parker

    /// - Parameter loop: the accept loop's parker.
    init(loop: Parker) {
        self.loop = loop
    }

    /// Lets the connection rest; false when the accept loop has ended.
    func add(_ connection: ServerConnection, slot: ConnectionSlot, until deadline: Deadline) -> Bool {
        let parker = connection.parker
        let id = ObjectIdentifier(slot)
        let isOpen = state.withLock { (state: inout State) -> Bool in
            if state.isClosed { return false }
            slot.put(connection)
            state.resting[id] = slot
            state.restedCount += 1
            state.lastRest = Deadline(nanoseconds: Deadline.currentNanoseconds)
            return true
        }
        guard isOpen else { return false }
        // The loop sleeps without a deadline until then.
        if state.withLock({ $0.restedCount == Self.worthwhileCount }) { loop.unpark() }
        parker.rest(until: deadline) { [self] in awaken(id) }
        return true
    }

    /// Runs once for each connection that rests, by its parker: nobody else ends or serves it.
    private func awaken(_ id: ObjectIdentifier) {
        state.withLock { (state: inout State) in
            if let slot = state.resting.removeValue(forKey: id) { state.ready.append(slot) }
        }
        loop.unpark()
    }

    /// The connections that need a task.
    func takeReady() -> [ConnectionSlot] {
        state.withLock { (state: inout State) in
            if state.ready.isEmpty { return [] }
            defer { state.ready = [] }
            return state.ready
        }
    }

    /// When to look whether memory can be given back; never while that is not worth it.
    var trimsAt: Deadline {
        state.withLock { (state: inout State) in
            guard state.restedCount >= Self.worthwhileCount else { return .never }
            return Deadline(nanoseconds: state.lastRest.nanoseconds + Self.calm)
        }
    }

    /// Gives back the memory that connections which rest now used, if it is time to.
    func trimIfCalm() {
        guard trimsAt.hasPassed else { return }
        state.withLock { $0.restedCount = 0 }
        Memory.giveBackUnused()
    }

    /// Whether none rests any more and none is ready.
    var isEmpty: Bool { state.withLock { $0.resting.isEmpty && $0.ready.isEmpty } }

    /// Lets none rest any more: those that do become ready, by and by, for each is woken by its parker.
    func close() {
        let resting = state.withLock { (state: inout State) in
            state.isClosed = true
            return Array(state.resting.values)
        }
        for slot in resting { slot.unpark() }
    }
}
