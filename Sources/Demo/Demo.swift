import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration

/// The demonstration: a reverse proxy and an origin to put behind it.
@main
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Demo",
        abstract: "A reverse proxy built with AsyncPingora, and an origin server to try it with.",
        discussion: """
            Without a subcommand both run in one process: the proxy on 127.0.0.1:6188, and with TLS on 127.0.0.1:6189, the admin \
            page on 127.0.0.1:6190, the origin behind it on a port of the kernel's choice. Addresses are HOST:PORT or unix:/PATH.
            """,
        subcommands: [Both.self, ProxyCommand.self, OriginCommand.self],
        defaultSubcommand: Both.self
    )
}

/// Proxy and origin in one process.
struct Both: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "both",
        abstract: "Run the proxy with an embedded origin behind it (the default)."
    )

    @Option(help: "Where clients connect; by default 127.0.0.1:6188.")
    var listen: ListenAddress?

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var server: ServerOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var metrics: MetricsOptions
    @OptionGroup var accessLog: AccessLogOptions
    @OptionGroup var admin: AdminPageOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let (threads, server, metrics, accessLog, admin) = (threads, server, metrics, accessLog, admin)
        let assembly = try await Assembly(process, standardPage: .loopback(port: 6_190)) { configuration in
            threads.apply(to: &configuration, service: "proxy")
            server.apply(to: &configuration)
            metrics.apply(to: &configuration)
            admin.apply(to: &configuration)
            accessLog.apply(to: &configuration)
        }
        var behind = Listeners()
        behind.add(ListenAddress.loopback(port: 0).address)
        let (origin, handle) = await assembly.addOrigin(listeners: behind, threadCount: 1)

        var front = Listeners()
        front.add(
            assembly.address(listen, standard: .loopback(port: 6_188)),
            options: assembly.configuration.listener
        )
        let standard = ListenAddress.loopback(port: 6_189)
        if try await !assembly.addTLS(tls, standard: standard, to: &front) {
            // A certificate for the occasion.
            let certificate = try TLSCertificateSource.selfSigned(for: ["localhost", "IP:127.0.0.1"])
            var settings = TLSServerSettings(certificates: [certificate])
            settings.alpn = .http2OrHTTP1
            try await assembly.addTLS((tls.address ?? standard).address, settings, to: &front)
        }
        try await assembly.addProxy(
            DemoProxy(findUpstream: { await origin.addresses.first }),
            listeners: front,
            origin: handle
        )
        try await assembly.run(whenServing: announceCurl)
    }
}

/// The proxy alone.
struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "proxy", abstract: "Run the proxy.")

    @Option(help: "Where clients connect; by default 127.0.0.1:6188.")
    var listen: ListenAddress?

    @Option(help: "Where requests are passed to: HOST:PORT, where HOST may be a name, or unix:/PATH.")
    var upstream: UpstreamAddress?

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var server: ServerOptions
    @OptionGroup var upstreamTLS: TLSUpstreamOptions
    @OptionGroup var upstreamOptions: UpstreamOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var metrics: MetricsOptions
    @OptionGroup var accessLog: AccessLogOptions
    @OptionGroup var admin: AdminPageOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let (threads, server, upstreamOptions) = (threads, server, upstreamOptions)
        let (metrics, accessLog, admin) = (metrics, accessLog, admin)
        let assembly = try await Assembly(process) { configuration in
            metrics.apply(to: &configuration)
            admin.apply(to: &configuration)
            accessLog.apply(to: &configuration)
            threads.apply(to: &configuration, service: "proxy")
            server.apply(to: &configuration)
            upstreamOptions.apply(to: &configuration.upstream)
        }
        let listeners = try await assembly.listeners(listen, tls, standard: .loopback(port: 6_188))
        let proxy = try await assembly.proxy(to: upstream, upstreamTLS)
        try await assembly.addProxy(proxy, listeners: listeners)
        try await assembly.run()
    }
}

/// The origin alone.
struct OriginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "origin",
        abstract:
            "Run the origin: /, /bytes/N, /echo, /status/N, /delay/MS, /headers, /chunked/N, /drip?bytes=&ms=, /upgrade."
    )

    @Option(help: "Where clients connect; by default 127.0.0.1:9000.")
    var listen: ListenAddress?

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var server: ServerOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var process: ProcessOptions

    func run() async throws {
        let (threads, server) = (threads, server)
        let assembly = try await Assembly(process) { configuration in
            threads.apply(to: &configuration, service: "origin")
            server.apply(to: &configuration)
        }
        let listeners = try await assembly.listeners(listen, tls, standard: .loopback(port: 9_000))
        let threadCount = assembly.configuration.threads(of: "origin").threadCount
        _ = await assembly.addOrigin(listeners: listeners, threadCount: threadCount)
        try await assembly.run()
    }
}
