internal import COpenSSL

/// Sessions of clients without tickets, serialized, so that the workers' contexts can share them.
final class TLSSessionCache: Sendable {
    private struct Entry {
        var session: [UInt8]
        var expiry: UInt64
    }

    private struct State {
        var entries: [[UInt8]: Entry] = [:]
        /// The ids in the order they came, of which those before `oldest` are gone.
        var order: [[UInt8]] = []
        var oldest = 0
    }

    private let state = Lock(State())
    let capacity: Int
    let lifetime: Duration

    init(capacity: Int, lifetime: Duration) {
        self.capacity = capacity
        self.lifetime = lifetime
    }

    /// Remembers a session, instead of the one that came first if there are too many.
    func insert(_ session: OpaquePointer) {
        // SAFETY: the session is the caller's; the first call only measures, the second writes as many bytes into the array.
        let count = Int(unsafe i2d_SSL_SESSION(session, nil))
        guard count > 0, capacity > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: count)
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            var cursor = buffer.baseAddress
            _ = unsafe i2d_SSL_SESSION(session, &cursor)
        }
        var length: UInt32 = 0
        guard let start = unsafe SSL_SESSION_get_id(session, &length), length > 0 else { return }
        let id = unsafe Array(UnsafeBufferPointer(start: start, count: Int(length)))
        let entry = Entry(session: bytes, expiry: Deadline.after(lifetime).nanoseconds)
        state.withLock { (state: inout State) in
            if state.entries.updateValue(entry, forKey: id) == nil { state.order.append(id) }
            while state.entries.count > capacity, state.oldest < state.order.count {
                state.entries[state.order[state.oldest]] = nil
                state.oldest += 1
            }
            // What is gone is dropped when it is the larger part.
            if state.oldest > state.order.count / 2 {
                state.order.removeFirst(state.oldest)
                state.oldest = 0
            }
        }
    }

    /// A new object of a remembered session, which is the caller's; nil when there is none.
    func find(_ id: [UInt8]) -> OpaquePointer? {
        let entry = state.withLock { $0.entries[id] }
        guard let entry, entry.expiry > Deadline.currentNanoseconds else { return nil }
        // SAFETY: it reads the array's bytes during the call.
        return unsafe entry.session.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return unsafe d2i_SSL_SESSION(nil, &cursor, buffer.count)
        }
    }
}
