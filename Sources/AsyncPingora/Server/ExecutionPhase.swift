/// Where a server stands, in the order it goes through.
public enum ExecutionPhase: String, Sendable {
    /// Services are being added.
    case setup
    /// Services acquire what they need.
    case bootstrap
    /// All services have what they need; each starts to run when those that it depends on are ready.
    case bootstrapComplete
    /// All services run and are ready. Entered again when an upgrade has failed.
    case running
    /// An upgrade was requested: the new process is given the listeners.
    case transferringListeners
    /// A graceful end was requested, other than by an upgrade.
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
