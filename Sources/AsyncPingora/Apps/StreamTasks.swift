internal import AsyncConnectors
internal import AsyncTransport

/// The tasks that serve an HTTP/2 connection's streams: one that has served a stream waits a moment for the next.
///
/// Making a task, and the stack that it needs for an exchange, costs about as much as all else that is done for a small request.
final class StreamTasks: Sendable {
    private struct State {
        var waiting: [HTTP2Connection.Arrival] = []
        var idle: [Parker] = []
        var isClosed = false
    }

    private let state = Lock(State())

    /// How long a task waits for another stream: longer than a busy connection pauses, and short, for it keeps its stack.
    private static let patience: UInt64 = 500_000_000

    /// Gives a stream to a task that waits for one; false when none does.
    func assign(_ arrival: HTTP2Connection.Arrival) -> Bool {
        let parker = state.withLock { (state: inout State) -> Parker? in
            guard let parker = state.idle.popLast() else { return nil }
            state.waiting.append(arrival)
            return parker
        }
        parker?.unpark()
        return parker != nil
    }

    /// The next stream for the calling task; nil when it should end.
    func next(_ parker: Parker) async -> HTTP2Connection.Arrival? {
        let deadline = Deadline.after(nanoseconds: Self.patience)
        while true {
            let (arrival, waits) = state.withLock { (state: inout State) -> (HTTP2Connection.Arrival?, Bool) in
                state.idle.removeAll { $0 === parker }
                if let arrival = state.waiting.popLast() { return (arrival, false) }
                guard !state.isClosed, !parker.isCancelled, !deadline.hasPassed else { return (nil, false) }
                state.idle.append(parker)
                return (nil, true)
            }
            guard waits else { return arrival }
            await parker.park(until: deadline)
        }
    }

    /// The connection has ended, and with it the need for tasks that wait.
    func close() {
        let idle = state.withLock { (state: inout State) in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for parker in idle { parker.unpark() }
    }
}
