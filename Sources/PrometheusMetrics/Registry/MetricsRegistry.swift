internal import AsyncTransport

/// A back end for swift-metrics that keeps its numbers in memory, for Prometheus to scrape.
///
///     let registry = MetricsRegistry()
///     MetricsSystem.bootstrap(registry)
///
/// Counters become counters, meters and gauges become gauges, timers become histograms in seconds, and recorders histograms of
/// what they record. To count or to record takes some nanoseconds, from any thread: no lock, no allocation, no look-up. To *make*
/// an instrument takes a lock and a look-up, so make it once and keep it.
///
/// The same name with the same labels, in any order, is one series, whoever asks for it. A name or label that Prometheus does not
/// allow is made valid: what it forbids becomes `_`.
///
/// What cannot be kept is counted in `prometheus_metrics_dropped_series_total` and handed an instrument that does nothing: a label
/// with too many values must not fill memory, and a name means one kind of thing.
public final class MetricsRegistry: Sendable {
    /// Bounds on what is kept, and the buckets of histograms.
    public struct Options: Sendable {
        /// The most series of one name.
        public var maximumSeriesPerFamily = 1_000
        /// The most names.
        public var maximumFamilies = 1_000
        /// Upper bounds of the buckets of timers, in seconds: by default 18 from 100 us to 60 s.
        public var timerBuckets = BucketLayout.latency
        /// Upper bounds of the buckets of recorders: by default powers of four from 1 to about a thousand million.
        public var recorderBuckets = BucketLayout.magnitude

        /// Sets everything to its default.
        public init() {}
    }

    /// Tells collectors apart, to remove one.
    public struct CollectorID: Hashable, Sendable {
        fileprivate let number: Int
    }

    private struct Description {
        var help: String
        var buckets: [Double]?
    }

    /// Why an instrument does nothing.
    private enum Refusal: String {
        case tooManySeries = "too_many_series"
        case tooManyFamilies = "too_many_families"
        case otherKind = "other_kind"
    }

    private struct State {
        var families: [String: Family] = [:]
        var descriptions: [String: Description] = [:]
        var collectors: [(id: CollectorID, collect: @Sendable () -> Void)] = []
        var collectorCount = 0
        /// The registry's own counter of what was refused.
        var dropped = Family(kind: .counter, layout: BucketLayout([], scale: 1))

        func reading(of family: Family, name: String) -> Family.Reading {
            Family.Reading(
                name: name,
                kind: family.kind,
                help: descriptions[name]?.help ?? "",
                series: family.all
            )
        }
    }

    static let droppedName = "prometheus_metrics_dropped_series_total"

    private let options: Options
    private let state = Lock(State())

    /// Makes an empty registry.
    public init(options: Options = Options()) {
        self.options = options
        describe(Self.droppedName, help: "Requests for an instrument that was refused, so that it counts nothing.")
    }

    // MARK: - Describing

    /// Says what a metric means, for the `HELP` line, and into which buckets its values are sorted.
    ///
    /// - Parameters:
    ///   - name: what the instruments are called.
    ///   - help: one sentence for whoever looks at the metric.
    ///   - buckets: rising upper bounds, in seconds for a timer, of which the first 100 are used; nil takes the options'. They hold
    ///     for a histogram whose first series is made later.
    public func describe(_ name: String, help: String, buckets: [Double]? = nil) {
        state.withLock { $0.descriptions[Names.metric(name)] = Description(help: help, buckets: buckets) }
    }

    /// Has `collect` called before every snapshot and every text, to set gauges that are only looked at then.
    ///
    /// It runs on the thread that scrapes, and on several at once if several scrape.
    @discardableResult
    public func addCollector(_ collect: @escaping @Sendable () -> Void) -> CollectorID {
        state.withLock { state in
            state.collectorCount += 1
            let id = CollectorID(number: state.collectorCount)
            state.collectors.append((id, collect))
            return id
        }
    }

    /// Takes a collector away; it may still be running when this returns.
    public func removeCollector(_ id: CollectorID) {
        state.withLock { state in state.collectors.removeAll { $0.id == id } }
    }

    // MARK: - Reading

    /// Everything that is counted, in the order of names; families without a series are left out.
    public func snapshot() -> [MetricFamily] {
        read().map { family in
            MetricFamily(
                name: family.name,
                kind: family.kind,
                help: family.help,
                series: family.series.map { MetricSeries(labels: $0.identity.labels, value: $0.value) }
            )
        }
    }

    /// Everything that is counted, in the text format of Prometheus, version 0.0.4.
    public func text() -> [UInt8] {
        let families = read()
        var exposition = TextExposition(capacity: 4_096)
        for family in families { exposition.write(family) }
        return exposition.bytes
    }

    private func read() -> [Family.Reading] {
        for (_, collect) in state.withLock({ $0.collectors }) { collect() }
        var readings = state.withLock { state in
            var readings: [Family.Reading] = []
            readings.reserveCapacity(state.families.count + 1)
            for (name, family) in state.families where !family.isEmpty {
                readings.append(state.reading(of: family, name: name))
            }
            if !state.dropped.isEmpty { readings.append(state.reading(of: state.dropped, name: Self.droppedName)) }
            return readings
        }
        readings.sort { $0.name < $1.name }
        for index in readings.indices { readings[index].series.sort { $0.identity.text < $1.identity.text } }
        return readings
    }

    // MARK: - Making

    /// The series for a name and labels, made if there is none; nil if it cannot be kept.
    func series(
        _ kind: MetricFamily.Kind,
        label: String,
        dimensions: [(String, String)],
        isTimer: Bool = false
    ) -> Family.Series? {
        let identity = SeriesIdentity(label: label, dimensions: dimensions)
        return state.withLock { state in
            if state.families[identity.name] == nil {
                if let refusal = refusal(of: identity.name, kind: kind, in: state) {
                    drop(identity.name, refusal, in: &state)
                    return nil
                }
                let scale = isTimer ? 1e9 : 1
                let standard = isTimer ? options.timerBuckets : options.recorderBuckets
                let buckets = kind == .histogram ? state.descriptions[identity.name]?.buckets ?? standard : []
                state.families[identity.name] = Family(kind: kind, layout: BucketLayout(buckets, scale: scale))
            }
            guard state.families[identity.name]?.kind == kind else {
                drop(identity.name, .otherKind, in: &state)
                return nil
            }
            if let known = state.families[identity.name]?.reuse(identity) { return known }
            guard (state.families[identity.name]?.count ?? 0) < options.maximumSeriesPerFamily else {
                drop(identity.name, .tooManySeries, in: &state)
                return nil
            }
            return state.families[identity.name]?.make(identity)
        }
    }

    /// Gives back one use of an instrument.
    func release(_ identity: SeriesIdentity, _ instrument: AnyObject) {
        state.withLock { state in
            state.families[identity.name]?.release(identity, instrument)
            if state.families[identity.name]?.isEmpty == true { state.families[identity.name] = nil }
        }
    }

    /// Why a family cannot be made: there are too many, or its lines would be taken for those of another.
    private func refusal(of name: String, kind: MetricFamily.Kind, in state: State) -> Refusal? {
        if state.families.count >= options.maximumFamilies { return .tooManyFamilies }
        if name == Self.droppedName { return .otherKind }
        for suffix in ["_bucket", "_sum", "_count"] {
            if kind == .histogram, state.families[name + suffix] != nil { return .otherKind }
            if name.hasSuffix(suffix), state.families[String(name.dropLast(suffix.count))]?.kind == .histogram {
                return .otherKind
            }
        }
        return nil
    }

    /// Counts what was refused.
    ///
    /// With too many families there are too many names to tell which.
    private func drop(_ name: String, _ refusal: Refusal, in state: inout State) {
        let family = refusal == .tooManyFamilies ? "" : name
        let identity = SeriesIdentity(
            label: Self.droppedName,
            dimensions: [("family", family), ("reason", refusal.rawValue)]
        )
        if case .counter(let counter) = state.dropped.reuse(identity) ?? state.dropped.make(identity) {
            counter.increment(by: 1 as Int64)
        }
    }
}
