public import AsyncConnectors
public import AsyncTransport
public import Logging

/// Something that a ``Server`` runs: an actor with threads of its own.
public protocol Service: Actor {
    /// What the service is called, in logs and as its threads' name.
    nonisolated var name: String { get }
    /// How many threads it gets; nil takes the server's setting.
    nonisolated var threadCount: Int? { get }
    /// How they share its tasks; nil takes the server's setting.
    nonisolated var flavor: ExecutorFlavor? { get }
    /// Whether the service says itself when it is ready, by ``ServiceContext/notifyReady()``; otherwise it is as soon as it runs.
    nonisolated var notifiesReady: Bool { get }
    /// Whether the service, when the server ends, goes on until the others have ended, so that one can watch them: an admin page, metrics.
    ///
    /// It hardly makes the end last longer: when the others have ended it has 20 ms for what it has begun. After an upgrade, when the new
    /// process has its sockets as well, it ends like any other service.
    nonisolated var outlivesOthers: Bool { get }
    /// Where it listens, and how many connections it has; nil for a service that does not listen.
    nonisolated var listening: ListeningFacts? { get }
    /// Where its upstream connections come from; nil for a service that has none.
    nonisolated var connector: Connector? { get }

    /// Acquires what the service cannot run without, such as its addresses.
    ///
    /// Services are prepared one after another, each after those it depends on, before any of them runs. An error stops the start.
    func prepare(_ context: ServiceContext) async throws

    /// Runs until the server shuts down: gracefully when `context.isDraining` becomes true, at once when the task is cancelled.
    ///
    /// Begins when all services that it depends on are ready. Runs on the service's own threads, and so do its child tasks.
    /// An error that is thrown before the service is ready stops the start; a later one ends the server gracefully, which then throws it.
    func run(_ context: ServiceContext) async throws
}

extension Service {
    /// Takes the server's setting.
    public nonisolated var threadCount: Int? { nil }
    /// Takes the server's setting.
    public nonisolated var flavor: ExecutorFlavor? { nil }
    /// The service is ready as soon as it runs.
    public nonisolated var notifiesReady: Bool { false }
    /// The service ends like the others.
    public nonisolated var outlivesOthers: Bool { false }
    /// The service does not listen.
    public nonisolated var listening: ListeningFacts? { nil }
    /// The service has no upstream connections.
    public nonisolated var connector: Connector? { nil }
    /// Acquires nothing.
    public func prepare(_ context: ServiceContext) async throws {}
}

/// What a server gives a service.
public struct ServiceContext: Sendable {
    /// The service's threads.
    public let executor: ServiceExecutor
    /// For the service's log lines.
    public let logger: Logger
    package let drain: DrainState
    /// The sockets of the server's listeners.
    package let listeners: ListenerTable
    private let readiness: Readiness

    init(
        executor: ServiceExecutor,
        logger: Logger,
        drain: DrainState,
        listeners: ListenerTable,
        readiness: Readiness
    ) {
        self.executor = executor
        self.logger = logger
        self.drain = drain
        self.listeners = listeners
        self.readiness = readiness
    }

    /// Says that the services which depend on this one may run.
    ///
    /// For services whose ``Service/notifiesReady`` is true; calling it again changes nothing. From any thread.
    public func notifyReady() {
        readiness.announce()
    }

    /// Whether the server is shutting down gracefully: finish what has begun and return.
    public var isDraining: Bool { drain.isDraining }

    /// Returns when the server begins to shut down gracefully, or the task is cancelled.
    public func drainBegins() async {
        await withParker { parker in
            drain.add(parker)
            defer { drain.remove(parker) }
            while !isDraining, !parker.isCancelled { await parker.park() }
        }
    }

    /// Suspends the calling task; returns early when the server begins to shut down or the task is cancelled.
    ///
    /// - Returns: whether the whole time has passed.
    public func sleep(for duration: Duration) async -> Bool {
        await withParker { parker in
            drain.add(parker)
            defer { drain.remove(parker) }
            let deadline = Deadline.after(duration)
            while !deadline.hasPassed {
                if isDraining || parker.isCancelled { return false }
                await parker.park(until: deadline)
            }
            return true
        }
    }
}
