package import AsyncTransport
internal import Synchronization

/// Whether a service is ending gracefully, and whom to wake when it begins to.
package final class DrainState: Sendable {
    private let draining = Atomic<Bool>(false)
    private let parkers = Lock<[ObjectIdentifier: Parker]>([:])

    /// How long a connection may take to send a request that may have been on its way when draining began, in nanoseconds.
    ///
    /// Counts from when it was last answered, or accepted.
    package let patience: UInt64
    /// Whether another process has the listening sockets as well, and accepts what waits in their queues.
    package var leavesQueues: Bool { handedOver.load(ordering: .relaxed) }
    private let handedOver = Atomic<Bool>(false)

    package init(patience: UInt64 = 0) {
        self.patience = patience
    }

    /// Whether no new work should begin: idle connections close, busy ones say `Connection: close`.
    package var isDraining: Bool { draining.load(ordering: .acquiring) }

    /// Begins to drain, and wakes everybody who waits for work.
    ///
    /// - Parameter handedOver: whether another process accepts connections from the same listening sockets.
    package func begin(handedOver: Bool = false) {
        self.handedOver.store(handedOver, ordering: .relaxed)
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
