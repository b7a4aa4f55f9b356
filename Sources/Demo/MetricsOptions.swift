import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration

/// Whether, and where, the process tells what it counts.
struct MetricsOptions: ParsableArguments {
    @Option(
        name: .customLong("metrics"),
        help: "Where Prometheus finds the metrics, at /metrics; with neither this nor --admin nothing is counted."
    )
    var address: ListenAddress?

    func apply(to configuration: inout ServerConfiguration) {
        if let address { configuration.metricsAddress = address.address }
    }
}
