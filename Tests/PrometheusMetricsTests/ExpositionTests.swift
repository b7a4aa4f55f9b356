import CoreMetrics
import PrometheusMetrics
import Testing

/// What a registry writes for Prometheus to read.
@Suite("Text exposition")
struct ExpositionTests {
    private let registry = MetricsRegistry()

    private var text: String { String(decoding: registry.text(), as: UTF8.self) }

    @Test("An empty registry writes nothing")
    func empty() {
        #expect(registry.text().isEmpty)
    }

    @Test("Families come by name, series by labels, help before type")
    func order() {
        registry.describe("b_total", help: "The second.")
        for name in ["c_total", "b_total"] {
            for value in ["y", "x"] {
                Counter(label: name, dimensions: [("l", value)], factory: registry).increment(by: 3)
            }
        }
        Counter(label: "a_total", factory: registry).increment()
        let expected = """
            # TYPE a_total counter
            a_total 1
            # HELP b_total The second.
            # TYPE b_total counter
            b_total{l="x"} 3
            b_total{l="y"} 3
            # TYPE c_total counter
            c_total{l="x"} 3
            c_total{l="y"} 3

            """
        #expect(text == expected)
    }

    @Test("Values and help are escaped, each by its own rule")
    func escaping() {
        registry.describe("m", help: "a \"quote\", a \\ and\na line")
        Meter(label: "m", dimensions: [("l", "a \"quote\", a \\ and\na line, ü")], factory: registry).set(1)
        let expected = #"""
            # HELP m a "quote", a \\ and\na line
            # TYPE m gauge
            m{l="a \"quote\", a \\ and\na line, ü"} 1

            """#
        #expect(text == expected)
    }

    @Test(
        "A number is written so that it is read as the same",
        arguments: [
            (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (1e15, "1000000000000000"),
            (1e16, "1e+16"), (1e300, "1e+300"), (2.5e-300, "2.5e-300"),
            (123_456_789_012_345, "123456789012345"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ] as [(Double, String)]
    )
    func numbers(value: Double, written: String) {
        Meter(label: "m", factory: registry).set(value)
        #expect(text == "# TYPE m gauge\nm \(written)\n")
    }

    @Test("A histogram has rising buckets up to +Inf, a sum and a count")
    func histogram() {
        registry.describe("h", help: "", buckets: [1, 0.5, .infinity, 2.5, 1, .nan])
        let recorder = Recorder(label: "h", dimensions: [("l", "x")], factory: registry)
        for value in [0.5, 0.75, 1, 2.5, 100] { recorder.record(value) }
        let expected = """
            # TYPE h histogram
            h_bucket{l="x",le="0.5"} 1
            h_bucket{l="x",le="1"} 3
            h_bucket{l="x",le="2.5"} 4
            h_bucket{l="x",le="+Inf"} 5
            h_sum{l="x"} 104.75
            h_count{l="x"} 5

            """
        #expect(text == expected)
    }

    @Test("A timer is told in seconds, and its bounds are exact", arguments: [1, 2])
    func timer(factor: Int64) {
        let timer = CoreMetrics.Timer(label: "t", factory: registry)
        for bound: Int64 in [100_000, 250_000, 100_000_000, 60_000_000_000] { timer.recordNanoseconds(bound * factor) }
        guard
            case .histogram(let bounds, let counts, let sum, let count)? = registry.snapshot().first?.series.first?
                .value
        else {
            Issue.record("no histogram")
            return
        }
        #expect(bounds.first == 0.0001 && bounds.last == 60 && bounds.count == 18 && counts.count == 18)
        #expect(counts.first == (factor == 1 ? 1 : 0))
        #expect(counts.last == (factor == 1 ? 4 : 3))
        #expect(abs(sum - 60.10035 * Double(factor)) < 1e-9 && count == 4)
    }
}
