import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration
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

    func apply(to configuration: inout ServerConfiguration) {
        if let address { configuration.metricsAddress = address.address }
    }

    /// Begins to count, and returns the service that tells it.
    ///
    /// Comes before any service is made, so that their instruments count here.
    static func start(_ address: SocketAddress, options: ListenerOptions) -> any Service {
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        registry.describeServiceMetrics()
        MetricsSystem.bootstrap(registry)
        var listeners = Listeners()
        listeners.add(address, options: options)
        return metricsService(registry: registry, listeners: listeners)
    }
}
