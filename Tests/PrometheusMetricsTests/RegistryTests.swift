import CoreMetrics
import PrometheusMetrics
import Testing

/// Which instruments are one, what they are called, and how many there may be.
@Suite("Metrics registry")
struct RegistryTests {
    private let registry = MetricsRegistry()

    private var text: String { String(decoding: registry.text(), as: UTF8.self) }

    @Test(
        "A name that Prometheus refuses is made valid",
        arguments: [
            ("a_total", "a_total"), ("a:b", "a:b"), ("a.b-c/d", "a_b_c_d"), ("1st", "_1st"), ("", "_"), ("ä", "__"),
        ]
    )
    func names(given: String, valid: String) {
        Counter(label: given, factory: registry).increment()
        #expect(text == "# TYPE \(valid) counter\n\(valid) 1\n")
    }

    @Test(
        "So is a label's",
        arguments: [
            ("service", "service"), ("a:b", "a_b"), ("http.status", "http_status"), ("2xx", "_2xx"),
            ("__name", "_name"),
            ("le", "le_"), ("", "_"),
        ]
    )
    func labels(given: String, valid: String) {
        Counter(label: "c", dimensions: [(given, "v")], factory: registry).increment()
        #expect(text == "# TYPE c counter\nc{\(valid)=\"v\"} 1\n")
    }

    @Test("The same name and labels are one series, in whatever order the labels come")
    func sameSeries() {
        let first = registry.makeCounter(label: "c", dimensions: [("a", "1"), ("b", "2")])
        let second = registry.makeCounter(label: "c", dimensions: [("b", "2"), ("a", "1")])
        #expect(first === second)
        #expect(first !== registry.makeCounter(label: "c", dimensions: [("a", "1")]))
    }

    @Test("An empty label is none, and the first of two with one name stays")
    func oddLabels() {
        let plain = registry.makeCounter(label: "c", dimensions: [("a", "1")])
        #expect(plain === registry.makeCounter(label: "c", dimensions: [("b", ""), ("a", "1"), ("a", "2")]))
    }

    @Test("Counters of integers and of fractions share a series, and never fall")
    func counters() {
        Counter(label: "c", factory: registry).increment(by: 2)
        let fractions = FloatingPointCounter(label: "c", factory: registry)
        for amount in [0.5, -1, .nan, .infinity] { fractions.increment(by: amount) }
        Counter(label: "c", factory: registry).increment(by: -7)
        #expect(text == "# TYPE c counter\nc 2.5\n")
        fractions.reset()
        #expect(text == "# TYPE c counter\nc 0\n")
    }

    @Test("Meters and gauges are set, and changed from there")
    func gauges() {
        let meter = Meter(label: "m", factory: registry)
        meter.increment(by: 2)
        meter.set(10)
        meter.decrement(by: 3)
        meter.increment()
        meter.increment(by: Double.nan)
        #expect(text == "# TYPE m gauge\nm 8\n")
        Gauge(label: "m", factory: registry).record(4.5)
        #expect(text == "# TYPE m gauge\nm 4.5\n")
    }

    @Test("What is no number is not recorded")
    func notFinite() {
        let recorder = Recorder(label: "r", factory: registry)
        for value in [Double.nan, .infinity, -.infinity, 3] { recorder.record(value) }
        #expect(text.contains("r_sum 3\nr_count 1\n"))
    }

    @Test("Too many series are refused and counted; those that there are go on")
    func seriesLimit() {
        var options = MetricsRegistry.Options()
        options.maximumSeriesPerFamily = 2
        let registry = MetricsRegistry(options: options)
        for round in 1...2 {
            for value in 1...4 {
                Counter(label: "c", dimensions: [("l", "\(value)")], factory: registry).increment(by: round)
            }
        }
        let expected = """
            # TYPE c counter
            c{l="1"} 3
            c{l="2"} 3
            # HELP prometheus_metrics_dropped_series_total Requests for an instrument that was refused, so that it counts nothing.
            # TYPE prometheus_metrics_dropped_series_total counter
            prometheus_metrics_dropped_series_total{family="c",reason="too_many_series"} 4

            """
        #expect(String(decoding: registry.text(), as: UTF8.self) == expected)
    }

    @Test("Too many names are refused and counted")
    func familyLimit() {
        var options = MetricsRegistry.Options()
        options.maximumFamilies = 2
        let registry = MetricsRegistry(options: options)
        for name in 1...5 { Counter(label: "c\(name)", factory: registry).increment() }
        let families = registry.snapshot()
        #expect(families.map(\.name) == ["c1", "c2", "prometheus_metrics_dropped_series_total"])
        #expect(families.last?.series.first?.label("reason") == "too_many_families")
        guard case .number(3)? = families.last?.series.first?.value else {
            Issue.record("three were refused")
            return
        }
    }

    @Test(
        "A name means one kind of thing, and its lines are its own",
        arguments: [
            (.counter, "c", .gauge, "c"), (.gauge, "c", .histogram, "c"), (.histogram, "c", .counter, "c"),
            (.histogram, "c", .counter, "c_count"), (.histogram, "c", .gauge, "c_bucket"),
            (.counter, "c_sum", .histogram, "c"),
            (.counter, "c", .counter, "prometheus_metrics_dropped_series_total"),
        ] as [(MetricFamily.Kind, String, MetricFamily.Kind, String)]
    )
    func conflicts(first: MetricFamily.Kind, firstName: String, second: MetricFamily.Kind, secondName: String) {
        use(first, firstName)
        use(second, secondName)
        let families = registry.snapshot()
        #expect(families.map(\.name) == [firstName, "prometheus_metrics_dropped_series_total"])
        #expect(families.map(\.kind) == [first, .counter])
        #expect(families.last?.series.first?.labels.map(\.value) == [secondName, "other_kind"])
    }

    private func use(_ kind: MetricFamily.Kind, _ name: String) {
        switch kind {
        case .counter: Counter(label: name, factory: registry).increment()
        case .gauge: Meter(label: name, factory: registry).set(1)
        case .histogram: Recorder(label: name, factory: registry).record(1)
        }
    }

    @Test("A series goes when it has been destroyed as often as it was made, and comes back from zero")
    func destroy() {
        let first = Counter(label: "c", factory: registry)
        let second = Counter(label: "c", factory: registry)
        first.increment()
        first.destroy()
        second.increment()
        #expect(text == "# TYPE c counter\nc 2\n")
        second.destroy()
        #expect(text.isEmpty)
        second.increment()
        second.destroy()
        let third = Counter(label: "c", factory: registry)
        second.destroy()
        third.increment()
        #expect(text == "# TYPE c counter\nc 1\n")
    }

    @Test("Every kind of instrument can be destroyed, and gives its place to another")
    func destroyAll() {
        var options = MetricsRegistry.Options()
        options.maximumSeriesPerFamily = 1
        let registry = MetricsRegistry(options: options)
        for value in ["x", "y"] {
            let dimensions = [("l", value)]
            let counter = FloatingPointCounter(label: "c", dimensions: dimensions, factory: registry)
            let meter = Meter(label: "m", dimensions: dimensions, factory: registry)
            let gauge = Gauge(label: "g", dimensions: dimensions, factory: registry)
            let recorder = Recorder(label: "r", dimensions: dimensions, factory: registry)
            let timer = CoreMetrics.Timer(label: "t", dimensions: dimensions, factory: registry)
            #expect(registry.snapshot().map(\.name) == ["c", "g", "m", "r", "t"])
            #expect(registry.snapshot().allSatisfy { $0.series.first?.label("l") == value })
            counter.destroy()
            meter.destroy()
            gauge.destroy()
            recorder.destroy()
            timer.destroy()
            #expect(registry.snapshot().isEmpty)
        }
    }

    @Test("A collector runs before each reading, until it is removed")
    func collectors() {
        let runs = Counter(label: "c", factory: registry)
        let id = registry.addCollector { runs.increment() }
        #expect(text == "# TYPE c counter\nc 1\n")
        #expect(registry.snapshot().first?.series.count == 1)
        registry.removeCollector(id)
        #expect(text == "# TYPE c counter\nc 2\n")
    }

    @Test("Two programs' parts may describe a metric: the last word counts, and old buckets stay")
    func describe() {
        registry.describe("t", help: "One.", buckets: [1])
        CoreMetrics.Timer(label: "t", dimensions: [("l", "1")], factory: registry).recordSeconds(1)
        registry.describe("t", help: "Two.", buckets: [2, 3])
        CoreMetrics.Timer(label: "t", dimensions: [("l", "2")], factory: registry).recordSeconds(1)
        #expect(text.hasPrefix("# HELP t Two.\n"))
        #expect(text.contains(#"t_bucket{l="2",le="1"} 1"#) && !text.contains(#"le="2""#))
    }

    @Test("The process tells its CPU time, memory, descriptors and start")
    func process() {
        registry.addProcessMetrics()
        var values: [String: Double] = [:]
        for family in registry.snapshot() {
            if case .number(let value)? = family.series.first?.value { values[family.name] = value }
            #expect(!family.help.isEmpty)
        }
        let expected: Set<String> = [
            "process_cpu_seconds_total", "process_start_time_seconds", "process_resident_memory_bytes",
            "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
        ]
        #expect(expected.isSubset(of: values.keys))
        #expect(values.values.allSatisfy { $0 > 0 })
        #expect((values["process_resident_memory_bytes"] ?? 0) < (values["process_virtual_memory_bytes"] ?? 0))
        #expect((values["process_start_time_seconds"] ?? 0) > 1_700_000_000)
    }
}
