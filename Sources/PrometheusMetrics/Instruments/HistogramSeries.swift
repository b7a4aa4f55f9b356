internal import AsyncTransport
internal import CoreMetrics

/// A distribution: for timers, and for recorders that aggregate.
final class HistogramSeries: TimerHandler, RecorderHandler {
    let identity: SeriesIdentity
    let layout: BucketLayout
    private let thresholds: [Double]
    private let scale: Double
    private let nanosecond: Double
    /// Whether what is recorded are nanoseconds, which are added up as integers.
    private let isTimer: Bool
    /// For each number of bits that a nanosecond count may have, the first bucket that it may fall into.
    private let firstBuckets: [Int]
    /// One for each bucket, the last for what exceeds them all; behind them the sum of the values, and that of nanoseconds.
    private let cells: StripedCells

    init(_ identity: SeriesIdentity, layout: BucketLayout) {
        self.identity = identity
        self.layout = layout
        let thresholds = layout.thresholds
        self.thresholds = thresholds
        scale = layout.scale
        nanosecond = layout.scale / 1e9
        isTimer = layout.scale == 1e9
        firstBuckets = (0...64).map { bitCount in
            let smallest = bitCount == 0 ? 0 : Double(sign: .plus, exponent: bitCount - 1, significand: 1)
            return thresholds.firstIndex { $0 >= smallest } ?? thresholds.count
        }
        cells = StripedCells(cellCount: layout.bounds.count + 3)
    }

    /// A clock that was set back must not make the sum fall: times below zero count as zero.
    func recordNanoseconds(_ duration: Int64) {
        let duration = UInt64(max(duration, 0))
        guard isTimer else { return observe(Double(duration) * nanosecond) }
        let bitCount = UInt64.bitWidth - duration.leadingZeroBitCount
        let last = bitCount < firstBuckets.count - 1 ? firstBuckets[bitCount + 1] : thresholds.count
        let bucket = bucket(of: Double(duration), from: firstBuckets[bitCount], to: last)
        cells.addOne(to: bucket, and: duration, to: thresholds.count + 2)
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
        cells.add(1 as UInt64, to: bucket(of: value, from: 0, to: thresholds.count))
        cells.add(value, to: thresholds.count + 1)
    }

    /// The first bucket whose bound is not below the value; it is known to be one of `first` to `last`.
    @inline(__always)
    private func bucket(of value: Double, from first: Int, to last: Int) -> Int {
        var low = first
        var count = last - first
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
        let nanoseconds = Double(cells.integer(thresholds.count + 2))
        return (cumulative, (cells.number(thresholds.count + 1) + nanoseconds) / scale)
    }
}
