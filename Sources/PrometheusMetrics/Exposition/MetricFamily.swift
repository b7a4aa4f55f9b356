/// All series of one name, as they were at one moment.
public struct MetricFamily: Sendable {
    /// What its values mean.
    public enum Kind: String, Sendable {
        /// It only grows.
        case counter
        /// It goes up and down.
        case gauge
        /// A distribution over buckets.
        case histogram
    }

    /// The name, valid for Prometheus.
    public let name: String
    /// What its values mean.
    public let kind: Kind
    /// What ``MetricsRegistry/describe(_:help:buckets:)`` was told; empty if nothing was.
    public let help: String
    /// The series in the order of their labels.
    public let series: [MetricSeries]
}

/// One series of a family: labels, and the value that goes with them.
public struct MetricSeries: Sendable {
    /// The labels in the order of their names.
    public let labels: [(name: String, value: String)]
    /// The value.
    public let value: MetricValue

    /// The value of a label; nil if the series has none of that name.
    public func label(_ name: String) -> String? {
        labels.first { $0.name == name }?.value
    }
}

/// The value of a series.
public enum MetricValue: Sendable {
    /// Of a counter or a gauge.
    case number(Double)
    /// Of a histogram.
    ///
    /// - `bounds`: the upper bounds of the buckets, rising; seconds for a timer.
    /// - `counts`: for each bound, how many values did not exceed it.
    /// - `sum`: the values added up.
    /// - `count`: how many values there were, those beyond the last bound among them.
    case histogram(bounds: [Double], counts: [UInt64], sum: Double, count: UInt64)
}
