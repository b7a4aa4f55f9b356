internal import AsyncTransport
internal import CoreMetrics

/// A distribution: for timers, and for recorders that aggregate.
final class HistogramSeries: TimerHandler, RecorderHandler {
    let identity: SeriesIdentity
    let layout: BucketLayout
    private let thresholds: [Double]
    private let scale: Double
    private let nanosecond: Double
    /// One for each bucket, the last for what exceeds them all, and behind them the sum of the values.
    private let cells: StripedCells

    init(_ identity: SeriesIdentity, layout: BucketLayout) {
        self.identity = identity
        self.layout = layout
        thresholds = layout.thresholds
        scale = layout.scale
        nanosecond = layout.scale / 1e9
        cells = StripedCells(cellCount: layout.bounds.count + 2)
    }

    /// A clock that was set back must not make the sum fall: times below zero count as zero.
    func recordNanoseconds(_ duration: Int64) {
        observe(Double(max(duration, 0)) * nanosecond)
    }

    func record(_ value: Int64) {
        observe(Double(value) * scale)
    }

    /// Values that are not finite would stay in the sum for ever: they are passed over.
    func record(_ value: Double) {
        observe(value * scale)
    }

    @inline(__always)
    private func observe(_ value: Double) {
        guard value.isFinite else { return }
        cells.add(1 as UInt64, to: bucket(of: value))
        cells.add(value, to: thresholds.count + 1)
    }

    /// The first bucket whose bound is not below the value.
    @inline(__always)
    private func bucket(of value: Double) -> Int {
        let thresholds = thresholds
        var low = 0
        var count = thresholds.count
        while count > 0 {
            let half = count / 2
            if thresholds[low + half] < value {
                low += half + 1
                count -= half + 1
            } else {
                count = half
            }
        }
        return low
    }

    /// How many values each bucket and those before it have got, `+Inf` last, and the sum of all values.
    func read() -> (cumulative: [UInt64], sum: Double) {
        var cumulative: [UInt64] = []
        cumulative.reserveCapacity(thresholds.count + 1)
        var total: UInt64 = 0
        for bucket in 0...thresholds.count {
            total += cells.integer(bucket)
            cumulative.append(total)
        }
        return (cumulative, cells.number(thresholds.count + 1) / scale)
    }
}
