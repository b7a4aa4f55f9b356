public import AsyncConnectors
internal import AsyncTransport
internal import Glibc
public import Logging

/// A process's services: starts them in the order of their dependencies, does what signals ask for, and ends them together.
public actor Server {
    /// What is called when a signal asks for it, on a thread of the server's own.
    public typealias Hook = @Sendable () async throws -> Void

    /// A service, and how far it has come.
    struct Unit {
        let service: any Service
        var state = ServiceState.waiting
        let readiness = Readiness()
        var isReady = false
        var context: ServiceContext?
    }

    let configuration: Configuration
    let logger: Logger
    let process: ServerProcess
    let graph = ServiceGraph()
    var units: [Unit] = []
    var progress = RunProgress()
    private(set) var phase = ExecutionPhase.setup
    private var startedAt: Int64?
    private var observers: [AsyncStream<ExecutionPhase>.Continuation] = []
    private(set) var hooks: [HookKind: [Hook]] = [:]
    private(set) var upgradeHandler: Hook?

    /// Makes a server without services.
    public init(configuration: Configuration = Configuration(), logger: Logger = Logger(label: "AsyncPingora.Server")) {
        self.configuration = configuration
        self.logger = logger
        process = ServerProcess(configuration, logger: logger)
    }

    /// Adds a service, before ``run(signals:)``.
    ///
    /// - Returns: what states its dependencies.
    @discardableResult
    public func add(_ service: any Service) -> ServiceHandle {
        precondition(phase == .setup, "services are added before the server runs")
        units.append(Unit(service: service))
        return graph.add(service.name)
    }

    /// The phase that the server is in, then each that it enters; the stream ends with the server.
    public func phases() -> AsyncStream<ExecutionPhase> {
        let (stream, continuation) = AsyncStream<ExecutionPhase>.makeStream()
        continuation.yield(phase)
        if phase == .terminated { continuation.finish() } else { observers.append(continuation) }
        return stream
    }

    /// Has `hook` called at ``ServerSignal/reload``, after those that were added before it.
    ///
    /// When one throws, the error is logged, those after it are not called, and the server goes on as it is. A signal that comes while
    /// they run has them called once more afterwards.
    public func onReload(_ hook: @escaping Hook) {
        hooks[.reload, default: []].append(hook)
    }

    /// Has `hook` called at ``ServerSignal/reopenLogs``, after those that were added before it; also while the server drains.
    ///
    /// When one throws, the error is logged, and those after it are called all the same.
    public func onReopenLogs(_ hook: @escaping Hook) {
        hooks[.reopenLogs, default: []].append(hook)
    }

    /// Has `handler` called at ``ServerSignal/upgrade``: it gives the listeners to a new process.
    ///
    /// When it returns, the new process accepts connections, and this one ends gracefully. When it throws, the error is logged and
    /// the server goes on as it is. Without a handler that is done as ``Configuration/upgradeSocket`` says; without that, too, the signal
    /// is a ``ServerSignal/gracefulShutdown``.
    public func onUpgrade(_ handler: @escaping Hook) {
        upgradeHandler = handler
    }

    /// What the server and its services look like now.
    public func facts() -> ServerFacts {
        ServerFacts(
            phase: phase,
            startedAt: startedAt,
            processID: getpid(),
            services: units.enumerated().map { index, unit in
                ServiceFacts(
                    name: unit.service.name,
                    state: unit.state,
                    dependencies: graph.dependencies(of: index),
                    threadCount: unit.context?.executor.threadCount
                        ?? unit.service.threadCount ?? configuration.threadCount ?? ServiceExecutor.availableCoreCount,
                    flavor: unit.service.flavor ?? configuration.flavor,
                    listening: unit.service.listening
                )
            }
        )
    }

    /// Where its services' upstream connections come from, by the name of the service.
    public func connectors() -> [(service: String, connector: Connector)] {
        units.compactMap { unit in unit.service.connector.map { (unit.service.name, $0) } }
    }

    /// Runs the services until a shutdown is requested and carried out, or one of them fails.
    ///
    /// Cancelling the task that calls it is a ``ServerSignal/fastShutdown``.
    /// - Parameter signals: where requests come from; by default the process's signals.
    /// - Throws: ``ServerError`` when services cannot start, or one has failed; all have ended then.
    public func run(signals: any SignalSource = ProcessSignals()) async throws {
        precondition(phase == .setup, "a server runs once")
        startedAt = SystemClock.secondsSinceEpoch
        defer {
            enter(.terminated)
            for observer in observers { observer.finish() }
        }
        enter(.bootstrap)
        progress.order = try graph.complete()
        progress.lasting = progress.order.closure(of: units.indices.filter { units[$0].service.outlivesOthers })
        let control = try ServiceExecutor(name: "server", threadCount: 1)
        defer {
            for unit in units { unit.context?.executor.shutdown() }
            control.shutdown()
        }
        await supervise(signals, on: control.nextExecutor())
        let failure = progress.failure
        await withTaskGroup(of: Void.self) { [process] group in
            group.addTask(executorPreference: control.nextExecutor()) { await process.hasEnded(failure) }
        }
        if let failure { throw failure }
    }

    func enter(_ phase: ExecutionPhase) {
        self.phase = phase
        for observer in observers { observer.yield(phase) }
        logger.debug("server phase: \(phase.rawValue)")
    }
}
