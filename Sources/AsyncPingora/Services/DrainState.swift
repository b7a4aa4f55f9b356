package import AsyncTransport
internal import Synchronization

/// Whether a service is ending gracefully, and whom to wake when it begins to.
package final class DrainState: Sendable {
    private let draining = Atomic<Bool>(false)
    private let parkers = Lock<[ObjectIdentifier: Parker]>([:])

    package init() {}

    /// Whether no new work should begin: idle connections close, busy ones say `Connection: close`.
    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Begins to drain, and wakes everybody who waits for work.
    package func begin() {
        draining.store(true, ordering: .sequentiallyConsistent)
        for parker in parkers.withLock({ Array($0.values) }) { parker.unpark() }
    }

    /// Has `parker` woken when draining begins, until ``remove(_:)``.
    package func add(_ parker: Parker) {
        parkers.withLock { $0[ObjectIdentifier(parker)] = parker }
        if isDraining { parker.unpark() }
    }

    package func remove(_ parker: Parker) {
        parkers.withLock { $0[ObjectIdentifier(parker)] = nil }
    }
}
