internal import AsyncTransport

/// A service without listeners: a task that runs beside the others, such as a health checker. One thread by default.
public actor BackgroundService: Service {
    /// What the service is called.
    public nonisolated let name: String
    /// How many threads it gets.
    public nonisolated let threadCount: Int?
    private let body: @Sendable (ServiceContext) async throws -> Void

    /// Makes a service that runs `body` once; it should return when `context` begins to drain.
    public init(
        name: String,
        threadCount: Int = 1,
        _ body: @escaping @Sendable (ServiceContext) async throws -> Void
    ) {
        self.name = name
        self.threadCount = threadCount
        self.body = body
    }

    /// Runs the body.
    public func run(_ context: ServiceContext) async throws {
        try await body(context)
    }
}
