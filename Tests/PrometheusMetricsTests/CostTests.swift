import CAllocationCounter
import CoreMetrics
import PrometheusMetrics
import Testing

/// What the path of a request pays for being counted.
@Suite("Cost of counting")
struct CostTests {
    @Test("Counting and recording allocate nothing", .enabled(if: cac_thread_allocations() >= 0))
    func allocations() {
        let registry = MetricsRegistry()
        let counter = Counter(label: "c", factory: registry)
        let fractions = FloatingPointCounter(label: "f", factory: registry)
        let meter = Meter(label: "m", factory: registry)
        let recorder = Recorder(label: "r", factory: registry)
        let timer = CoreMetrics.Timer(label: "t", factory: registry)
        func count(rounds: Int) {
            for round in 0..<rounds {
                counter.increment()
                fractions.increment(by: 0.5)
                meter.increment()
                meter.set(round)
                recorder.record(Double(round))
                timer.recordNanoseconds(Int64(round) * 1_000_000)
            }
        }
        count(rounds: 1)
        let before = cac_thread_allocations()
        count(rounds: 1_000)
        let made = cac_thread_allocations() - before
        #expect(made == 0)
    }
}
