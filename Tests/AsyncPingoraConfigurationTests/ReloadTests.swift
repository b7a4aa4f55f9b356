import AsyncConnectors
import AsyncPingora
import AsyncPingoraConfiguration
import AsyncPingoraTesting
import Logging
import Testing

/// Keeps what is logged.
final class LogLines: Sendable {
    private let lines = Lock<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(lines: self) }
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

private struct Hello: ServeHttp {
    func serve(_ session: Session) async throws { try await session.respond(.ok) }
}

private struct NoUpstream: ProxyHttp {
    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer {
        throw PingoraError(.httpStatus(503))
    }
}

@Suite("A running program takes over what a changed file says", .timeLimit(.minutes(1)))
struct ReloadTests {
    @Test func streamsGiveTheCurrentOneAndEachNewOne() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("max_retries: 1")
        let source = try ConfigurationSource(file: file, logger: LogLines().logger)
        var first = await source.configurations().makeAsyncIterator()
        #expect(await first.next()?.proxy.maximumAttempts == 1)
        for count in 2...4 {
            try workspace.write("max_retries: \(count)")
            #expect(await source.reload())
            #expect(await first.next()?.proxy.maximumAttempts == count)
        }
        // One that comes later begins with what holds then; one that is slow misses what was replaced.
        var second = await source.configurations().makeAsyncIterator()
        for count in 5...6 {
            try workspace.write("max_retries: \(count)")
            await source.reload()
        }
        #expect(await second.next()?.proxy.maximumAttempts == 6)
        #expect(await first.next()?.proxy.maximumAttempts == 6)
        #expect(source.initial.proxy.maximumAttempts == 1)
        #expect(await source.current.proxy.maximumAttempts == 6)
    }

    @Test func aFileWithErrorsChangesNothing() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("max_retries: 3")
        let log = LogLines()
        let source = try ConfigurationSource(file: file, logger: log.logger)
        let calls = Lock(0)
        await source.follow { _ in calls.withLock { $0 += 1 } }
        try workspace.write("max_retries: 0\nfast: 1")
        #expect(await !source.reload())
        #expect(await source.current.proxy.maximumAttempts == 3)
        #expect(calls.withLock { $0 } == 0)
        #expect(
            log.all == [
                "error: not reloaded: \(file):1:14: key 'max_retries': expected a whole number, 1 to 1000, found '0'",
                "error: not reloaded: \(file):2:1: key 'fast': expected a known key, found an unknown one",
            ]
        )
        try workspace.write("max_retries: 4")
        #expect(await source.reload())
        #expect(calls.withLock { $0 } == 1)
    }

    @Test func theCommandLineWinsEachTime() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("max_retries: 3\nlog_level: debug")
        let source = try ConfigurationSource(file: file, logger: LogLines().logger) { $0.proxy.maximumAttempts = 9 }
        #expect(source.initial.proxy.maximumAttempts == 9)
        try workspace.write("max_retries: 4\nlog_level: error")
        await source.reload()
        #expect(await source.current.proxy.maximumAttempts == 9)
        #expect(await source.current.logLevel == .error)
    }

    @Test func whatNeedsARestartIsNamed() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("threads: 2\nrouting: {routes: []}")
        let log = LogLines()
        let sections = ConfigurationSections(Routes.section)
        let source = try ConfigurationSource(file: file, sections: sections, logger: log.logger)
        let changed = """
            threads: 3
            user: nobody
            listener: {backlog: 5}
            services: {web: {threads: 1}}
            max_retries: 2
            routing: {routes: [], isOn: true}
            """
        try workspace.write(changed)
        await source.reload()
        await source.reload()
        let warning = "warning: needs a restart to take effect: user, threads, services, listener, routing.isOn"
        let notice = "notice: reloaded \(file)"
        #expect(log.all == [notice, warning, notice, warning])
        try workspace.write("threads: 2")
        await source.reload()
        #expect(log.all.last == notice)
    }

    @Test func servicesAndTheLogFollow() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("log_level: warning")
        let source = try ConfigurationSource(file: file, logger: LogLines().logger)
        let level = LogLevel()
        let server = httpService(Hello(), listeners: Listeners(), serverOptions: source.initial.http)
        let proxy = httpProxyService(NoUpstream(), listeners: Listeners(), serverOptions: source.initial.http)
        await source.follow(level)
        await source.follow(server)
        await source.follow(proxy)
        #expect(level.level == .warning)
        let changed = """
            log_level: debug
            max_retries: 5
            upstream_keepalive_pool_size: 7
            server: {write_timeout: 3s}
            """
        try workspace.write(changed)
        await source.reload()
        #expect(level.level == .debug)
        #expect(server.app.options.writeTimeout == .seconds(3))
        #expect(proxy.app.options.writeTimeout == .seconds(3))
        #expect(proxy.app.app.connector.poolSize == 7)
        #expect(proxy.app.app.maximumAttempts == 5)
    }

    @Test func aCertificateThatCannotBeUsedIsOneLine() async throws {
        try await TestExecutor.withExecutor { _ in
            let workspace = try Workspace()
            let authority = try await TestAuthority()
            let certificate = try await authority.issue()
            let chain = try workspace.copy(certificate.chainFile, to: "server.pem")
            let key = try workspace.copy(certificate.keyFile, to: "server.key")
            let log = LogLines()
            let source = try ConfigurationSource(file: nil, logger: log.logger)
            let address = try #require(SocketAddress("127.0.0.1:443"))
            let listener = TLSListenerSettings(listen: address, certificate: chain, key: key)
            #expect(listener.problems(at: "tls").isEmpty)
            await source.follow(try TLSAcceptor(listener.settings), named: "127.0.0.1:443")
            try workspace.write("", to: "server.pem")
            await source.reload()
            let refusal = "error: 127.0.0.1:443 goes on with its old certificates: \(chain)"
            #expect(log.all.count == 2 && log.all[0].hasPrefix(refusal))
            #expect(listener.problems(at: "tls").map(\.path) == [["tls", "certificate"]])
            try workspace.copy(certificate.chainFile, to: "server.pem")
            await source.reload()
            #expect(log.all.count == 3)
        }
    }

    @Test func certificatesMayBeElsewhere() async throws {
        try await TestExecutor.withExecutor { _ in
            let workspace = try Workspace()
            let authority = try await TestAuthority()
            defer { withExtendedLifetime(authority) {} }
            let certificate = try await authority.issue()
            func text(_ chain: String) -> String {
                "web: {listen: '127.0.0.1:443', certificate: \(chain), key: \(certificate.keyFile)}"
            }
            let web = ConfigurationSection("web", as: TLSListenerSettings.self)
            let file = try workspace.write(text(certificate.chainFile))
            let log = LogLines()
            let sections = ConfigurationSections(web)
            let source = try ConfigurationSource(file: file, sections: sections, logger: log.logger)
            let acceptor = try TLSAcceptor(try #require(source.initial[web]).settings)
            await source.follow(acceptor, named: "web") { $0[web].map { [$0.source] } }
            try workspace.write(text("/nowhere.pem"))
            await source.reload()
            let refusal = "error: web goes on with its old certificates: /nowhere.pem: No such file or directory"
            #expect(log.all == [refusal, "notice: reloaded \(file)"])
            // The one that it was started with is not looked at any more.
            let moved = try workspace.copy(certificate.chainFile, to: "moved.pem")
            try workspace.write(text(moved))
            await source.reload()
            #expect(log.all.count == 3)
            try workspace.write("", to: "moved.pem")
            try workspace.write("")
            await source.reload()
            #expect(log.all.count == 5)
            #expect(log.all[3].hasPrefix("error: web goes on with its old certificates: \(moved)"))
        }
    }

    @Test func anAccessLogMayBeElsewhere() async throws {
        let workspace = try Workspace()
        let first = "\(workspace.path)/first.log"
        let second = "\(workspace.path)/second.log"
        let file = try workspace.write("access_log: {path: \(first)}")
        let lines = LogLines()
        let source = try ConfigurationSource(file: file, logger: lines.logger)
        let log = try AccessLog(try #require(source.initial.accessLog).options)
        await source.follow(log)
        try workspace.write("access_log: {path: \(second), format: json}")
        await source.reload()
        // It is opened when the next lines are written, here at the end of a service.
        log.serviceEnded()
        #expect(try workspace.contents(of: "second.log") == "")
        #expect(lines.all.last == "warning: needs a restart to take effect: access_log.format")
        try workspace.write("")
        await source.reload()
        #expect(lines.all.last == "warning: needs a restart to take effect: access_log")
    }

    @Test func theServersSignalReloads() async throws {
        let workspace = try Workspace()
        let file = try workspace.write("max_retries: 1")
        let source = try ConfigurationSource(file: file, logger: LogLines().logger)
        let server = Server(logger: LogLines().logger)
        await server.add(BackgroundService(name: "waiting") { await $0.drainBegins() })
        await source.follow(server)
        let signals = ManualSignals()
        let configurations = await source.configurations()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run(signals: signals) }
            var seen: [Int] = []
            for await configuration in configurations {
                seen.append(configuration.proxy.maximumAttempts)
                if seen.count == 4 { break }
                try workspace.write("max_retries: \(seen.count + 1)")
                signals.send(.reload)
            }
            #expect(seen == [1, 2, 3, 4])
            signals.send(.gracefulShutdown)
            try await group.waitForAll()
        }
    }
}
