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

    /// Acquires what the service cannot run without, such as its addresses. Called before any service runs; an error stops the start.
    func prepare(_ context: ServiceContext) async throws

    /// Runs until the server shuts down: gracefully when `context.isDraining` becomes true, at once when the task is cancelled.
    ///
    /// Runs on the service's own threads, and so do its child tasks.
    func run(_ context: ServiceContext) async throws
}

extension Service {
    /// Takes the server's setting.
    public nonisolated var threadCount: Int? { nil }
    /// Takes the server's setting.
    public nonisolated var flavor: ExecutorFlavor? { nil }
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

    package init(executor: ServiceExecutor, logger: Logger, drain: DrainState) {
        self.executor = executor
        self.logger = logger
        self.drain = drain
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
