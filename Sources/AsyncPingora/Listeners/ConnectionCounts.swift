internal import Synchronization

/// How many connections a service has and has had.
package final class ConnectionCounts: Sendable {
    private let opened = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)

    package init() {}

    /// Since the service began.
    package var accepted: Int { opened.load(ordering: .relaxed) }

    /// Now.
    package var open: Int {
        // In this order: a connection that ends in between must not make it negative.
        let gone = ended.load(ordering: .acquiring)
        return opened.load(ordering: .acquiring) - gone
    }

    func begin() {
        opened.add(1, ordering: .releasing)
    }

    func end() {
        ended.add(1, ordering: .releasing)
    }
}
