import AsyncTransport
import CoreMetrics
import PrometheusMetrics
import Testing

/// Many threads at once lose nothing.
@Suite("Metrics from many threads")
struct ConcurrencyTests {
    private static let taskCount = 12
    private static let rounds = 2_000
    private let registry = MetricsRegistry()

    /// Runs `body` on as many threads as there are tasks, more than any instrument has stripes for on a small machine.
    private func onManyThreads(_ body: @escaping @Sendable (Int) -> Void) async throws {
        let executor = try ServiceExecutor(name: "metrics", threadCount: Self.taskCount)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<Self.taskCount {
                group.addTask(executorPreference: executor.nextExecutor()) { body(number) }
            }
        }
        executor.shutdown()
    }

    @Test("Sums are exact")
    func sums() async throws {
        let registry = registry
        let counter = Counter(label: "c", factory: registry)
        let fractions = FloatingPointCounter(label: "f", factory: registry)
        let meter = Meter(label: "m", factory: registry)
        let timer = CoreMetrics.Timer(label: "t", factory: registry)
        try await onManyThreads { number in
            for round in 0..<Self.rounds {
                counter.increment(by: 3)
                fractions.increment(by: 0.25)
                meter.increment(by: 2)
                meter.decrement(by: 1)
                timer.recordNanoseconds(round % 2 == 0 ? 50_000 : 2_000_000_000)
                // Readers do not disturb.
                if number == 0, round % 100 == 0 { _ = registry.text() }
            }
        }
        let total = Self.taskCount * Self.rounds
        let text = String(decoding: registry.text(), as: UTF8.self)
        let lines = [
            "c \(3 * total)", "f \(total / 4)", "m \(total)", #"t_bucket{le="0.0001"} \#(total / 2)"#,
            #"t_bucket{le="1"} \#(total / 2)"#, #"t_bucket{le="+Inf"} \#(total)"#, "t_count \(total)",
        ]
        for line in lines { #expect(text.contains("\n\(line)\n"), "\(line) is missing") }
    }

    @Test("Buckets of a reading never fall towards +Inf, and readings never fall")
    func readings() async throws {
        let registry = registry
        let timer = CoreMetrics.Timer(label: "t", factory: registry)
        try await onManyThreads { number in
            guard number == 0 else {
                for round in 0..<Self.rounds { timer.recordNanoseconds(Int64(round) * 100_000) }
                return
            }
            var last: [UInt64] = []
            for _ in 0..<200 {
                guard case .histogram(_, let counts, _, let count)? = registry.snapshot().first?.series.first?.value
                else { continue }
                let all = counts + [count]
                #expect(zip(all, all.dropFirst()).allSatisfy { $0 <= $1 })
                #expect(zip(last, all).allSatisfy { $0 <= $1 })
                last = all
            }
        }
    }

    @Test("Whoever makes the same instrument first, there is one")
    func making() async throws {
        let registry = registry
        try await onManyThreads { number in
            for round in 0..<100 {
                Counter(label: "c", dimensions: [("l", "\(round)")], factory: registry).increment()
                let own = Counter(label: "own", dimensions: [("l", "\(number)")], factory: registry)
                own.increment()
                own.destroy()
            }
        }
        let families = registry.snapshot()
        #expect(families.map(\.name) == ["c"])
        #expect(families.first?.series.count == 100)
        for series in families.first?.series ?? [] {
            guard case .number(Double(Self.taskCount)) = series.value else {
                Issue.record("\(series.labels) has \(series.value)")
                continue
            }
        }
    }
}
