public import AsyncPingora
public import Logging

/// What a configuration file says, with defaults for what it leaves out.
///
/// `Examples/async-pingora.yaml` is such a file, with every key. The settings are kept as the framework's own types, ready to be given to
/// services:
///
///     let proxy = httpProxyService(
///         name: "proxy",
///         MyProxy(),
///         listeners: listeners,
///         threadCount: configuration.threads(of: "proxy").threadCount,
///         flavor: configuration.threads(of: "proxy").flavor,
///         serverOptions: configuration.http,
///         connectorOptions: configuration.connector,
///         proxyOptions: configuration.proxy
///     )
public struct ServerConfiguration: Sendable {
    /// The version of the file's format (`version`): 1.
    public var version = 1
    /// The process itself: daemon, files, user (`daemon`, `pid_file`, …).
    public var process = ProcessSettings()
    /// Threads of services, and how the server ends (`threads`, `flavor`, `grace_period_seconds`).
    public var server = Server.Configuration()
    /// What single services have for themselves (`services`).
    public var services: [String: ServiceThreads] = [:]
    /// How addresses are listened on (`listener`).
    public var listener = ListenerOptions()
    /// How clients' connections are timed and limited (`server`).
    public var http = HttpServerOptions()
    /// How upstreams are connected to, timed and limited (`upstream`).
    public var upstream = PeerOptions()
    /// Who is trusted when upstreams are spoken to with TLS (`ca_file`, `upstream_debug_ssl_keylog`).
    public var upstreamTLS = TLSClientOptions()
    /// Local addresses that connections to IPv4 upstreams come from (`client_bind_to_ipv4`).
    public var ipv4Sources: [SocketAddress] = []
    /// Local addresses that connections to IPv6 upstreams come from (`client_bind_to_ipv6`).
    public var ipv6Sources: [SocketAddress] = []
    /// How many idle upstream connections are kept (`upstream_keepalive_pool_size`).
    public var connector = Connector.Options()
    /// How often a request is tried (`max_retries`).
    public var proxy = HttpProxyOptions()
    /// What is logged: this and what is more severe (`log_level`).
    public var logLevel = Logger.Level.info
    /// Where the access log goes; nil for none (`access_log`).
    public var accessLog: AccessLogSettings?
    /// Where the admin page is; nil for none (`admin`).
    public var adminAddress: SocketAddress?
    /// Where metrics are for Prometheus; nil for none (`metrics`).
    public var metricsAddress: SocketAddress?
    /// Sections of the program's own, by name; see ``ConfigurationSection``.
    var sections: [String: any Sendable] = [:]

    /// Makes the defaults.
    public init() {}

    /// How many threads a service gets and how they share its tasks: its own settings if it has some, else everybody's.
    public func threads(of service: String) -> ServiceThreads {
        var threads = services[service] ?? ServiceThreads()
        threads.threadCount = threads.threadCount ?? server.threadCount
        threads.flavor = threads.flavor ?? server.flavor
        return threads
    }

    /// How an upstream at `address` is connected to: ``upstream``, from one of the local addresses for its family, picked at random.
    public func peerOptions(for address: SocketAddress) -> PeerOptions {
        var options = upstream
        guard let host = address.host else { return options }
        let sources = host.contains(":") ? ipv6Sources : ipv4Sources
        if let source = sources.randomElement() { options.source = SourceAddress(source) }
        return options
    }

    /// How an upstream is spoken to with TLS.
    ///
    /// - Parameter serverName: the name it is asked for and must have a certificate for; nil is its address.
    /// - Returns: ``upstreamTLS`` for that name.
    public func tlsOptions(serverName: String?) -> TLSClientOptions {
        var options = upstreamTLS
        options.serverName = serverName
        return options
    }
}

/// A service's threads.
public struct ServiceThreads: Hashable, Sendable {
    /// How many; nil is one per core.
    public var threadCount: Int?
    /// How they share its tasks; nil is what holds for all.
    public var flavor: ExecutorFlavor?

    /// Makes settings that leave everything to the server.
    public init() {}
}

/// What concerns the process as a whole.
public struct ProcessSettings: Hashable, Sendable {
    /// Whether the process goes to the background (`daemon`).
    public var isDaemon = false
    /// Whether the process in the foreground waits until a daemon is ready (`daemon_wait_for_ready`).
    public var waitsUntilReady = true
    /// How long it waits (`daemon_ready_timeout_seconds`).
    public var readyTimeout: Duration = .seconds(600)
    /// The file that a daemon's standard error is appended to; nil leaves it (`error_log`).
    public var errorLog: String?
    /// The file that holds the process's number while it runs (`pid_file`); nil writes none.
    public var pidFile: String?
    /// The Unix-domain socket over which listeners are handed to a new process (`upgrade_sock`); nil hands nothing over.
    public var upgradeSocket: String?
    /// Who the process becomes when its addresses are bound; nil changes nothing (`user`).
    public var user: String?
    /// The group that it changes to then; nil is the user's (`group`).
    public var group: String?
    /// Where a daemon works; nil changes nothing (`working_directory`).
    public var workingDirectory: String?

    /// Makes the defaults.
    public init() {}
}

/// Where an access log goes, and what its lines look like.
public struct AccessLogSettings: Hashable, Sendable {
    /// The file that lines are appended to; `-` is standard output (`path`).
    public var path: String
    /// What a line looks like (`format`).
    public var format: String

    /// Makes settings.
    public init(path: String, format: String = "combined") {
        self.path = path
        self.format = format
    }

    /// The same for an ``/AsyncPingora/AccessLog``.
    ///
    /// - Throws: ``/AsyncPingora/AccessLogFormatError`` when there is no such format; one that was read from a file is checked already.
    public var options: AccessLog.Options {
        get throws { AccessLog.Options(.init(path), format: try AccessLogFormat(format)) }
    }
}
