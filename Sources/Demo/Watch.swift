import ArgumentParser
import AsyncPingora
import AsyncPingoraAdmin
import AsyncPingoraConfiguration
import AsyncPingoraMetrics
import CoreMetrics
import Logging
import PrometheusMetrics

/// Whether, and where, the process shows its admin page.
struct AdminPageOptions: ParsableArguments {
    @Option(name: .customLong("admin"), help: "Where the admin page is shown: a loopback address, or unix:/PATH.")
    var address: ListenAddress?

    func apply(to configuration: inout ServerConfiguration) {
        if let address { configuration.adminAddress = address.address }
    }
}

/// What the process counts of itself, and whom it tells: Prometheus, readers of the admin page, or nobody, and then it counts nothing.
struct Watch {
    /// The admin page that a command has.
    struct Page {
        let address: SocketAddress
        /// Whether the process does not start without it.
        let isRequired: Bool

        /// The page that was asked for, else the one at a standard address, if there is one: without that the process starts all the same.
        init?(_ asked: SocketAddress?, standard: ListenAddress?) {
            guard let address = asked ?? standard?.address else { return nil }
            self.address = address
            isRequired = asked != nil
        }
    }

    private let registry: MetricsRegistry?
    private let metrics: SocketAddress?
    private let page: Page?

    /// Begins to count if anybody is to be told.
    ///
    /// Comes before any service is made, so that their instruments count here.
    init(metrics: SocketAddress?, page: Page?) {
        self.metrics = metrics
        self.page = page
        guard metrics != nil || page != nil else {
            registry = nil
            return
        }
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        registry.describeServiceMetrics()
        MetricsSystem.bootstrap(registry)
        self.registry = registry
    }

    /// What a service is measured with; nil when nobody is told.
    func metrics(of service: String) -> ServiceMetrics? {
        registry.map { ServiceMetrics(service: service, factory: $0) }
    }

    /// Adds the services that tell.
    func add(to server: Server, logLevel: LogLevel, listener: ListenerOptions) async {
        guard let registry else { return }
        if let metrics {
            var listeners = Listeners()
            listeners.add(metrics, options: listener)
            await server.add(metricsService(registry: registry, listeners: listeners))
        }
        guard let page else { return }
        var listeners = Listeners()
        listeners.add(page.address, options: listener)
        var options = AdminOptions()
        options.title = "Demo"
        options.logLevel = logLevel
        options.isRequired = page.isRequired
        await server.add(AdminService(server: server, registry: registry, listeners: listeners, options: options))
    }
}
