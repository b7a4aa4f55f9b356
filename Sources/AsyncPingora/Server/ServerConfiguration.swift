public import AsyncTransport

extension Server {
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
        /// How long a connection may take, once a graceful end has begun, to send a request that may have been on its way by then.
        ///
        /// Counts from when the connection was last answered, or accepted: one that has been idle for longer is closed at once.
        /// Default 500 ms.
        public var lastRequestTimeout: Duration = .milliseconds(500)

        /// Where a process that is to replace this one waits for its sockets: the path of a Unix-domain socket.
        ///
        /// With it SIGQUIT hands over to that process; without, it is a graceful end.
        public var upgradeSocket: String?
        /// Whether this process replaces one that runs: it waits at ``upgradeSocket`` until that one has been sent SIGQUIT.
        public var takesOver = false
        /// How long a new process waits for the old one, and the old one until the new one serves.
        ///
        /// Default 60 s.
        public var upgradeTimeout: Duration = .seconds(60)
        /// How often an old process looks whether a new one waits, a second apart, before the upgrade fails.
        ///
        /// Default 5.
        public var upgradeAttempts = 5
        /// The file that holds the process's number while it runs; an older file is renamed to `PATH.old`.
        public var pidFile: String?
        /// Who the process becomes when its addresses are bound.
        public var identity: ProcessIdentity?
        /// The background process that the server runs in.
        public var daemon: Daemon?

        /// Makes the defaults.
        public init() {}
    }
}
