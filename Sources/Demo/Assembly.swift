import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration
import Logging

/// Puts a server together: configuration, log, services, and whatever else a command's services share.
struct Assembly {
    let process: ProcessOptions
    let source: ConfigurationSource
    let server: Server
    let watch: Watch

    /// What the program was started with.
    var configuration: ServerConfiguration { source.initial }
    /// The demonstration's own section.
    var section: DemoSection { configuration[DemoSection.section] ?? DemoSection() }

    private static let logLevel = LogLevel()

    /// Reads the configuration.
    ///
    /// - Parameters:
    ///   - process: the command's options about the process.
    ///   - standardPage: where the admin page is if nobody says; nil for nowhere.
    ///   - adjust: what its other options change.
    /// - Throws: an exit status when the file has errors, which have been printed then.
    init(
        _ process: ProcessOptions,
        standardPage: ListenAddress? = nil,
        adjusting adjust: @escaping @Sendable (inout ServerConfiguration) -> Void
    ) async throws {
        let level = Self.logLevel
        LoggingSystem.bootstrap { AdjustableLogHandler(StreamLogHandler.standardError(label: $0), level: level) }
        self.process = process
        source = try process.load(sections: ConfigurationSections(DemoSection.section), adjusting: adjust)
        server = try process.makeServer(source)
        await source.follow(level)
        let page = Watch.Page(source.initial.adminAddress, standard: standardPage)
        watch = Watch(metrics: source.initial.metricsAddress, page: page)
    }

    /// Adds a proxy, whose settings follow the configuration.
    ///
    /// - Parameters:
    ///   - proxy: what it does.
    ///   - listeners: where clients connect.
    ///   - origin: a service of this process that must answer until the proxy's last request is done.
    /// - Throws: one line when the access log cannot be opened.
    func addProxy(_ proxy: DemoProxy, listeners: Listeners, origin: ServiceHandle? = nil) async throws {
        let log = try await openAccessLog()
        let threads = configuration.threads(of: "proxy")
        let service = httpProxyService(
            name: "proxy",
            proxy,
            listeners: listeners,
            threadCount: threads.threadCount,
            flavor: threads.flavor,
            serverOptions: configuration.http,
            connectorOptions: configuration.connector,
            proxyOptions: configuration.proxy,
            observers: log.map { [$0] } ?? [],
            metrics: watch.metrics(of: "proxy")
        )
        await source.follow(service)
        let handle = await server.add(service)
        if let origin { handle.addDependency(origin) }
    }

    /// Opens the access log, if one is wanted; it is opened again when a signal asks for it.
    private func openAccessLog() async throws -> AccessLog? {
        guard let settings = configuration.accessLog else { return nil }
        do {
            let log = try AccessLog(settings.options)
            await server.onReopenLogs { log.reopen() }
            await source.follow(log)
            return log
        } catch {
            throw ValidationErrorLine(message: "access log: \(error)")
        }
    }

    /// Adds the origin; the handle is for services that depend on it.
    func addOrigin(
        listeners: Listeners,
        threadCount: Int?
    ) async -> (
        service: ListeningService<HttpApp<HttpServer<Origin>>>, handle: ServiceHandle
    ) {
        let service = httpService(
            name: "origin",
            Origin(),
            listeners: listeners,
            threadCount: threadCount,
            flavor: configuration.threads(of: "origin").flavor,
            serverOptions: configuration.http
        )
        await source.follow(service)
        return (service, await server.add(service))
    }

    /// Where clients connect in the clear, and with TLS if there is a certificate.
    func listeners(
        _ listen: ListenAddress?,
        _ tls: TLSListenOptions,
        standard: ListenAddress
    ) async throws -> Listeners {
        var listeners = Listeners()
        listeners.add(address(listen, standard: standard), options: configuration.listener)
        try await addTLS(tls, standard: nil, to: &listeners)
        return listeners
    }

    /// An address in the clear: the command line's, the file's, or else the standard one.
    func address(_ listen: ListenAddress?, standard: ListenAddress) -> SocketAddress {
        listen?.address ?? section.listen ?? standard.address
    }

    /// Makes the proxy for an upstream, which may change with the configuration unless the command line names it.
    func proxy(to upstream: UpstreamAddress?, _ tls: TLSUpstreamOptions) async throws -> DemoProxy {
        let make: @Sendable (ServerConfiguration) throws -> Upstream = { configuration in
            guard let address = upstream ?? configuration[DemoSection.section]?.upstream else {
                throw ValidationErrorLine(message: "no upstream: give --upstream, or demo.upstream in the file")
            }
            return Upstream(address, tls: tls.options(configuration)) { address in
                address.map { configuration.peerOptions(for: $0) } ?? configuration.upstream
            }
        }
        let first = try make(configuration)
        guard source.file != nil else { return DemoProxy(first) }
        let current = Lock(first)
        await source.follow { configuration in
            let upstream = try make(configuration)
            current.withLock { $0 = upstream }
        }
        return DemoProxy { current.withLock { $0 } }
    }

    /// Adds an address with TLS if there is a certificate, whose files are read again with the configuration; says whether there is.
    ///
    /// The command line's stay where they are; the file may name others.
    @discardableResult
    func addTLS(
        _ options: TLSListenOptions,
        standard: ListenAddress?,
        to listeners: inout Listeners
    ) async throws -> Bool {
        if let given = try options.settings(standard: standard) {
            try await addTLS(given.listen, given.settings, to: &listeners)
        } else if let given = section.tls {
            try await addTLS(given.listen, given.settings, to: &listeners) { configuration in
                configuration[DemoSection.section]?.tls.map { [$0.source] }
            }
        } else {
            return false
        }
        return true
    }

    /// Adds an address with TLS.
    func addTLS(
        _ address: SocketAddress,
        _ settings: TLSServerSettings,
        to listeners: inout Listeners,
        certificates: @escaping @Sendable (ServerConfiguration) -> [TLSCertificateSource]? = { _ in nil }
    ) async throws {
        do {
            let acceptor = try listeners.addTLS(address, options: configuration.listener, settings: settings)
            await source.follow(acceptor, named: address.description, certificates: certificates)
        } catch {
            throw ValidationErrorLine(message: "cannot listen on \(address) with TLS: \(error)")
        }
    }

    /// Runs the server; an error becomes one line and exit status 1.
    ///
    /// - Parameter announce: is told once what serves.
    /// - Throws: that line.
    func run(whenServing announce: @escaping @Sendable (ServerFacts) -> Void = { _ in }) async throws {
        await watch.add(to: server, logLevel: Self.logLevel, listener: configuration.listener)
        let phases = await server.phases()
        do {
            try await withThrowingTaskGroup(of: Void.self) { [server] group in
                group.addTask {
                    for await phase in phases where phase == .running { return announce(await server.facts()) }
                }
                try await process.run(server, source)
            }
        } catch let error as CleanExit {
            throw error
        } catch {
            throw ValidationErrorLine(message: "cannot run: \(error)")
        }
    }
}
