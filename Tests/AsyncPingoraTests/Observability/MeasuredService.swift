import AsyncPingora
import AsyncTransport
import CoreMetrics
import MetricsTestKit
import Testing

/// A service's metrics, and what has been recorded with them.
struct MeasuredService: Sendable {
    let recorded: TestMetrics
    let metrics: ServiceMetrics

    init() {
        recorded = TestMetrics()
        metrics = ServiceMetrics(service: "proxy", factory: recorded, samplingInterval: .milliseconds(5))
    }

    /// Has a proxy measured.
    var setUp: @Sendable (inout UpstreamSetup) -> Void {
        { [metrics] in $0.metrics = metrics }
    }

    /// Every counter that has counted anything, by name and labels other than the service.
    var counts: [String: Int] {
        var counts: [String: Int] = [:]
        for counter in recorded.counters where counter.totalValue != 0 {
            counts[key(counter.label, counter.dimensions)] = Int(counter.totalValue)
        }
        return counts
    }

    /// Every timer that has timed anything, and how often.
    ///
    /// Those of exchanges alone: event loops are timed all the while.
    var timings: [String: Int] {
        var timings: [String: Int] = [:]
        for timer in recorded.timers where timer.label != "pingora_event_loop_lag_seconds" && !timer.values.isEmpty {
            timings[key(timer.label, timer.dimensions)] = timer.values.count
        }
        return timings
    }

    /// Every meter, and what it stands at.
    var levels: [String: Int] {
        var levels: [String: Int] = [:]
        for meter in recorded.meters {
            levels[key(meter.label, meter.dimensions)] = meter.lastValue.map { Int($0) }
        }
        return levels
    }

    private func key(_ label: String, _ dimensions: [(String, String)]) -> String {
        let name = label.hasPrefix("pingora_") ? String(label.dropFirst("pingora_".count)) : label
        let labels = dimensions.filter { $0 != ("service", "proxy") }.map { " \($0.0)=\($0.1)" }.sorted().joined()
        return name + labels
    }

    /// Waits until what `read` returns is as expected; then returns it, or else what it is at last.
    ///
    /// A client has its answer a moment before the exchange is counted.
    func settled<Value: Equatable>(_ read: () -> Value, at expected: Value) async -> Value {
        await withParker { parker in
            let deadline = Deadline.after(.seconds(40))
            while true {
                let value = read()
                if value == expected || deadline.hasPassed || parker.isCancelled { return value }
                await parker.park(until: .after(.milliseconds(2)))
            }
        }
    }

    /// Expects exactly this to have been counted, in a while.
    func expect(counts expected: [String: Int], sourceLocation: SourceLocation = #_sourceLocation) async {
        let counts = await settled({ self.counts }, at: expected)
        #expect(counts == expected, sourceLocation: sourceLocation)
    }
}

/// Keeps what an observer may see of each exchange.
final class ExchangeKeeper: ExchangeObserver {
    struct Entry: Sendable {
        let timings: ExchangeTimings
        let status: Int?
        let failure: String?
    }

    private let kept = Lock<[Entry]>([])

    func exchangeEnded(_ session: Session) {
        let entry = Entry(
            timings: session.timings,
            status: session.responseStatus,
            failure: session.failure?.kind.name
        )
        kept.withLock { $0.append(entry) }
    }

    var entries: [Entry] { kept.withLock { $0 } }
}
