import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Logging

/// A logger that keeps the test's output free of what the test provokes.
let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What a proxy or a server went through, for its test to wait for and look at.
final class Diary: Sendable {
    private struct Pages {
        var lines: [String] = []
        var waiting: [ObjectIdentifier: Parker] = [:]
    }

    private let pages = Lock(Pages())

    func note(_ line: String) {
        let waiting = pages.withLock { (pages: inout Pages) in
            pages.lines.append(line)
            return Array(pages.waiting.values)
        }
        for parker in waiting { parker.unpark() }
    }

    var lines: [String] { pages.withLock { $0.lines } }

    func count(of line: String) -> Int { lines.count { $0 == line } }

    /// Waits until `condition` holds for what has been noted, and returns that.
    @discardableResult func wait(until condition: ([String]) -> Bool) async throws -> [String] {
        let deadline = Deadline.after(.seconds(120))
        return try await withParker { parker in
            pages.withLock { $0.waiting[ObjectIdentifier(parker)] = parker }
            defer { pages.withLock { $0.waiting[ObjectIdentifier(parker)] = nil } }
            while true {
                let lines = lines
                if condition(lines) { return lines }
                if deadline.hasPassed || parker.isCancelled { throw TestFailure("the diary stops at \(lines)") }
                await parker.park(until: deadline)
            }
        }
    }

    /// Waits until `line` has been noted so many times.
    func wait(for line: String, count: Int = 1) async throws {
        try await wait { lines in lines.count { $0 == line } >= count }
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A proxy that leaves nearly every callback at its default: the straight path.
struct PlainProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer { peer }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        diary.note(logLine(session, error))
    }
}

/// What `logging` notes: the error's name, or the status that was answered.
func logLine(_ session: Session, _ error: PingoraError?) -> String {
    "logged \(error?.kind.name ?? String(session.responseStatus ?? 0))"
}

/// A proxy with filters that look and change nothing: the path of a user who sees every byte.
struct WatchingProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func newContext() -> Int { 0 }
    func earlyRequestFilter(_ session: Session, context: inout Int) async throws { context += 1 }
    func requestFilter(_ session: Session, context: inout Int) async throws -> RequestDisposition { .forward }
    func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer { peer }

    func requestBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Int
    ) async throws { context += body?.count ?? 0 }

    func upstreamRequestFilter(
        _ session: Session,
        request: inout RequestHeader,
        context: inout Int
    ) async throws { context += request.headers.count }

    func upstreamResponseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Int
    ) async throws { context += response.headers.count }

    func responseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Int
    ) async throws { context += response.headers.count }

    func responseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Int
    ) async throws -> Duration? {
        context += body?.count ?? 0
        return nil
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Int) async {
        diary.note(logLine(session, error))
    }
}

/// The two proxies that whatever happens on the wire is tried with.
enum ProxyKind: CaseIterable, Sendable {
    case plain, watching
}

/// A service that runs, in the hands of its test.
struct RunningService {
    let address: SocketAddress
    let signals: ManualSignals
    let diary: Diary

    /// Sends `text` on a connection of its own and returns the response to the request in it.
    func response(to text: String) async throws -> RawMessage {
        try await RawClient.withConnection(to: address) { try await $0.exchange(text) }
    }

    /// Sends `text` on a connection of its own and returns everything that comes until the service ends the connection.
    func transcript(of text: String) async throws -> String {
        try await RawClient.withConnection(to: address) { client in
            try await client.send(text)
            return String(decoding: try await client.receiveToEnd(), as: UTF8.self)
        }
    }
}

func loopback() throws -> SocketAddress {
    guard let address = SocketAddress(host: "127.0.0.1", port: 0) else { throw TestFailure("no loopback address") }
    return address
}

/// Runs `service` and `body`, and ends the service unless `body` has.
func withService<App: ServerApp>(
    _ service: ListeningService<App>,
    diary: Diary = Diary(),
    configuration: Server.Configuration = Server.Configuration(),
    _ body: nonisolated(nonsending) (RunningService) async throws -> Void
) async throws {
    let server = Server(configuration: configuration, logger: silentLogger)
    await server.add(service)
    let phases = await server.phases()
    let signals = ManualSignals()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run(signals: signals) }
        for await phase in phases where phase == .running { break }
        guard let address = await service.addresses.first else { throw TestFailure("the service did not start") }
        defer { signals.send(.fastShutdown) }
        try await body(RunningService(address: address, signals: signals, diary: diary))
    }
}

/// Runs `body` with a proxy in front of an origin that follows `script`.
func withProxy<Proxy: ProxyHttp>(
    _ script: OriginScript,
    server: HttpServerOptions = HttpServerOptions(),
    proxy options: HttpProxyOptions = HttpProxyOptions(),
    connection: SocketOptions = SocketOptions(),
    make: @escaping @Sendable (HttpPeer, Diary) -> Proxy,
    _ body: @escaping @Sendable (RunningService, ScriptedOrigin) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        try await withScriptedOrigin(script) { origin in
            let diary = Diary()
            var listener = ListenerOptions()
            listener.connection = connection
            var listeners = Listeners()
            listeners.add(try loopback(), options: listener)
            let service = httpProxyService(
                make(HttpPeer(origin.address), diary),
                listeners: listeners,
                threadCount: 1,
                serverOptions: server,
                proxyOptions: options,
                logger: silentLogger
            )
            try await withService(service, diary: diary) { try await body($0, origin) }
        }
    }
}

/// Runs `body` with a proxy of this kind in front of an origin that follows `script`.
func withProxy(
    _ kind: ProxyKind,
    _ script: OriginScript,
    server: HttpServerOptions = HttpServerOptions(),
    proxy options: HttpProxyOptions = HttpProxyOptions(),
    connection: SocketOptions = SocketOptions(),
    _ body: @escaping @Sendable (RunningService, ScriptedOrigin) async throws -> Void
) async throws {
    switch kind {
    case .plain:
        try await withProxy(
            script,
            server: server,
            proxy: options,
            connection: connection,
            make: PlainProxy.init,
            body
        )
    case .watching:
        try await withProxy(
            script,
            server: server,
            proxy: options,
            connection: connection,
            make: WatchingProxy.init,
            body
        )
    }
}

/// A server whose answers are a closure's.
struct ClosureServer: ServeHttp {
    let body: @Sendable (Session) async throws -> Void

    func serve(_ session: Session) async throws { try await body(session) }
}

/// Runs `body` with a plain server that answers as `serve` does.
func withServer(
    options: HttpServerOptions = HttpServerOptions(),
    modules: HttpModules = HttpModules(),
    connection: SocketOptions = SocketOptions(),
    serve: @escaping @Sendable (Session) async throws -> Void,
    _ body: @escaping @Sendable (RunningService) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        var listener = ListenerOptions()
        listener.connection = connection
        var listeners = Listeners()
        listeners.add(try loopback(), options: listener)
        let service = httpService(
            ClosureServer(body: serve),
            listeners: listeners,
            threadCount: 1,
            serverOptions: options,
            modules: modules,
            logger: silentLogger
        )
        try await withService(service, body)
    }
}
