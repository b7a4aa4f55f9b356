internal import CNonBlockingIO
internal import Synchronization

/// A mutual-exclusion lock around a value.
///
/// Not `Synchronization.Mutex`: ThreadSanitizer cannot see that one on Linux, and reports every use as a race. Here it sees the
/// atomic operations, for they are compiled into this module.
@safe public final class Lock<State: ~Copyable>: @unchecked Sendable {
    // SAFETY: `state` is only touched between lock and unlock. The word is a part of the object, so its address lasts as long.
    private let word = Atomic<UInt32>(LockWord.free)
    @exclusivity(unchecked) private var state: State  // the lock is the exclusivity check

    /// Makes an unlocked lock that guards `initial`.
    public init(_ initial: consuming sending State) {
        unsafe state = initial
    }

    /// Runs `body` with the value while no other thread can.
    ///
    /// `body` must not suspend, resume a continuation, or take the same lock again.
    public func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let isLocked = word.compareExchange(
            expected: LockWord.free,
            desired: LockWord.held,
            ordering: .acquiring
        ).exchanged
        if !isLocked { wait() }
        defer { if word.exchange(LockWord.free, ordering: .releasing) == LockWord.contended { wakeOne() } }
        return unsafe try body(&state)
    }

    @inline(never)
    private func wait() {
        // Who has waited cannot know whether others do: the lock stays marked, at the price of a call too many.
        while word.exchange(LockWord.contended, ordering: .acquiring) != LockWord.free {
            unsafe withUnsafePointer(to: word) { unsafe cnbio_wait_while_equal($0, LockWord.contended) }
        }
    }

    @inline(never)
    private func wakeOne() {
        unsafe withUnsafePointer(to: word) { unsafe cnbio_wake_one($0) }
    }
}

/// What a lock's word says.
private enum LockWord {
    static let free: UInt32 = 0
    static let held: UInt32 = 1
    /// Held, and others may be waiting.
    static let contended: UInt32 = 2
}
