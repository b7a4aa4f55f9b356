import AsyncPingora
import AsyncPingoraMetrics
import AsyncPingoraTesting
import CoreMetrics
import PrometheusMetrics
import Testing

/// What Prometheus, and whoever is lost, gets from the metrics service.
@Suite("Metrics service", .timeLimit(.minutes(2)))
struct MetricsServiceTests {
    private static let text = "# TYPE served_total counter\nserved_total{kind=\"a\"} 3\n"

    private struct Answer {
        let request: String
        let status: Int
        var fields: [String: String] = [:]
        var text = ""
    }

    private let answers = [
        Answer(
            request: "GET /metrics",
            status: 200,
            fields: [
                "content-type": "text/plain; version=0.0.4; charset=utf-8", "content-length": "\(text.utf8.count)",
            ],
            text: text
        ),
        Answer(request: "GET /metrics?name=a", status: 200, text: text),
        Answer(request: "HEAD /metrics", status: 200, fields: ["content-length": "\(text.utf8.count)"]),
        Answer(request: "POST /metrics", status: 405, fields: ["allow": "GET, HEAD", "content-length": "0"]),
        Answer(request: "DELETE /metrics", status: 405, fields: ["allow": "GET, HEAD"]),
        Answer(request: "GET /", status: 404, text: "metrics are at /metrics\n"),
        Answer(request: "GET /metrics/", status: 404, text: "metrics are at /metrics\n"),
    ]

    @Test("Answers in turn on one connection, then ends with the server")
    func answersInTurn() async throws {
        let registry = MetricsRegistry()
        Counter(label: "served_total", dimensions: [("kind", "a")], factory: registry).increment(by: 3)
        try await withMetricsService(registry) { address in
            try await RawClient.withConnection(to: address) { client in
                for answer in answers {
                    let response = try await client.exchange("\(answer.request) HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.status == answer.status, "\(answer.request)")
                    #expect(response.text == answer.text, "\(answer.request)")
                    for (name, value) in answer.fields { #expect(response[name] == value, "\(answer.request)") }
                }
            }
        }
    }

    @Test("A collector runs with every scrape, and with nothing else")
    func collectors() async throws {
        let registry = MetricsRegistry()
        let scrapes = Counter(label: "scrapes_total", factory: registry)
        registry.addCollector { scrapes.increment() }
        try await withMetricsService(registry) { address in
            try await RawClient.withConnection(to: address) { client in
                for (path, count) in [("/metrics", 1), ("/", 1), ("/metrics", 2)] {
                    let response = try await client.exchange("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
                    if response.status == 200 { #expect(response.text.hasSuffix("scrapes_total \(count)\n")) }
                }
            }
        }
    }

    /// Answers when it has read all of a request.
    private struct Reading: ServeHttp {
        func serve(_ session: Session) async throws {
            while try await session.readRequestBody() != nil {}
            try await session.respond(.ok)
        }
    }

    @Test("A service that ends can be scraped until its last request is done")
    func drain() async throws {
        try await TestExecutor.withExecutor { _ in
            let registry = MetricsRegistry()
            let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
            var (front, back) = (Listeners(), Listeners())
            front.add(address)
            back.add(address)
            let busy = httpService(
                name: "busy",
                Reading(),
                listeners: front,
                metrics: ServiceMetrics(service: "busy", factory: registry)
            )
            let metrics = metricsService(registry: registry, listeners: back)
            var configuration = Server.Configuration()
            configuration.lastRequestTimeout = .seconds(3_600)
            let server = Server(configuration: configuration)
            await server.add(metrics)
            await server.add(busy)
            let phases = await server.phases()
            let signals = ManualSignals()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                for await phase in phases where phase == .running { break }
                let scraper = try await RawClient.connect(to: try #require(await metrics.addresses.first))
                try await RawClient.withConnection(to: try #require(await busy.addresses.first)) { client in
                    try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
                    signals.send(.gracefulShutdown)
                    for await phase in phases where phase == .shutdownGracePeriod { break }
                    // The connection may still be on its way.
                    var scrape = ""
                    while !scrape.contains("pingora_connections_open{service=\"busy\"} 1\n") {
                        try Task.checkCancellation()
                        scrape = try await scraper.exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").text
                    }
                    try await client.send("2")
                    #expect(try await client.receiveResponse(to: "POST").status == 200)
                }
                try await group.waitForAll()
            }
        }
    }

    /// Runs `body` with the service, and ends it.
    private func withMetricsService(
        _ registry: MetricsRegistry,
        _ body: @escaping @Sendable (SocketAddress) async throws -> Void
    ) async throws {
        try await TestExecutor.withExecutor { _ in
            var listeners = Listeners()
            listeners.add(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
            let service = metricsService(registry: registry, listeners: listeners)
            let server = Server()
            await server.add(service)
            let phases = await server.phases()
            let signals = ManualSignals()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                for await phase in phases where phase == .running { break }
                defer { signals.send(.fastShutdown) }
                let address = try #require(await service.addresses.first)
                try await body(address)
            }
        }
    }
}
