import Testing

@testable import AsyncPingoraAdmin

@Suite("Percentiles come from the buckets of a histogram")
struct HistogramTests {
    private static let bounds = [0.001, 0.01, 0.1, 1]

    /// A histogram with so many observations in each bucket, the last number being those beyond the last bound.
    private static func histogram(_ buckets: [UInt64]) -> Histogram {
        var counts: [UInt64] = []
        for bucket in buckets.dropLast() { counts.append((counts.last ?? 0) + bucket) }
        return Histogram(bounds: bounds, counts: counts, sum: 0, count: buckets.reduce(0, +))
    }

    @Test(
        arguments: [
            // All in one bucket: evenly spread over it.
            ([0, 100, 0, 0, 0], 0.5, 0.0055),
            ([0, 100, 0, 0, 0], 1, 0.01),
            ([100, 0, 0, 0, 0], 0.5, 0.0005),
            // The first bucket that holds the rank, across empty ones.
            ([50, 0, 0, 50, 0], 0.5, 0.001),
            ([50, 0, 0, 50, 0], 0.75, 0.55),
            ([90, 9, 1, 0, 0], 0.9, 0.001),
            ([90, 9, 1, 0, 0], 0.99, 0.01),
            ([90, 9, 1, 0, 0], 0.995, 0.055),
            // Beyond the last bound nothing is known.
            ([0, 0, 0, 0, 10], 0.5, 1),
            ([10, 0, 0, 0, 10], 0.9, 1),
            // One observation is every percentile.
            ([0, 0, 1, 0, 0], 0.01, 0.0109),
            ([1, 0, 0, 0, 0], 0, 0),
        ] as [([UInt64], Double, Double)]
    )
    func aQuantileIsInterpolated(buckets: [UInt64], quantile: Double, wanted: Double) throws {
        let found = try #require(Self.histogram(buckets).quantile(quantile))
        #expect(abs(found - wanted) < 1e-12)
    }

    @Test func nothingObservedHasNoQuantile() {
        #expect(Self.histogram([0, 0, 0, 0, 0]).quantile(0.5) == nil)
        #expect(Histogram(bounds: [], counts: [], sum: 1, count: 1).quantile(0.5) == nil)
        #expect(Self.histogram([0, 0, 0, 0, 0]).mean == nil)
    }

    @Test func aDifferenceHoldsWhatCameSince() {
        let earlier = Histogram(bounds: Self.bounds, counts: [1, 2, 3, 4], sum: 3, count: 5)
        let now = Histogram(bounds: Self.bounds, counts: [1, 4, 6, 8], sum: 7, count: 10)
        #expect(now.since(earlier) == Histogram(bounds: Self.bounds, counts: [0, 2, 3, 4], sum: 4, count: 5))
        #expect(now.since(nil) == now)
        #expect(now.since(now).quantile(0.5) == nil)
        // A bucket that was read before its count, and one that has begun anew.
        let torn = Histogram(bounds: Self.bounds, counts: [2, 2, 3, 4], sum: 3, count: 5)
        #expect(now.since(torn).counts == [0, 2, 3, 4])
        #expect(earlier.since(now) == earlier)
        #expect(now.since(Histogram(bounds: [1], counts: [1], sum: 1, count: 1)) == now)
    }

    @Test func histogramsOfTheSameBoundsAddUp() {
        var sum = Self.histogram([1, 2, 3, 4, 5])
        sum.add(Self.histogram([1, 1, 1, 1, 1]))
        #expect(sum == Self.histogram([2, 3, 4, 5, 6]))
        sum.add(Histogram(bounds: [1], counts: [1], sum: 1, count: 1))
        #expect(sum == Self.histogram([2, 3, 4, 5, 6]))
    }
}
