/// All series of one name, guarded by the registry's lock.
struct Family {
    /// An instrument that feeds a series.
    enum Series: Sendable {
        case counter(CounterSeries)
        case gauge(GaugeSeries)
        case histogram(HistogramSeries)

        var identity: SeriesIdentity {
            switch self {
            case .counter(let series): series.identity
            case .gauge(let series): series.identity
            case .histogram(let series): series.identity
            }
        }

        /// The value at this moment.
        var value: MetricValue {
            switch self {
            case .counter(let series): return .number(series.value)
            case .gauge(let series): return .number(series.value)
            case .histogram(let series):
                let (cumulative, sum) = series.read()
                return .histogram(
                    bounds: series.layout.bounds,
                    counts: Array(cumulative.dropLast()),
                    sum: sum,
                    count: cumulative.last ?? 0
                )
            }
        }
    }

    /// What a scrape takes out of the lock with it, to read the values outside.
    struct Reading: Sendable {
        let name: String
        let kind: MetricFamily.Kind
        let help: String
        /// In the order of their labels.
        var series: [Series]
    }

    private struct Entry {
        let series: Series
        /// How often it was asked for and not given back.
        var uses: Int
    }

    let kind: MetricFamily.Kind
    /// Of a histogram; unused by others.
    let layout: BucketLayout
    private var entries: [String: Entry] = [:]

    init(kind: MetricFamily.Kind, layout: BucketLayout) {
        self.kind = kind
        self.layout = layout
    }

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    var all: [Series] { entries.values.map(\.series) }

    /// The instrument that was made for these labels before, to be used once more.
    mutating func reuse(_ identity: SeriesIdentity) -> Series? {
        guard let index = entries.index(forKey: identity.text) else { return nil }
        entries.values[index].uses += 1
        return entries.values[index].series
    }

    mutating func make(_ identity: SeriesIdentity) -> Series {
        let series: Series =
            switch kind {
            case .counter: .counter(CounterSeries(identity))
            case .gauge: .gauge(GaugeSeries(identity))
            case .histogram: .histogram(HistogramSeries(identity, layout: layout))
            }
        entries[identity.text] = Entry(series: series, uses: 1)
        return series
    }

    /// Gives one use back; the last takes the series away.
    ///
    /// One that was taken away before is not another's of the same labels.
    mutating func release(_ identity: SeriesIdentity, _ instrument: AnyObject) {
        guard let entry = entries[identity.text], entry.series.isFed(by: instrument) else { return }
        entries[identity.text]?.uses -= 1
        if entry.uses <= 1 { entries[identity.text] = nil }
    }
}

extension Family.Series {
    fileprivate func isFed(by instrument: AnyObject) -> Bool {
        switch self {
        case .counter(let series): series === instrument
        case .gauge(let series): series === instrument
        case .histogram(let series): series === instrument
        }
    }
}
