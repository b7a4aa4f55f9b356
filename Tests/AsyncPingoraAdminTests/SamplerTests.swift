import AsyncPingora
import AsyncTransport
import CoreMetrics
import Foundation
import Logging
import PrometheusMetrics
import Testing

@testable import AsyncPingoraAdmin

@Suite("What is sampled becomes rates and percentiles, in JSON")
struct SamplerTests {
    private struct History: Decodable {
        var instance: String
        var interval: Double
        var columns: [String]
        var rows: [[Double?]]

        func column(_ name: String) -> [Double?] {
            guard let index = columns.firstIndex(of: name) else { return [] }
            return rows.map { $0[index] }
        }
    }

    private struct Overview: Decodable {
        struct Process: Decodable {
            var name: String
            var logLevel: String?
            var hasMetrics: Bool
        }

        struct Latency: Decodable {
            var p50: Double?
            var p99: Double?
        }

        struct Total: Decodable {
            var requests: Double?
            var requestRate: Double?
            var statuses: [String: Double]
            var errorRate: Double?
            var latency: Latency
        }

        struct ErrorRow: Decodable, Equatable {
            var service: String
            var type: String
            var source: String
            var count: Double
            var rate: Double?
        }

        var process: Process
        var window: Double
        var total: Total
        var errors: [ErrorRow]
    }

    /// A sampler whose clock is the test's, and the instruments that it reads.
    private struct Bench {
        let registry = MetricsRegistry()
        let server = Server()
        let sampler: Sampler
        private let start = SystemClock.monotonicNanoseconds

        init(hasMetrics: Bool = true) {
            sampler = Sampler(server: server, registry: hasMetrics ? registry : nil, ownName: "admin")
        }

        func counter(_ name: String, service: String = "edge", _ labels: (String, String)...) -> Counter {
            Counter(label: name, dimensions: [("service", service)] + labels, factory: registry)
        }

        func timer(_ name: String) -> CoreMetrics.Timer {
            CoreMetrics.Timer(label: name, dimensions: [("service", "edge")], factory: registry)
        }

        /// Samples as if it were so many seconds after the start.
        func sample(at seconds: Double) {
            var reading = Reading(nanoseconds: start + UInt64(seconds * 1e9))
            if sampler.registry != nil { reading.take(registry.snapshot()) }
            sampler.record(reading, facts: nil)
        }

        func history(after sequence: Int = 0) throws -> History {
            try JSONDecoder().decode(History.self, from: Data(sampler.history(after: sequence)))
        }

        func overview(_ options: AdminOptions = AdminOptions()) throws -> Overview {
            try JSONDecoder().decode(Overview.self, from: Data(sampler.overview(options)))
        }
    }

    @Test func countersBecomeRates() throws {
        let bench = Bench()
        let good = bench.counter("pingora_requests_total", ("status", "2xx"))
        let missing = bench.counter("pingora_requests_total", service: "inner", ("status", "4xx"))
        good.increment(by: 1_000)
        bench.sample(at: 0)
        good.increment(by: 50)
        bench.sample(at: 2)
        good.increment(by: 10)
        missing.increment(by: 5)
        bench.sample(at: 3)
        let history = try bench.history()
        #expect(history.column("sequence") == [1, 2, 3])
        // What was counted before the first look is not of that second.
        #expect(history.column("requests") == [nil, 25, 15])
        #expect(history.column("s2") == [nil, 25, 10])
        #expect(history.column("s4") == [nil, 0, 5])
        let total = try bench.overview().total
        #expect(total.requests == 1_065)
        #expect(total.statuses == ["2xx": 1_060, "4xx": 5])
        #expect(try #require(total.requestRate).isNear(65.0 / 3))
    }

    @Test func timersBecomePercentiles() throws {
        let bench = Bench()
        let duration = bench.timer("pingora_request_duration_seconds")
        duration.recordSeconds(50)
        bench.sample(at: 0)
        for _ in 0..<99 { duration.recordMilliseconds(2) }
        duration.recordSeconds(1.9)
        bench.sample(at: 1)
        bench.sample(at: 2)
        let history = try bench.history()
        let median = try #require(history.column("p50")[1])
        let tail = try #require(history.column("p99")[1])
        #expect(median < 0.01 && tail < 0.01 && median <= tail)
        // Nothing ended in the last second.
        #expect(history.column("p99")[2] == nil)
        #expect(try #require(bench.overview().total.latency.p50) < 0.01)
    }

    @Test func errorsAreListedWithTheMostFrequentFirst() throws {
        let bench = Bench()
        bench.counter("pingora_requests_total", ("status", "5xx")).increment(by: 9)
        let refused = bench.counter("pingora_errors_total", ("type", "ConnectRefused"), ("source", "upstream"))
        let closed = bench.counter("pingora_errors_total", ("type", "ConnectionClosed"), ("source", "downstream"))
        _ = bench.counter("pingora_errors_total", ("type", "never"), ("source", "internal"))
        refused.increment(by: 2)
        bench.sample(at: 0)
        closed.increment(by: 7)
        refused.increment(by: 1)
        bench.sample(at: 1)
        #expect(
            try bench.overview().errors == [
                .init(service: "edge", type: "ConnectionClosed", source: "downstream", count: 7, rate: 7),
                .init(service: "edge", type: "ConnectRefused", source: "upstream", count: 3, rate: 1),
            ]
        )
        let history = try bench.history()
        #expect(history.column("errorsUpstream") == [nil, 1])
        #expect(history.column("errorsDownstream") == [nil, 7])
        #expect(history.column("errorsInternal") == [nil, 0])
    }

    @Test func fiveMinutesAreKept() throws {
        let bench = Bench()
        for second in 0..<(Sampler.sampleCount + 20) { bench.sample(at: Double(second)) }
        let history = try bench.history()
        #expect(history.rows.count == Sampler.sampleCount)
        #expect(history.column("sequence").first == 21)
        #expect(history.interval == 1)
        #expect(try bench.history(after: Sampler.sampleCount + 18).column("sequence") == [319, 320])
        #expect(try bench.history(after: 10_000).rows.isEmpty)
        #expect(try bench.overview().window == Double(Sampler.windowSeconds))
    }

    @Test func withoutMetricsNothingIsMadeUp() throws {
        let bench = Bench(hasMetrics: false)
        bench.sample(at: 0)
        bench.sample(at: 1)
        let overview = try bench.overview()
        #expect(!overview.process.hasMetrics)
        #expect(overview.total.requests == nil && overview.total.requestRate == nil && overview.total.errorRate == nil)
        #expect(overview.total.latency.p50 == nil)
        let history = try bench.history()
        for column in history.columns.dropFirst(2) { #expect(history.column(column) == [nil, nil], "\(column)") }
    }

    @Test func theProcessIsNamed() throws {
        let bench = Bench()
        bench.sample(at: 0)
        var options = AdminOptions()
        options.title = "</script>\"\u{1}"
        options.logLevel = LogLevel(.warning)
        let process = try bench.overview(options).process
        #expect(process.name == options.title)
        #expect(process.logLevel == "warning")
        #expect(try bench.overview().process.logLevel == nil)
    }
}

extension Double {
    fileprivate func isNear(_ other: Double) -> Bool { abs(self - other) < 1e-9 }
}
