public import AsyncPingora
public import AsyncTransport
public import Logging
public import PrometheusMetrics

/// Serves the admin page: a live picture of the server that it is a service of, and the JSON behind it.
///
///     let registry = MetricsRegistry()
///     MetricsSystem.bootstrap(registry)
///     …
///     var listeners = Listeners()
///     listeners.add(loopback)
///     await server.add(AdminService(server: server, registry: registry, listeners: listeners))
///
/// It has one thread of its own, so it costs the other services nothing but the look at their numbers once a second.
public actor AdminService: Service {
    /// What the service is called.
    public nonisolated let name: String
    /// One: the page has few readers.
    public nonisolated var threadCount: Int? { 1 }
    /// The page shows how the other services end.
    public nonisolated var outlivesOthers: Bool { true }
    private let inner: ListeningService<HttpApp<HttpServer<AdminSite>>>
    private let listeners: Listeners
    private let options: AdminOptions
    private let sampler: Sampler
    private var isListening = false

    /// Makes the service.
    ///
    /// - Parameters:
    ///   - name: what it is called.
    ///   - server: whose services are shown; add this one to it.
    ///   - registry: where their metrics are; without one there are no rates and percentiles.
    ///   - listeners: where the page is served: loopback addresses or Unix-domain sockets, unless the options allow others.
    ///   - options: what the page shows and may change.
    ///   - logger: gets a line when the log level is changed or a request refused.
    public init(
        name: String = "admin",
        server: Server,
        registry: MetricsRegistry? = nil,
        listeners: Listeners,
        options: AdminOptions = AdminOptions(),
        logger: Logger = Logger(label: "AsyncPingora.Admin")
    ) {
        self.name = name
        self.listeners = listeners
        self.options = options
        sampler = Sampler(server: server, registry: registry, ownName: name)
        let site = AdminSite(options: options, sampler: sampler, logger: logger)
        inner = httpService(name: name, site, listeners: listeners, threadCount: 1, logger: logger)
    }

    /// Where the page is served, with the ports that the kernel chose; empty before the server has prepared it, and when it is not.
    public var addresses: [SocketAddress] {
        get async { isListening ? await inner.addresses : [] }
    }

    /// Where the page is served, and how many look at it.
    public nonisolated var listening: ListeningFacts? { inner.listening }

    /// Binds the addresses.
    ///
    /// - Throws: ``AdminConfigurationError`` when others than this machine could reach one; `TransportError` when one cannot be had
    ///   and ``AdminOptions/isRequired``.
    public func prepare(_ context: ServiceContext) async throws {
        let open = listeners.addresses.first { !$0.isLoopback }
        if let open, !options.allowsRemoteAccess {
            throw AdminConfigurationError(
                description: "the admin page may not listen on \(open): others than this machine could reach it"
            )
        }
        do {
            try await inner.prepare(context)
            isListening = true
        } catch  where !options.isRequired {
            context.logger.warning("there is no admin page: \(error)")
        }
    }

    /// Serves the page and looks at the server once a second, until the server shuts down.
    public func run(_ context: ServiceContext) async throws {
        guard isListening else { return await context.drainBegins() }
        await sampler.sample()
        try await withThrowingTaskGroup(of: Void.self) { [sampler, inner] group in
            group.addTask { await sampler.run() }
            group.addTask { try await inner.run(context) }
            // The sampler ends when it is cancelled: the first to end is the service.
            try await group.next()
            group.cancelAll()
        }
    }
}
