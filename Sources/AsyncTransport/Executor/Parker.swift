internal import Synchronization

/// Where a task waits: at most one per task, woken by anything that may let the task go on.
///
/// A descriptor becoming ready, a deadline, a peer hanging up, a message in a mailbox, cancellation: each *unparks* the task,
/// which then looks at what it was waiting for and parks again if nothing has changed. Wake-ups are hints. That makes waiting for
/// one of several things (a client's body or an upstream's response) as cheap as waiting for one, without a second task.
///
/// A wake-up that comes while the task runs is kept, once, and makes the next ``park(until:)`` return at once.
@safe package final class Parker: @unchecked Sendable {
    // SAFETY: `continuation` is written by the parked task before it publishes `.parked` and taken by whoever changes
    // `.parked` to `.notified`; `links` is guarded by the reactor's timer lock; `reactor` changes only on the way
    // into and out of the pool, when neither a task nor a wheel uses the parker; all else is atomic.
    private let state = Atomic<UInt8>(Parker.empty)
    private let cancelled = Atomic<Bool>(false)
    @exclusivity(unchecked) private var continuation: UnsafeContinuation<Void, Never>?
    /// Called instead of resuming a task; set and taken like `continuation`.
    @exclusivity(unchecked) private var handler: (@Sendable () -> Void)?
    /// The reactor of the current owner's worker; nil between owners, so that a resting parker keeps no reactor open.
    @exclusivity(unchecked) private var reactor: Reactor?

    /// When to wake at the latest, in nanoseconds; `.max` is never.
    ///
    /// The wheel reads it when it comes by.
    let deadline = Atomic<UInt64>(.max)
    /// The tick this parker is linked at, readable without the lock; `.max` when it is not linked.
    let linkedTick = Atomic<UInt64>(.max)
    @exclusivity(unchecked) var links = Links()

    @safe struct Links {
        var tick = UInt64.max
        var next: Unmanaged<Parker>?
        var previous: Unmanaged<Parker>?
    }

    private static let empty: UInt8 = 0
    private static let notified: UInt8 = 1
    private static let parked: UInt8 = 2

    fileprivate init(reactor: Reactor) {
        unsafe self.reactor = reactor
    }

    /// Whether the task that waits here has been cancelled.
    package var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// Suspends the task until something unparks it or `deadline` comes.
    package func park(until deadline: Deadline = .never) async {
        if state.exchange(Self.empty, ordering: .acquiring) == Self.notified { return }
        if deadline != .never { arm(deadline.nanoseconds) }
        // The plain function makes sure of the executor once more before it suspends (docs/workarounds.md, 6).
        await unsafe _unsafeInheritExecutor_withUnsafeContinuation { continuation in
            unsafe self.continuation = continuation
            let (exchanged, _) = state.compareExchange(
                expected: Self.empty,
                desired: Self.parked,
                ordering: .acquiringAndReleasing
            )
            if !exchanged {
                unsafe self.continuation = nil
                unsafe continuation.resume()
            }
        }
        // An exchange, not a store: what a wake-up announced between the first one and now must be visible to the looks that follow.
        _ = state.exchange(Self.empty, ordering: .acquiringAndReleasing)
        if deadline != .never { self.deadline.store(.max, ordering: .relaxed) }
    }

    /// Waits without a task: `handler` is called once, on the thread that unparks, when something does or `deadline` comes.
    ///
    /// For what rests for long: a suspended task keeps the stack memory of its deepest moment, some kilobytes, for as long as it lives.
    package func rest(until deadline: Deadline, handler: @escaping @Sendable () -> Void) {
        if state.exchange(Self.empty, ordering: .acquiringAndReleasing) == Self.notified { return handler() }
        unsafe self.handler = handler
        if deadline != .never { arm(deadline.nanoseconds) }
        let (exchanged, _) = state.compareExchange(
            expected: Self.empty,
            desired: Self.parked,
            ordering: .acquiringAndReleasing
        )
        if !exchanged, let handler = unsafe self.handler.take() { handler() }
    }

    /// Lets the task that waits here look again; callable from any thread, cheap when it is not waiting.
    package func unpark() {
        guard state.exchange(Self.notified, ordering: .acquiringAndReleasing) == Self.parked else { return }
        if let waiting = unsafe continuation {
            unsafe continuation = nil
            unsafe waiting.resume()
        } else if let handler = unsafe handler.take() {
            handler()
        }
    }

    package func cancel() {
        cancelled.store(true, ordering: .releasing)
        unpark()
    }

    private func arm(_ nanoseconds: UInt64) {
        deadline.store(nanoseconds, ordering: .sequentiallyConsistent)
        let tick = TimerWheel.tick(of: nanoseconds)
        if linkedTick.load(ordering: .sequentiallyConsistent) > tick { unsafe reactor?.link(self, tick: tick) }
    }

    fileprivate func prepare(for reactor: Reactor) {
        unsafe self.reactor = reactor
        state.store(Self.empty, ordering: .relaxed)
        cancelled.store(false, ordering: .relaxed)
    }

    fileprivate func retire() {
        // Whoever takes the state out of parked has the handler: an unpark on another thread may be calling it just now.
        if state.exchange(Self.notified, ordering: .acquiringAndReleasing) == Self.parked { unsafe handler = nil }
        deadline.store(.max, ordering: .sequentiallyConsistent)
        // Under the wheel's lock even if it looks unlinked: a sweep on another thread may be about to link it again, and a parker
        // must never be in one reactor's wheel while another's owner has it.
        unsafe reactor?.unlink(self)
        unsafe reactor = nil
    }
}

extension Parker {
    /// A parker for a connection that outlives its tasks, on the calling worker.
    ///
    /// It goes back by ``giveBack()``.
    package static func take() -> Parker { ParkerPool.take(for: Reactor.ofCurrentThread) }

    /// Ends the parker's use by its owner.
    package func giveBack() {
        ParkerPool.giveBack(self)
    }
}

/// Parkers are recycled and never freed: an event that was under way when a task ended may still unpark its parker, which is then a
/// spurious wake-up for the next owner and nothing worse.
enum ParkerPool {
    private struct State {
        var free: [Parker] = []
        /// Keeps every parker alive, so that unowned references to one stay valid.
        var all: [Parker] = []
    }

    private static let pool = Lock(State())

    static func take(for reactor: Reactor) -> Parker {
        let recycled = pool.withLock { $0.free.popLast() }
        if let recycled {
            recycled.prepare(for: reactor)
            return recycled
        }
        let made = Parker(reactor: reactor)
        pool.withLock { $0.all.append(made) }
        return made
    }

    static func giveBack(_ parker: Parker) {
        parker.retire()
        pool.withLock { $0.free.append(parker) }
    }
}

/// Runs `body` with a parker of its own on the calling worker; cancelling the task unparks it and marks it cancelled.
///
/// This is the one cancellation handler of a connection: what waits on the parker sees ``Parker/isCancelled``.
package func withParker<Result>(
    _ body: nonisolated(nonsending) (Parker) async throws -> Result
) async rethrows -> Result {
    let parker = ParkerPool.take(for: Reactor.ofCurrentThread)
    defer { ParkerPool.giveBack(parker) }
    return try await withTaskCancellationHandler {
        try await body(parker)
    } onCancel: {
        parker.cancel()
    }
}
