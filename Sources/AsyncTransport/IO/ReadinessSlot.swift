internal import CNonBlockingIO
internal import Synchronization

/// What is known of one descriptor's readiness, and which parker to wake when it changes.
///
/// Registered once, edge-triggered. The owner clears `readable` *before* it reads, so an edge that comes meanwhile is kept; after a
/// short read the bit stays clear and the next read parks without a system call to learn that there is nothing.
struct ReadinessSlot: ~Copyable {
    private let state = Atomic<UInt32>(0)
    /// The bits of an `Unmanaged<Parker>`; 0 while nobody is to be woken.
    ///
    /// Parkers are immortal.
    private let parker = Atomic<UInt>(0)

    private static let readable: UInt32 = 1
    private static let writable: UInt32 = 2
    /// The peer has closed at least its sending side.
    ///
    /// Never cleared: from then on a read always tells more.
    private static let hungUp: UInt32 = 4
    private static let waitsToRead: UInt32 = 8
    private static let waitsToWrite: UInt32 = 16

    /// Which descriptor of this number it is, counted in the upper half of the state: events for an earlier one are ignored.
    var generation: UInt32 { state.load(ordering: .relaxed) >> 16 }

    /// Forgets the descriptor that had this slot before.
    func reset(readable: Bool, writable: Bool) {
        parker.store(0, ordering: .relaxed)
        let next = (generation &+ 1) << 16
        state.store(next | (readable ? Self.readable : 0) | (writable ? Self.writable : 0), ordering: .releasing)
    }

    func setParker(_ waiter: Parker?) {
        // SAFETY: parkers are never freed, so the bits stay good for as long as they are kept.
        let bits = waiter.map { unsafe UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque()) } ?? 0
        parker.store(bits, ordering: .releasing)
    }

    var isHungUp: Bool { state.load(ordering: .acquiring) & Self.hungUp != 0 }

    /// Whether something has arrived, or may have, that nobody has read.
    var mayBeReadable: Bool { state.load(ordering: .acquiring) & (Self.readable | Self.hungUp) != 0 }

    /// Takes note that the owner is about to read; false when a read would only learn that nothing is there.
    func beginRead() -> Bool {
        let before = state.bitwiseAnd(~(Self.readable | Self.waitsToRead), ordering: .acquiringAndReleasing).oldValue
        return before & (Self.readable | Self.hungUp) != 0
    }

    /// There may be more than the last read took.
    func keepReadable() {
        state.bitwiseOr(Self.readable, ordering: .releasing)
    }

    /// Asks for a wake-up when reading makes sense; true when it does already.
    func awaitReadable() -> Bool {
        let before = state.bitwiseOr(Self.waitsToRead, ordering: .acquiringAndReleasing).oldValue
        return before & (Self.readable | Self.hungUp) != 0
    }

    var isWritable: Bool { state.load(ordering: .acquiring) & Self.writable != 0 }

    /// Asks for a wake-up at the next edge that says writable.
    ///
    /// The caller tries once more after this, in case it has passed.
    func awaitWritable() {
        state.bitwiseAnd(~Self.writable, ordering: .acquiringAndReleasing)
        state.bitwiseOr(Self.waitsToWrite, ordering: .acquiringAndReleasing)
    }

    /// Asks for a wake-up when a connect is through, one way or the other.
    func awaitConnected() {
        state.bitwiseOr(Self.waitsToWrite, ordering: .acquiringAndReleasing)
    }

    func noteWritable() {
        state.bitwiseAnd(~Self.waitsToWrite, ordering: .relaxed)
        state.bitwiseOr(Self.writable, ordering: .relaxed)
    }

    /// Notes what epoll reported and wakes the task that waits for it.
    ///
    /// A hang-up always wakes.
    func signal(events: UInt32, generation: UInt32) {
        var bits: UInt32 = 0
        var waits: UInt32 = 0
        let broken = UInt32(EPOLLERR.rawValue | EPOLLHUP.rawValue)
        let closed = broken | UInt32(EPOLLRDHUP.rawValue)
        if events & (UInt32(EPOLLIN.rawValue) | closed) != 0 {
            bits |= Self.readable
            waits |= Self.waitsToRead
        }
        if events & (UInt32(EPOLLOUT.rawValue) | broken) != 0 {
            bits |= Self.writable
            waits |= Self.waitsToWrite
        }
        if events & closed != 0 { bits |= Self.hungUp }
        var before = state.load(ordering: .relaxed)
        while true {
            guard before >> 16 == generation else { return }
            let (exchanged, original) = state.weakCompareExchange(
                expected: before,
                desired: (before | bits) & ~waits,
                ordering: .acquiringAndReleasing
            )
            if exchanged { break }
            before = original
        }
        guard before & waits != 0 || (bits & ~before) & Self.hungUp != 0 else { return }
        let waiter = unsafe UnsafeRawPointer(bitPattern: parker.load(ordering: .acquiring))
        guard let waiter = unsafe waiter else { return }
        // SAFETY: parkers are never freed.
        unsafe Unmanaged<Parker>.fromOpaque(waiter)._withUnsafeGuaranteedRef { $0.unpark() }
    }
}

/// The slots of all descriptors of the process, found by number and never freed.
///
/// So a pointer to one can travel through the kernel as an event's token.
enum ReadinessTable {
    private static let chunkShift = 10
    private static let chunkCount = 4096

    // SAFETY: chunk pointers go from 0 to a block that is initialised before it is published, and never change again.
    @safe private struct Chunks: @unchecked Sendable {
        let pointers: UnsafeMutablePointer<Atomic<UInt>>

        init() {
            unsafe pointers = .allocate(capacity: ReadinessTable.chunkCount)
            for index in 0..<ReadinessTable.chunkCount { unsafe (pointers + index).initialize(to: Atomic(0)) }
        }
    }

    private static let chunks = Chunks()

    static func slot(of descriptor: Int32) -> UnsafeMutablePointer<ReadinessSlot> {
        let index = Int(descriptor)
        precondition(index >= 0 && index >> chunkShift < chunkCount, "descriptor out of range")
        // SAFETY: the index is within the table, as was just checked, and so is its rest within a chunk; a chunk stays where it is once
        // it is published.
        let cell = unsafe chunks.pointers + index >> chunkShift
        var bits = unsafe cell.pointee.load(ordering: .acquiring)
        if bits == 0 { bits = unsafe install(in: cell) }
        guard let chunk = unsafe UnsafeMutablePointer<ReadinessSlot>(bitPattern: bits) else { fatalError("no chunk") }
        return unsafe chunk + (index & ((1 << chunkShift) - 1))
    }

    private static func install(in cell: UnsafeMutablePointer<Atomic<UInt>>) -> UInt {
        // SAFETY: every slot is initialised before the exchange publishes the block; if another thread's block came first, nobody has
        // seen this one, and slots need no deinitialisation.
        let made = UnsafeMutablePointer<ReadinessSlot>.allocate(capacity: 1 << chunkShift)
        for index in 0..<(1 << chunkShift) { unsafe (made + index).initialize(to: ReadinessSlot()) }
        let bits = UInt(bitPattern: made)
        let (exchanged, original) = unsafe cell.pointee.compareExchange(
            expected: 0,
            desired: bits,
            ordering: .acquiringAndReleasing
        )
        if exchanged { return bits }
        unsafe made.deallocate()
        return original
    }
}
