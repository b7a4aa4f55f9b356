internal import Glibc

/// A mutual-exclusion lock around a value.
///
/// It is a `pthread_mutex_t`, not `Synchronization.Mutex`: that one is as fast, but ThreadSanitizer cannot see it on Linux and
/// reports every use as a race.
@safe public final class Lock<State: ~Copyable>: @unchecked Sendable {
    // SAFETY: `state` is only touched between lock and unlock; the mutex lives at a stable address until deinit.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @exclusivity(unchecked) private var state: State  // the mutex is the exclusivity check

    /// Makes an unlocked lock that guards `initial`.
    public init(_ initial: consuming sending State) {
        let memory = unsafe Memory.allocate(byteCount: MemoryLayout<pthread_mutex_t>.size)
        unsafe mutex = memory.bindMemory(to: pthread_mutex_t.self, capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe state = initial
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe Memory.free(mutex)
    }

    /// Runs `body` with the value while no other thread can.
    ///
    /// `body` must not suspend, resume a continuation, or take the same lock again.
    public func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return unsafe try body(&state)
    }
}
