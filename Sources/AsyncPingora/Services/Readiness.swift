internal import AsyncTransport
internal import Synchronization

/// Whether a service has said that those which depend on it may run.
final class Readiness: Sendable {
    private let announced = Atomic<Bool>(false)
    private let waiting = Lock<Parker?>(nil)

    var isAnnounced: Bool { announced.load(ordering: .sequentiallyConsistent) }

    func announce() {
        announced.store(true, ordering: .sequentiallyConsistent)
        waiting.withLock { $0 }?.unpark()
    }

    /// Returns when it is announced, or the task is cancelled; for one task at a time.
    func wait() async {
        await withParker { parker in
            waiting.withLock { $0 = parker }
            defer { waiting.withLock { $0 = nil } }
            while !isAnnounced, !parker.isCancelled { await parker.park() }
        }
    }
}
