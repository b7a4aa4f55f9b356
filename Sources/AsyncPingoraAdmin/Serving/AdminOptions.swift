public import AsyncPingora

/// How the admin page is served, and what it may change.
public struct AdminOptions: Sendable {
    /// What the page calls the process.
    public var title = "AsyncPingora"
    /// Which version of it this is; nil says none.
    public var version: String?
    /// The level that the page can change; nil shows none.
    ///
    /// Give it to the `AdjustableLogHandler` that the process logs through.
    public var logLevel: LogLevel?
    /// Host names that the page may be asked for by, beside `localhost` and loopback addresses; without port.
    ///
    /// Any other name is refused with 421: a browser that asks for it shows a page of somebody else's.
    public var hosts: [String] = []
    /// Whether the page may listen where other machines can reach it.
    ///
    /// Default false: an address that is not a loopback one stops the start. **Nobody is asked who they are**: whoever reaches the page
    /// sees the upstreams and can change the log level.
    public var allowsRemoteAccess = false
    /// Whether the server does not start without the page.
    ///
    /// Default true. Otherwise a taken port is a line in the log.
    public var isRequired = true

    /// Makes the defaults.
    public init() {}
}

/// Why the admin page is not served.
public struct AdminConfigurationError: Error, CustomStringConvertible {
    /// What is wrong, in one line.
    public let description: String
}
