extension HTTP2 {
    /// What a session knows of a stream besides what nghttp2 does.
    struct StreamState {
        var id: StreamID
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

    /// Streams by number: a hash table with open addressing, for a dictionary would cost more than all else that is done here.
    @safe @usableFromInline package struct StreamTable<Value>: ~Copyable {
        // SAFETY: both blocks have room for `mask + 1` entries and belong to this value alone; every index is masked. All ids are
        // initialised, 0 where the place is free; a value is where the id is not 0.
        @usableFromInline var ids: UnsafeMutablePointer<StreamID>
        @usableFromInline var values: UnsafeMutablePointer<Value>
        @usableFromInline var mask: Int
        /// What remains of a hash: as many of its highest bits as the mask has.
        @usableFromInline var shift: UInt32
        @usableFromInline package internal(set) var count = 0

        @inlinable package init() {
            mask = 7
            shift = 29
            unsafe ids = .allocate(capacity: 8)
            unsafe ids.initialize(repeating: 0, count: 8)
            unsafe values = .allocate(capacity: 8)
        }

        @inlinable deinit {
            for index in 0...mask where unsafe ids[index] != 0 { unsafe (values + index).deinitialize(count: 1) }
            unsafe ids.deallocate()
            unsafe values.deallocate()
        }

        @inlinable package var isEmpty: Bool { count == 0 }

        // Numbers follow each other. This scatters them evenly: side by side they would be one long run, to be gone through whenever one
        // is taken out.
        @inlinable func home(of id: StreamID) -> Int {
            Int(((UInt32(bitPattern: id) &>> 1) &* 0x9E37_79B1) &>> shift) & mask
        }

        /// Where the stream is; valid until the table is changed.
        @inlinable package func index(of id: StreamID) -> Int? {
            var index = home(of: id)
            while true {
                let found = unsafe ids[index]
                if found == id { return id == 0 ? nil : index }
                if found == 0 { return nil }
                index = (index + 1) & mask
            }
        }

        @inlinable package subscript(index: Int) -> Value {
            get {
                precondition(unsafe ids[index & mask] != 0)
                return unsafe values[index & mask]
            }
            _modify {
                precondition(unsafe ids[index & mask] != 0)
                yield unsafe &values[index & mask]
            }
        }

        /// The stream's entry; nil when it is not there.
        @inlinable package func value(of id: StreamID) -> Value? {
            guard let index = index(of: id) else { return nil }
            return self[index]
        }

        /// Calls `body` with each stream, in no order.
        @inlinable package func visit(_ body: (StreamID, Value) -> Void) {
            guard count > 0 else { return }
            for index in 0...mask where unsafe ids[index] != 0 { unsafe body(ids[index], values[index]) }
        }

        /// Enters a stream that is not there yet; its number is not 0.
        @inlinable package mutating func insert(_ value: consuming Value, for id: StreamID) {
            precondition(id != 0)
            // At most half full, so that looking up stays short and always finds a free place.
            if (count + 1) * 2 > mask + 1 { grow() }
            let index = freePlace(for: id)
            unsafe ids[index] = id
            unsafe (values + index).initialize(to: value)
            count += 1
        }

        @inlinable func freePlace(for id: StreamID) -> Int {
            var index = home(of: id)
            while unsafe ids[index] != 0 { index = (index + 1) & mask }
            return index
        }

        @inlinable mutating func grow() {
            let (oldIDs, oldValues, oldMask) = unsafe (ids, values, mask)
            mask = mask * 2 + 1
            shift -= 1
            unsafe ids = .allocate(capacity: mask + 1)
            unsafe ids.initialize(repeating: 0, count: mask + 1)
            unsafe values = .allocate(capacity: mask + 1)
            for old in 0...oldMask where unsafe oldIDs[old] != 0 {
                let index = unsafe freePlace(for: oldIDs[old])
                unsafe ids[index] = unsafe oldIDs[old]
                unsafe (values + index).moveInitialize(from: oldValues + old, count: 1)
            }
            unsafe oldIDs.deallocate()
            unsafe oldValues.deallocate()
        }

        /// Takes a stream out; nil when it is not there.
        @discardableResult
        @inlinable package mutating func remove(_ id: StreamID) -> Value? {
            guard var hole = index(of: id) else { return nil }
            let removed = unsafe (values + hole).move()
            count -= 1
            // Those behind move up, unless that would put them before their home.
            var next = (hole + 1) & mask
            while unsafe ids[next] != 0 {
                let distance = unsafe (next - home(of: ids[next])) & mask
                if distance >= (next - hole) & mask {
                    unsafe ids[hole] = unsafe ids[next]
                    unsafe (values + hole).moveInitialize(from: values + next, count: 1)
                    hole = next
                }
                next = (next + 1) & mask
            }
            unsafe ids[hole] = 0
            return removed
        }
    }
}
