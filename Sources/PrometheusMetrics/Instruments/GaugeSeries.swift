internal import AsyncTransport
internal import CoreMetrics
internal import Synchronization

/// A value that goes up and down: for meters, and for recorders that do not aggregate (`Gauge`).
final class GaugeSeries: MeterHandler, RecorderHandler {
    let identity: SeriesIdentity
    /// What was set last.
    private let base = Atomic<UInt64>(0.0.bitPattern)
    /// What was added since.
    private let changes = StripedCells(cellCount: 1)

    init(_ identity: SeriesIdentity) {
        self.identity = identity
    }

    func set(_ value: Int64) {
        set(Double(value))
    }

    /// Additions that happen meanwhile count as before or after.
    func set(_ value: Double) {
        base.store(value.bitPattern, ordering: .relaxed)
        changes.clear()
    }

    func increment(by amount: Double) {
        guard amount.isFinite else { return }
        changes.add(amount, to: 0)
    }

    func decrement(by amount: Double) {
        increment(by: -amount)
    }

    func record(_ value: Int64) {
        set(Double(value))
    }

    func record(_ value: Double) {
        set(value)
    }

    var value: Double { Double(bitPattern: base.load(ordering: .relaxed)) + changes.number(0) }
}
