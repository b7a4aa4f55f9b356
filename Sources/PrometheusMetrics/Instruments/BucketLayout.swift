/// The buckets of a histogram family: the upper bound of each, included in it.
///
/// What exceeds the last falls under `+Inf`.
struct BucketLayout: Sendable {
    /// More would make a scrape long and help nobody.
    static let maximumCount = 100
    /// 100 us to 60 s: the times that HTTP takes.
    static let latency: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// Powers of four from 1 to about a thousand million: sizes and counts.
    static let magnitude: [Double] = (0..<16).map { Double(1 << (2 * $0)) }

    /// The bounds as they are told to others, rising.
    let bounds: [Double]
    /// The bounds in the unit that is recorded.
    let thresholds: [Double]
    /// How many of the recorded unit make one of what is told: 1e9 for a timer, which records nanoseconds and tells seconds.
    let scale: Double
    /// The bounds as text, for the label `le`.
    let texts: [String]

    /// Sorts the bounds, and leaves out what cannot be one.
    init(_ bounds: [Double], scale: Double) {
        var cleaned: [Double] = []
        for bound in bounds.filter(\.isFinite).sorted() where cleaned.last != bound { cleaned.append(bound) }
        self.bounds = Array(cleaned.prefix(Self.maximumCount))
        self.scale = scale
        // Whole nanoseconds: the bound of a decimal fraction would else lie beside the number that it stands for.
        thresholds = self.bounds.map { scale == 1 ? $0 : ($0 * scale).rounded() }
        texts = self.bounds.map(TextExposition.text(of:))
    }
}
