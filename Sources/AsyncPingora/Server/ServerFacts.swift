public import AsyncTransport

/// What a server looked like when it was asked.
public struct ServerFacts: Sendable {
    /// Where it stands.
    public let phase: ExecutionPhase
    /// When it began to run, in seconds since 1970; nil before.
    public let startedAt: Int64?
    /// The process's number.
    public let processID: Int32
    /// Its services, in the order they were added.
    public let services: [ServiceFacts]
}

/// What a service looked like when its server was asked.
public struct ServiceFacts: Sendable {
    /// What it is called.
    public let name: String
    /// Where it stands.
    public let state: ServiceState
    /// The services that it depends on.
    public let dependencies: [String]
    /// How many threads it has, or will have.
    public let threadCount: Int
    /// How they share its tasks.
    public let flavor: ExecutorFlavor
    /// Where it listens, and what came of it; nil for a service without listeners, such as a ``BackgroundService``.
    public let listening: ListeningFacts?
}

/// Where a service stands, in the order it goes through.
public enum ServiceState: String, Sendable {
    /// It waits for its turn to acquire what it needs, or for the services that it depends on.
    case waiting
    /// It acquires what it needs.
    case preparing
    /// It runs, and has not said yet that it is ready.
    case starting
    /// It runs and is ready.
    case running
    /// It finishes what has begun.
    case draining
    /// It does not run any more.
    case ended
}

/// What a service with listeners has to tell.
public struct ListeningFacts: Sendable {
    /// An address that clients connect to.
    public struct Listener: Sendable {
        /// The address, with the port that the kernel chose.
        public let address: SocketAddress
        /// Whether connections are encrypted.
        public let usesTLS: Bool
    }

    /// Where it listens; empty before it has been prepared.
    public let listeners: [Listener]
    /// Connections of clients that are open, idle ones included.
    public let openConnections: Int
    /// Connections accepted since the service began.
    public let acceptedConnections: Int
}
