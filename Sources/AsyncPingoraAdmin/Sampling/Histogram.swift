/// How many observations were at most so large, bound by bound, as metrics keep them.
struct Histogram: Sendable, Equatable {
    /// Upper bounds, ascending; what is above the last one is in ``count`` alone.
    var bounds: [Double]
    /// Observations at or below each bound.
    var counts: [UInt64]
    /// All observations, added up.
    var sum: Double
    /// How many observations there were.
    var count: UInt64

    /// What has been observed since `earlier`, a reading of the same histogram; all of it when it began anew.
    func since(_ earlier: Histogram?) -> Histogram {
        guard let earlier, earlier.bounds == bounds, earlier.count <= count else { return self }
        return Histogram(
            bounds: bounds,
            // The buckets are read one after another while others count: a difference may be off by some, never below nothing.
            counts: zip(counts, earlier.counts).map { $0 >= $1 ? $0 - $1 : 0 },
            sum: max(sum - earlier.sum, 0),
            count: count - earlier.count
        )
    }

    /// Adds the observations of another; one with other bounds cannot be added and is left out.
    mutating func add(_ other: Histogram) {
        guard other.bounds == bounds else { return }
        for index in counts.indices { counts[index] += other.counts[index] }
        sum += other.sum
        count += other.count
    }

    /// The value that a share `quantile` of the observations, between 0 and 1, does not exceed; nil without observations.
    ///
    /// Observations are taken to lie evenly between the bounds of their bucket. Beyond the last bound nothing is known: it is that bound.
    func quantile(_ quantile: Double) -> Double? {
        guard count > 0, let last = bounds.last else { return nil }
        let rank = min(max(quantile, 0), 1) * Double(count)
        var below: UInt64 = 0
        var lower = 0.0
        for (bound, reached) in zip(bounds, counts) {
            if Double(reached) >= rank, reached > below {
                let share = (rank - Double(below)) / Double(reached - below)
                return lower + (bound - lower) * min(max(share, 0), 1)
            }
            below = max(below, reached)
            lower = bound
        }
        return last
    }

    /// The mean of the observations; nil without any.
    var mean: Double? { count > 0 ? sum / Double(count) : nil }
}
