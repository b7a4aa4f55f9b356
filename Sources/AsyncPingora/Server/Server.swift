public import AsyncTransport
public import Logging

/// A process's services: starts them together, ends them together.
public actor Server {
    /// What holds for all services unless they say otherwise.
    public struct Configuration: Sendable {
        /// Threads per service; nil is one per core.
        public var threadCount: Int?
        /// How a service's threads share its tasks.
        public var flavor = ExecutorFlavor.pinned
        /// How long a graceful end waits for what is in flight.
        ///
        /// It ends as soon as the last of it does. Default 300 s.
        public var gracePeriod: Duration = .seconds(300)

        /// Makes the defaults.
        public init() {}
    }

    private let configuration: Configuration
    private let logger: Logger
    private var services: [any Service] = []
    private var phase = ExecutionPhase.setup
    private var observers: [AsyncStream<ExecutionPhase>.Continuation] = []
    private var reloadHooks: [Hook] = []
    private var reopenHooks: [Hook] = []
    private var upgradeHandler: Hook?

    /// What is called when a signal asks for it, on a thread of the server's own.
    public typealias Hook = @Sendable () async throws -> Void

    /// Makes a server without services.
    public init(configuration: Configuration = Configuration(), logger: Logger = Logger(label: "AsyncPingora.Server")) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Adds a service, before ``run(shutdown:)``.
    public func add(_ service: any Service) {
        precondition(phase == .setup, "services are added before the server runs")
        services.append(service)
    }

    /// Every phase that the server enters from now on; the stream ends with the server.
    public func phases() -> AsyncStream<ExecutionPhase> {
        let (stream, continuation) = AsyncStream<ExecutionPhase>.makeStream()
        observers.append(continuation)
        return stream
    }

    /// Has `hook` called at ``ServerSignal/reload``, after those that were added before it.
    ///
    /// When one throws, the error is logged, those after it are not called, and the server goes on as it is.
    public func onReload(_ hook: @escaping Hook) {
        reloadHooks.append(hook)
    }

    /// Has `hook` called at ``ServerSignal/reopenLogs``, after those that were added before it; also while the server drains.
    ///
    /// When one throws, the error is logged, and those after it are called all the same.
    public func onReopenLogs(_ hook: @escaping Hook) {
        reopenHooks.append(hook)
    }

    /// Has `handler` called at ``ServerSignal/upgrade``: it gives the listeners to a new process.
    ///
    /// When it returns, the new process accepts connections, and this one ends gracefully. When it throws, the error is logged and
    /// the server goes on as it is. Without a handler the signal is a ``ServerSignal/gracefulShutdown``.
    public func onUpgrade(_ handler: @escaping Hook) {
        upgradeHandler = handler
    }

    /// Runs the services until a shutdown is requested and carried out, or one of them fails.
    ///
    /// - Parameter signals: where requests come from; by default the process's signals.
    /// - Throws: what a service threw when it could not start or run; the others have been ended then.
    public func run(signals: any SignalSource = ProcessSignals()) async throws {
        precondition(phase == .setup, "a server runs once")
        defer {
            enter(.terminated)
            for observer in observers { observer.finish() }
        }
        enter(.bootstrap)
        let running = try await start()
        defer { for service in running { service.context.executor.shutdown() } }
        enter(.running)
        let control = try ServiceExecutor(name: "server", threadCount: 1)
        defer { control.shutdown() }
        try await withThrowingTaskGroup(of: Ended.self) { group in
            for (service, context) in running {
                group.addTask(executorPreference: context.executor.nextExecutor()) {
                    try await service.run(context)
                    return .service
                }
            }
            group.addTask(executorPreference: control.nextExecutor()) { .signal(await signals.next()) }
            try await supervise(&group, running: running, signals: signals, control: control)
            enter(.shutdownRuntimes)
        }
    }

    private enum Ended {
        case service
        case signal(ServerSignal?)
        case hooks
        case upgrade((any Error)?)
        case graceOver
    }

    private typealias Running = (service: any Service, context: ServiceContext)

    /// Creates each service's threads and has it acquire what it needs.
    private func start() async throws -> [Running] {
        var running: [Running] = []
        do {
            for service in services {
                let executor = try ServiceExecutor(
                    name: service.name,
                    threadCount: service.threadCount ?? configuration.threadCount,
                    flavor: service.flavor ?? configuration.flavor
                )
                let context = ServiceContext(executor: executor, logger: logger, drain: DrainState())
                running.append((service, context))
                // In a child task: after a failure this one must not be on the thread that it is about to end and join.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask(executorPreference: executor.nextExecutor()) { try await service.prepare(context) }
                    try await group.waitForAll()
                }
            }
        } catch {
            for service in running { service.context.executor.shutdown() }
            throw error
        }
        enter(.bootstrapComplete)
        return running
    }

    /// Waits for the services, and does what signals ask for.
    ///
    /// A second signal to end during a graceful end makes it fast.
    private func supervise(
        _ group: inout ThrowingTaskGroup<Ended, any Error>,
        running: [Running],
        signals: any SignalSource,
        control: ServiceExecutor
    ) async throws {
        var left = running.count
        var isDraining = false
        let executor = control.nextExecutor()
        while left > 0, let ended = try await group.next() {
            var isEnd = false
            switch ended {
            case .service: left -= 1
            case .hooks: break
            case .upgrade(let error):
                if let error {
                    logger.error("the upgrade failed, this process goes on: \(error)")
                    if !isDraining { enter(.running) }
                } else if !isDraining {
                    isDraining = true
                    drain(running, in: &group, executor)
                }
            case .signal(let signal):
                if signal != nil { group.addTask(executorPreference: executor) { .signal(await signals.next()) } }
                switch signal {
                case .reload where isDraining: break
                case .reload: runHooks(reloadHooks, for: "reloading", stopsAtError: true, in: &group, executor)
                case .reopenLogs:
                    runHooks(reopenHooks, for: "reopening the logs", stopsAtError: false, in: &group, executor)
                case .upgrade where isDraining: break
                case .upgrade where upgradeHandler != nil: upgrade(in: &group, executor)
                case .upgrade where !isDraining, .gracefulShutdown where !isDraining:
                    isDraining = true
                    enter(.gracefulTerminate)
                    drain(running, in: &group, executor)
                case .upgrade, .gracefulShutdown, .fastShutdown, nil: isEnd = true
                }
            case .graceOver: isEnd = true
            }
            guard isEnd else { continue }
            if !isDraining { enter(.shutdownStarted) }
            group.cancelAll()
            while left > 0, let ended = await group.nextResult() {
                if case .success(.service) = ended { left -= 1 }
                if case .failure = ended { left -= 1 }
            }
        }
        group.cancelAll()
    }

    private func drain(
        _ running: [Running],
        in group: inout ThrowingTaskGroup<Ended, any Error>,
        _ executor: any TaskExecutor
    ) {
        enter(.shutdownStarted)
        for (_, context) in running { context.drain.begin() }
        enter(.shutdownGracePeriod)
        let gracePeriod = configuration.gracePeriod
        group.addTask(executorPreference: executor) { await Self.sleep(for: gracePeriod) }
    }

    private func upgrade(in group: inout ThrowingTaskGroup<Ended, any Error>, _ executor: any TaskExecutor) {
        guard let handler = upgradeHandler, phase == .running else { return }
        enter(.transferringListeners)
        group.addTask(executorPreference: executor) {
            do {
                try await handler()
                return .upgrade(nil)
            } catch {
                return .upgrade(error)
            }
        }
    }

    private func runHooks(
        _ hooks: [Hook],
        for purpose: String,
        stopsAtError: Bool,
        in group: inout ThrowingTaskGroup<Ended, any Error>,
        _ executor: any TaskExecutor
    ) {
        let logger = logger
        group.addTask(executorPreference: executor) {
            for hook in hooks {
                do {
                    try await hook()
                } catch {
                    logger.error("\(purpose) failed: \(error)")
                    if stopsAtError { break }
                }
            }
            return .hooks
        }
    }

    private static func sleep(for duration: Duration) async -> Ended {
        await withParker { parker in
            let deadline = Deadline.after(duration)
            while !parker.isCancelled, !deadline.hasPassed { await parker.park(until: deadline) }
            return .graceOver
        }
    }

    private func enter(_ phase: ExecutionPhase) {
        self.phase = phase
        for observer in observers { observer.yield(phase) }
        logger.debug("server phase: \(phase.rawValue)")
    }
}
