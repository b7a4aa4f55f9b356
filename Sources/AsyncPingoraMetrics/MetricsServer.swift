public import AsyncPingora
public import PrometheusMetrics

/// Answers Prometheus: `GET /metrics` with what a registry has counted.
public struct MetricsServer: ServeHttp {
    private static let path = "/metrics"
    private let registry: MetricsRegistry

    /// Makes a server for what `registry` counts.
    public init(registry: MetricsRegistry) {
        self.registry = registry
    }

    /// Answers `GET` and `HEAD` for `/metrics`, another method there with 405, and anything else with 404.
    public func serve(_ session: Session) async throws {
        var headers = HeaderMap()
        guard session.request.path == Self.path else {
            headers.set(.contentType, staticBytes: "text/plain; charset=utf-8")
            return try await session.respond(.notFound, headers: headers, body: Bytes("metrics are at \(Self.path)\n"))
        }
        guard session.request.method == .get || session.request.method == .head else {
            headers.set(.allow, staticBytes: "GET, HEAD")
            return try await session.respond(.methodNotAllowed, headers: headers)
        }
        headers.set(.contentType, staticBytes: "text/plain; version=0.0.4; charset=utf-8")
        try await session.respond(.ok, headers: headers, body: Bytes(registry.text()))
    }
}

/// Makes the service that Prometheus scrapes: ``MetricsServer`` on listeners of its own.
///
/// It can be scraped until the server's other services have ended. What it tells may be nobody else's business: listen on loopback, or where only Prometheus can come.
///
/// - Parameters:
///   - name: what it is called.
///   - registry: whose metrics it tells.
///   - listeners: where Prometheus connects.
///   - threadCount: its threads; one answers many scrapes.
/// - Returns: the service, to be added to a `Server`.
public func metricsService(
    name: String = "metrics",
    registry: MetricsRegistry,
    listeners: Listeners,
    threadCount: Int = 1
) -> ListeningService<HttpApp<HttpServer<MetricsServer>>> {
    httpService(
        name: name,
        MetricsServer(registry: registry),
        listeners: listeners,
        threadCount: threadCount,
        outlivesOthers: true
    )
}
