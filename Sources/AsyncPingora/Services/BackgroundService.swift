internal import AsyncTransport

/// A service without listeners: a task that runs beside the others, such as a health checker. One thread by default.
public actor BackgroundService: Service {
    /// What the service is called.
    public nonisolated let name: String
    /// How many threads it gets.
    public nonisolated let threadCount: Int?
    /// Whether the body says itself when it is ready.
    public nonisolated let notifiesReady: Bool
    private let body: @Sendable (ServiceContext) async throws -> Void

    /// Makes a service that runs `body` once; it should return when `context` begins to drain.
    ///
    /// An error that `body` throws ends the server, gracefully once it runs. Catch what the others can go on without.
    /// - Parameters:
    ///   - name: what it is called.
    ///   - threadCount: its threads.
    ///   - notifiesReady: whether `body` calls ``ServiceContext/notifyReady()`` when services that depend on this one may run;
    ///     otherwise they may as soon as it has begun.
    ///   - body: what it does.
    public init(
        name: String,
        threadCount: Int = 1,
        notifiesReady: Bool = false,
        _ body: @escaping @Sendable (ServiceContext) async throws -> Void
    ) {
        self.name = name
        self.threadCount = threadCount
        self.notifiesReady = notifiesReady
        self.body = body
    }

    /// Runs the body.
    public func run(_ context: ServiceContext) async throws {
        try await body(context)
    }
}
