public import CoreMetrics

/// What is counted and timed of a service, in instruments of swift-metrics.
///
/// Made for one service and given to it with `metrics`. All instruments are made with it, so that a request only adds to them; their
/// labels come from a small fixed set, and never from what a client sends. Durations are `Timer`s, and what goes up and down is a
/// `Meter`. A service without metrics measures nothing.
public final class ServiceMetrics: ExchangeObserver {
    /// What the service is called in the label `service`.
    public let service: String
    /// How often pools and executors are looked at.
    public let samplingInterval: Duration
    let connections: ConnectionInstruments
    let runtime: RuntimeInstruments
    private let exchanges: ExchangeInstruments

    /// Makes a service's instruments.
    ///
    /// - Parameters:
    ///   - service: what the service is called in the label `service`.
    ///   - factory: what makes them; by default the one that the program has given to `MetricsSystem.bootstrap`.
    ///   - samplingInterval: how often pools and executors are looked at.
    public init(
        service: String,
        factory: any MetricsFactory = MetricsSystem.factory,
        samplingInterval: Duration = .seconds(1)
    ) {
        self.service = service
        self.samplingInterval = samplingInterval
        let maker = InstrumentMaker(service: service, factory: factory)
        connections = ConnectionInstruments(maker)
        runtime = RuntimeInstruments(maker)
        exchanges = ExchangeInstruments(maker)
    }

    /// Counts an exchange.
    public func exchangeEnded(_ session: Session) {
        exchanges.record(session)
    }
}

/// Makes instruments whose first label is the service.
struct InstrumentMaker: Sendable {
    let service: String
    let factory: any MetricsFactory

    func counter(_ name: String, _ labels: [(String, String)] = []) -> Counter {
        Counter(label: name, dimensions: [("service", service)] + labels, factory: factory)
    }

    func meter(_ name: String, _ labels: [(String, String)] = []) -> Meter {
        Meter(label: name, dimensions: [("service", service)] + labels, factory: factory)
    }

    func timer(_ name: String, _ labels: [(String, String)] = []) -> Timer {
        Timer(label: name, dimensions: [("service", service)] + labels, factory: factory)
    }
}
