import ArgumentParser
import AsyncPingora
import Logging

/// The demonstration: a reverse proxy and an origin to put behind it.
@main
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Demo",
        abstract: "A reverse proxy built with AsyncPingora, and an origin server to try it with.",
        discussion: """
            Without a subcommand both run in one process: the proxy on 127.0.0.1:6188, and with TLS on 127.0.0.1:6189, the origin \
            behind it on a port of the kernel's choice. Addresses are HOST:PORT or unix:/PATH.
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

    @Option(help: "Where clients connect.")
    var listen = ListenAddress.loopback(port: 6_188)

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var metrics: MetricsOptions

    func run() async throws {
        startLogging()
        let metricsService = metrics.start()
        var behind = Listeners()
        behind.add(ListenAddress.loopback(port: 0).address)
        let origin = httpService(name: "origin", Origin(), listeners: behind, threadCount: 1)
        var front = Listeners()
        front.add(listen.address)
        let encrypted = try tls.add(to: &front, standard: .loopback(port: 6_189))
        let proxy = httpProxyService(
            name: "proxy",
            DemoProxy { await origin.addresses.first },
            listeners: front,
            threadCount: threads.threads,
            flavor: threads.flavor,
            connectorOptions: threads.connectorOptions
        )
        let server = Server()
        await server.add(origin)
        await server.add(proxy)
        if let metricsService { await server.add(metricsService) }
        announceCurl(listen, encrypted: encrypted)
        try await runServer(server)
    }
}

/// The proxy alone.
struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "proxy", abstract: "Run the proxy.")

    @Option(help: "Where clients connect.")
    var listen = ListenAddress.loopback(port: 6_188)

    @Option(help: "Where requests are passed to: HOST:PORT, where HOST may be a name, or unix:/PATH.")
    var upstream: UpstreamAddress

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var server: ServerOptions
    @OptionGroup var upstreamTLS: TLSUpstreamOptions
    @OptionGroup var upstreamOptions: UpstreamOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var metrics: MetricsOptions

    func run() async throws {
        startLogging()
        let metricsService = metrics.start()
        var front = Listeners()
        front.add(listen.address)
        try tls.add(to: &front)
        let proxy = httpProxyService(
            name: "proxy",
            DemoProxy(upstream: upstream, tls: upstreamTLS.tls, options: upstreamOptions.peerOptions),
            listeners: front,
            threadCount: threads.threads,
            flavor: threads.flavor,
            serverOptions: server.serverOptions,
            connectorOptions: threads.connectorOptions
        )
        let process = Server()
        await process.add(proxy)
        if let metricsService { await process.add(metricsService) }
        try await runServer(process)
    }
}

/// The origin alone.
struct OriginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "origin",
        abstract:
            "Run the origin: /, /bytes/N, /echo, /status/N, /delay/MS, /headers, /chunked/N, /drip?bytes=&ms=, /upgrade."
    )

    @Option(help: "Where clients connect.")
    var listen = ListenAddress.loopback(port: 9_000)

    @OptionGroup var tls: TLSListenOptions
    @OptionGroup var serverOptions: ServerOptions
    @OptionGroup var threads: ThreadOptions

    func run() async throws {
        startLogging()
        var listeners = Listeners()
        listeners.add(listen.address)
        try tls.add(to: &listeners)
        let origin = httpService(
            name: "origin",
            Origin(),
            listeners: listeners,
            threadCount: threads.threads,
            flavor: threads.flavor,
            serverOptions: serverOptions.serverOptions
        )
        let server = Server()
        await server.add(origin)
        try await runServer(server)
    }
}
