import ArgumentParser
import AsyncPingora
import AsyncPingoraMetrics
import CoreMetrics
import PrometheusMetrics

/// Whether, and where, the process tells what it counts.
struct MetricsOptions: ParsableArguments {
    @Option(
        name: .customLong("metrics"),
        help: "Where Prometheus finds the metrics, at /metrics; without it nothing is counted."
    )
    var address: ListenAddress?

    /// Begins to count, and returns the service that tells it; nil if it was not asked for.
    ///
    /// Comes before any service is made, so that their instruments count here.
    func start() -> (any Service)? {
        guard let address else { return nil }
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        MetricsSystem.bootstrap(registry)
        var listeners = Listeners()
        listeners.add(address.address)
        return metricsService(registry: registry, listeners: listeners)
    }
}
