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

    /// Runs the services until a shutdown is requested and carried out, or one of them fails.
    ///
    /// - Parameter shutdown: where the request comes from; by default the process's signals.
    /// - Throws: what a service threw when it could not start or run; the others have been ended then.
    public func run(shutdown: any ShutdownSource = ProcessSignals()) async throws {
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
            group.addTask(executorPreference: control.nextExecutor()) { .signal(await shutdown.next()) }
            try await supervise(&group, running: running, shutdown: shutdown, control: control)
            enter(.shutdownRuntimes)
        }
    }

    private enum Ended {
        case service
        case signal(ShutdownSignal)
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

    /// Waits for the services, and for signals that end them.
    ///
    /// A second signal during a graceful end makes it fast.
    private func supervise(
        _ group: inout ThrowingTaskGroup<Ended, any Error>,
        running: [Running],
        shutdown: any ShutdownSource,
        control: ServiceExecutor
    ) async throws {
        var left = running.count
        var isDraining = false
        while left > 0, let ended = try await group.next() {
            switch ended {
            case .service:
                left -= 1
            case .signal(.graceful) where !isDraining:
                isDraining = true
                enter(.gracefulTerminate)
                enter(.shutdownStarted)
                for (_, context) in running { context.drain.begin() }
                enter(.shutdownGracePeriod)
                let gracePeriod = configuration.gracePeriod
                group.addTask(executorPreference: control.nextExecutor()) { await Self.sleep(for: gracePeriod) }
                group.addTask(executorPreference: control.nextExecutor()) { .signal(await shutdown.next()) }
            case .signal, .graceOver:
                if !isDraining { enter(.shutdownStarted) }
                group.cancelAll()
                while left > 0, let ended = await group.nextResult() {
                    if case .success(.service) = ended { left -= 1 }
                    if case .failure = ended { left -= 1 }
                }
            }
        }
        group.cancelAll()
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

/// Where a server stands, in the order it goes through.
public enum ExecutionPhase: String, Sendable {
    /// Services are being added.
    case setup
    /// Services acquire what they need.
    case bootstrap
    /// All services can run.
    case bootstrapComplete
    /// Services run.
    case running
    /// A graceful end was requested.
    case gracefulTerminate
    /// The end has begun.
    case shutdownStarted
    /// What is in flight may finish.
    case shutdownGracePeriod
    /// All services have ended; their threads do now.
    case shutdownRuntimes
    /// Nothing runs any more.
    case terminated
}
