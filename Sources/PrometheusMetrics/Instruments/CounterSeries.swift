internal import AsyncTransport
internal import CoreMetrics
internal import Synchronization

/// A sum that only grows: for counters of integers and of floating-point numbers, which may share a series.
final class CounterSeries: CounterHandler, FloatingPointCounterHandler {
    let identity: SeriesIdentity
    private let cells = StripedCells(cellCount: 2)
    private static let integers = 0
    private static let numbers = 1
    /// The highest total that somebody else has counted.
    private let raised = Atomic<UInt64>(0.0.bitPattern)

    init(_ identity: SeriesIdentity) {
        self.identity = identity
    }

    /// A counter never falls: amounts below zero are passed over.
    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        cells.add(UInt64(amount), to: Self.integers)
    }

    /// Amounts that are not finite would stay in the sum for ever: they are passed over, as are those below zero.
    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        cells.add(amount, to: Self.numbers)
    }

    /// Takes over a total that somebody else counts.
    ///
    /// Of two that come at the same time the higher one stays.
    func raise(to total: Double) {
        guard total > 0, total.isFinite else { return }
        // Numbers that are not negative are ordered as their bits are.
        raised.max(total.bitPattern, ordering: .relaxed)
    }

    func reset() {
        cells.clear()
        raised.store(0.0.bitPattern, ordering: .relaxed)
    }

    var value: Double {
        let counted = Double(cells.integer(Self.integers)) + cells.number(Self.numbers)
        return counted + Double(bitPattern: raised.load(ordering: .relaxed))
    }
}
