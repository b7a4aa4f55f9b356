public import AsyncConnectors
public import AsyncTransport
public import Logging
public import Tracing

/// A service that accepts connections and gives each to its app, in a child task.
public actor ListeningService<App: ServerApp>: Service {
    /// What the service is called.
    public nonisolated let name: String
    /// How many threads it gets; nil takes the server's setting.
    public nonisolated let threadCount: Int?
    /// How they share its tasks; nil takes the server's setting.
    public nonisolated let flavor: ExecutorFlavor?
    /// Whether it serves until the others have ended.
    public nonisolated let outlivesOthers: Bool
    /// What connections are given to.
    public nonisolated let app: App
    private let listeners: Listeners
    private let counts = ConnectionCounts()
    private let stacks = Lock<[TransportStack]>([])

    /// Makes a service.
    ///
    /// - Parameters:
    ///   - name: what it is called.
    ///   - app: what connections are given to.
    ///   - listeners: where clients connect.
    ///   - threadCount: its threads; nil takes the server's setting.
    ///   - flavor: how they share its tasks; nil takes the server's setting.
    ///   - outlivesOthers: whether it serves until the others have ended; see ``Service/outlivesOthers``.
    public init(
        name: String,
        app: App,
        listeners: Listeners,
        threadCount: Int? = nil,
        flavor: ExecutorFlavor? = nil,
        outlivesOthers: Bool = false
    ) {
        self.name = name
        self.app = app
        self.listeners = listeners
        self.threadCount = threadCount
        self.flavor = flavor
        self.outlivesOthers = outlivesOthers
    }

    /// The addresses it listens on, with the ports that the kernel chose; empty before the server has prepared it.
    public var addresses: [SocketAddress] { stacks.withLock { $0.map(\.address) } }

    /// Where it listens, and how many connections it has.
    public nonisolated var listening: ListeningFacts? {
        ListeningFacts(
            listeners: stacks.withLock { stacks in
                stacks.map { ListeningFacts.Listener(address: $0.address, usesTLS: $0.tls != nil) }
            },
            openConnections: counts.open,
            acceptedConnections: counts.accepted
        )
    }

    /// Where the app's upstream connections come from; nil if it has none.
    public nonisolated var connector: Connector? { app.upstreams }

    /// Binds its addresses.
    public func prepare(_ context: ServiceContext) async throws {
        let stacks = try listeners.build(for: name, table: context.listeners)
        self.stacks.withLock { $0 = stacks }
        for stack in stacks { context.logger.info("\(name) listens on \(stack.address)") }
    }

    /// Accepts until the server shuts down, and returns when the last connection has ended.
    public func run(_ context: ServiceContext) async throws {
        let app = app
        let stacks = stacks.withLock { $0 }
        let counts = counts
        defer { app.serviceEnded() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Ends with the listeners: connections in flight still use what it looks after.
            group.addTask { await app.runAlongside() }
            if let metrics = app.metrics {
                group.addTask { await metrics.sample(app, on: context.executor) }
            }
            try await withThrowingTaskGroup(of: Void.self) { loops in
                for stack in stacks {
                    let loop = AcceptLoop(
                        stack: stack,
                        app: app,
                        counts: counts,
                        executor: context.executor,
                        drain: context.drain,
                        logger: context.logger
                    )
                    loops.addTask(executorPreference: context.executor.nextExecutor()) { try await loop.run() }
                }
                try await loops.waitForAll()
            }
            group.cancelAll()
        }
    }
}

/// Makes the service that runs a ``ProxyHttp``.
///
/// - Parameters:
///   - name: what it is called.
///   - proxy: the user's logic.
///   - listeners: where clients connect.
///   - threadCount: its threads; nil takes the server's setting.
///   - flavor: how they share its tasks.
///   - serverOptions: how clients' connections are timed and limited.
///   - connectorOptions: how many upstream connections are kept.
///   - proxyOptions: limits on attempts, and what is passed on.
///   - observers: who is told of each exchange when it has ended.
///   - metrics: what the service is measured with; nil leaves it unmeasured.
///   - tracer: what traces the exchanges; nil takes the one that the program has bootstrapped when the first comes, if it has.
///   - logger: where failed requests and what the proxy itself has to say are logged.
/// - Returns: the service, to be added to a ``Server``.
public func httpProxyService<Proxy: ProxyHttp>(
    name: String = "HTTP proxy",
    _ proxy: Proxy,
    listeners: Listeners,
    threadCount: Int? = nil,
    flavor: ExecutorFlavor? = nil,
    serverOptions: HttpServerOptions = HttpServerOptions(),
    connectorOptions: Connector.Options = Connector.Options(),
    proxyOptions: HttpProxyOptions = HttpProxyOptions(),
    observers: [any ExchangeObserver] = [],
    metrics: ServiceMetrics? = nil,
    tracer: (any Tracer)? = nil,
    logger: Logger = Logger(label: "AsyncPingora.HttpProxy")
) -> ListeningService<HttpApp<HttpProxy<Proxy>>> {
    let connector = Connector(options: connectorOptions, workerCount: threadCount ?? ServiceExecutor.availableCoreCount)
    let app = HttpProxy(proxy, connector: connector, options: proxyOptions, logger: logger)
    return ListeningService(
        name: name,
        app: HttpApp(
            app,
            options: serverOptions,
            observers: observers,
            metrics: metrics,
            tracer: tracer,
            logger: logger
        ),
        listeners: listeners,
        threadCount: threadCount,
        flavor: flavor
    )
}

/// Makes the service that runs a ``ServeHttp``.
///
/// - Parameters:
///   - name: what it is called.
///   - server: the user's logic.
///   - listeners: where clients connect.
///   - threadCount: its threads; nil takes the server's setting.
///   - flavor: how they share its tasks.
///   - outlivesOthers: whether it serves until the server's other services have ended; see ``Service/outlivesOthers``.
///   - serverOptions: how clients' connections are timed and limited.
///   - modules: behaviour that is added to the user's.
///   - observers: who is told of each exchange when it has ended.
///   - metrics: what the service is measured with; nil leaves it unmeasured.
///   - tracer: what traces the exchanges; nil takes the one that the program has bootstrapped when the first comes, if it has.
///   - logger: where failed requests are logged.
/// - Returns: the service, to be added to a ``Server``.
public func httpService<Server: ServeHttp>(
    name: String = "HTTP server",
    _ server: Server,
    listeners: Listeners,
    threadCount: Int? = nil,
    flavor: ExecutorFlavor? = nil,
    outlivesOthers: Bool = false,
    serverOptions: HttpServerOptions = HttpServerOptions(),
    modules: HttpModules = HttpModules(),
    observers: [any ExchangeObserver] = [],
    metrics: ServiceMetrics? = nil,
    tracer: (any Tracer)? = nil,
    logger: Logger = Logger(label: "AsyncPingora.HttpServer")
) -> ListeningService<HttpApp<HttpServer<Server>>> {
    ListeningService(
        name: name,
        app: HttpApp(
            HttpServer(server, modules: modules, logger: logger),
            options: serverOptions,
            observers: observers,
            metrics: metrics,
            tracer: tracer,
            logger: logger
        ),
        listeners: listeners,
        threadCount: threadCount,
        flavor: flavor,
        outlivesOthers: outlivesOthers
    )
}
