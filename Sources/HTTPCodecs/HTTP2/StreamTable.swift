extension HTTP2 {
    /// What a session knows of a stream besides what nghttp2 does.
    struct StreamState {
        /// The stream; 0 in a place of the table that is free.
        var id: StreamID = 0
        var flags: StreamFlags = []
        /// Bytes of the body that the owner has ready and that have not been put into frames.
        var offeredCount = 0
    }

    struct StreamFlags: OptionSet {
        let rawValue: UInt8
        /// No more of the body will be offered.
        static let isBodyEnded = StreamFlags(rawValue: 1)
        /// nghttp2 has been told to wait for the body.
        static let isDeferred = StreamFlags(rawValue: 2)
        /// An extended CONNECT (RFC 8441), an upgrade in memory.
        static let isExtendedConnect = StreamFlags(rawValue: 4)
        /// A CONNECT.
        static let isConnect = StreamFlags(rawValue: 8)
        /// The final response has been received or submitted.
        static let hasFinalHead = StreamFlags(rawValue: 16)
        /// The peer has reset the stream.
        static let isResetByPeer = StreamFlags(rawValue: 32)
        /// Nobody reads the peer's message to its end.
        static let isUnread = StreamFlags(rawValue: 64)
    }

    /// The open streams by number: a hash table with open addressing, for a dictionary would cost more than all else that is done here.
    @safe struct StreamTable: ~Copyable {
        // SAFETY: `entries` has room for `mask + 1` entries, all initialised, and belongs to this value alone; every index is masked.
        private var entries: UnsafeMutablePointer<StreamState>
        private var mask: Int
        private(set) var count = 0

        init() {
            mask = 7
            unsafe entries = .allocate(capacity: 8)
            unsafe entries.initialize(repeating: StreamState(), count: 8)
        }

        deinit {
            unsafe entries.deallocate()
        }

        // Requests have odd numbers, each two more than the one before.
        private func home(of id: StreamID) -> Int { Int(id) >> 1 & mask }

        /// Where the stream is; valid until the table is changed.
        func index(of id: StreamID) -> Int? {
            var index = home(of: id)
            while true {
                let found = unsafe entries[index].id
                if found == id { return id == 0 ? nil : index }
                if found == 0 { return nil }
                index = (index + 1) & mask
            }
        }

        subscript(index: Int) -> StreamState {
            get { unsafe entries[index & mask] }
            set { unsafe entries[index & mask] = newValue }
        }

        /// Enters a stream that is not there yet.
        mutating func insert(_ state: StreamState) {
            // At most half full, so that looking up stays short and always finds a free place.
            if (count + 1) * 2 > mask + 1 { resize(to: (mask + 1) * 2) }
            place(state)
            count += 1
        }

        private func place(_ state: StreamState) {
            var index = home(of: state.id)
            while unsafe entries[index].id != 0 { index = (index + 1) & mask }
            unsafe entries[index] = state
        }

        private mutating func resize(to capacity: Int) {
            let old = unsafe entries
            let oldCapacity = mask + 1
            unsafe entries = .allocate(capacity: capacity)
            unsafe entries.initialize(repeating: StreamState(), count: capacity)
            mask = capacity - 1
            for index in 0..<oldCapacity where unsafe old[index].id != 0 { unsafe place(old[index]) }
            unsafe old.deallocate()
        }

        /// Takes a stream out; nil when it is not there.
        mutating func remove(_ id: StreamID) -> StreamState? {
            guard var hole = index(of: id) else { return nil }
            let removed = unsafe entries[hole]
            count -= 1
            // Those behind move up, unless that would put them before their home.
            var next = (hole + 1) & mask
            while unsafe entries[next].id != 0 {
                let distance = unsafe (next - home(of: entries[next].id)) & mask
                if distance >= (next - hole) & mask {
                    unsafe entries[hole] = unsafe entries[next]
                    hole = next
                }
                next = (next + 1) & mask
            }
            unsafe entries[hole] = StreamState()
            return removed
        }
    }
}
