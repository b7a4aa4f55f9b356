internal import AsyncTransport
internal import Glibc

/// One direction between two memory streams: bytes in order, up to a capacity, and the parkers at both ends.
final class MemoryPipe: Sendable {
    struct State {
        var bytes: [UInt8] = []
        /// How many of `bytes` have been read.
        var consumed = 0
        var capacity: Int
        /// The writer will write no more.
        var isFinished = false
        /// Why neither end can go on; nil while both can.
        var failure: Int32?
        /// The reader has closed: bytes written now go nowhere and break the pipe.
        var isReaderGone = false
        var reader = End()
        var writer = End()

        var available: Int { bytes.count - consumed }
        var room: Int { max(capacity - available, 0) }
        var isReadable: Bool { available > 0 || isFinished || failure != nil }
        var isWritable: Bool { room > 0 || failure != nil || isReaderGone }
    }

    /// Who is to be woken at one end, and whether it waits.
    struct End {
        var parker: Parker?
        var waits = false
    }

    private let state: Lock<State>

    init(capacity: Int) {
        state = Lock(State(capacity: capacity))
    }

    /// Changes the state, then wakes whoever waited for what has become possible.
    func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var woken: [Parker] = []
        defer { for parker in woken { parker.unpark() } }
        return try state.withLock { (state: inout State) throws(Failure) -> Result in
            defer {
                if state.reader.waits, state.isReadable { Self.wake(&state.reader, into: &woken) }
                if state.writer.waits, state.isWritable { Self.wake(&state.writer, into: &woken) }
            }
            return try body(&state)
        }
    }

    private static func wake(_ end: inout End, into woken: inout [Parker]) {
        end.waits = false
        if let parker = end.parker { woken.append(parker) }
    }

    /// Takes at most `limit` bytes; empty when there are none.
    func take(limit: Int) -> [UInt8] {
        update { state in
            let count = min(limit, state.available)
            let taken = Array(state.bytes[state.consumed..<state.consumed + count])
            state.consumed += count
            if state.consumed == state.bytes.count {
                state.bytes.removeAll(keepingCapacity: true)
                state.consumed = 0
            }
            return taken
        }
    }

    /// Breaks the pipe for both ends and drops what was on its way, as a reset does.
    func fail(_ number: Int32) {
        update { state in
            state.failure = state.failure ?? number
            state.bytes = []
            state.consumed = 0
        }
    }
}
