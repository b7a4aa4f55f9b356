import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Logging
import Tracing

/// What a test of the upstream side sets up: which peers the proxy asks, and what it decides about failures.
struct UpstreamSetup: Sendable {
    /// The peer for each attempt of a request, counted from 1.
    var peer: @Sendable (_ attempt: Int) throws -> HttpPeer
    /// What a failed connect means; nil leaves the default.
    var failToConnect: (@Sendable (PingoraError) -> PingoraError)?
    /// What a failure after connecting means; nil leaves the default.
    var errorWhileProxy: (@Sendable (PingoraError) -> PingoraError)?
    /// What happens to the upstream's response head.
    var responseFilter: @Sendable (inout ResponseHeader) throws -> Void = { _ in }
    var threads = 1
    var flavor = ExecutorFlavor.pinned
    var server = HttpServerOptions()
    var connector = Connector.Options()
    var proxy = HttpProxyOptions()
    var observers: [any ExchangeObserver] = []
    var metrics: ServiceMetrics?
    var tracer: (any Tracer)?
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    /// Encrypts the clients' connections; nil leaves them in the clear.
    var tls: TLSAcceptor?

    /// Sends every attempt to one address.
    init(upstream: SocketAddress, options: PeerOptions = PeerOptions()) {
        let peer = HttpPeer(upstream, options: options)
        self.peer = { _ in peer }
    }
}

/// The proxy under test; tells the journal what it goes through.
struct UpstreamProxy: ProxyHttp {
    let setup: UpstreamSetup
    let journal: UpstreamJournal

    func newContext() -> Int { 0 }

    func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer {
        context += 1
        return try setup.peer(context)
    }

    func connectedToUpstream(
        _ session: Session,
        peer: HttpPeer,
        isReused: Bool,
        context: inout Int
    ) async throws {
        journal.change { $0.reuses.append(isReused) }
    }

    func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Int) async throws {
        try setup.responseFilter(&response)
    }

    func failToConnect(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        context: inout Int
    ) -> PingoraError {
        journal.change { $0.connectFailures.append(error.kind.name) }
        return setup.failToConnect?(error) ?? error
    }

    func errorWhileProxy(
        _ session: Session,
        peer: HttpPeer,
        error: PingoraError,
        isReused: Bool,
        context: inout Int
    ) -> PingoraError {
        journal.change { $0.proxyFailures.append(error.kind.name) }
        return setup.errorWhileProxy?(error)
            ?? DefaultProxy().errorWhileProxy(session, peer: peer, error: error, isReused: isReused, context: &context)
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Int) async {
        let entry = UpstreamJournal.Entry(
            error: error,
            status: session.responseStatus,
            attempts: context,
            upstreamStatus: session.upstreamStatus
        )
        journal.change { $0.entries.append(entry) }
    }

    /// The defaults of the callbacks that are overridden here.
    private struct DefaultProxy: ProxyHttp {
        func newContext() -> Int { 0 }
        func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer {
            throw PingoraError(.internalError)
        }
    }
}

/// What a proxy went through, for its test to wait for and look at.
final class UpstreamJournal: Sendable {
    struct Entry: Sendable {
        var error: PingoraError?
        var status: Int?
        var attempts: Int
        var upstreamStatus: Int?
    }

    struct Pages {
        var entries: [Entry] = []
        var reuses: [Bool] = []
        var connectFailures: [String] = []
        var proxyFailures: [String] = []
        fileprivate var waiting: [ObjectIdentifier: Parker] = [:]
    }

    private let pages = Lock(Pages())

    func change(_ body: (inout Pages) -> Void) {
        let waiting = pages.withLock { (pages: inout Pages) in
            body(&pages)
            return Array(pages.waiting.values)
        }
        for parker in waiting { parker.unpark() }
    }

    var entries: [Entry] { pages.withLock { $0.entries } }
    var reuses: [Bool] { pages.withLock { $0.reuses } }
    var connectFailures: [String] { pages.withLock { $0.connectFailures } }
    var proxyFailures: [String] { pages.withLock { $0.proxyFailures } }

    /// Waits until so many requests have been logged, and returns them.
    func logged(_ count: Int = 1) async throws -> [Entry] {
        try await withParker { parker in
            change { $0.waiting[ObjectIdentifier(parker)] = parker }
            defer { change { $0.waiting[ObjectIdentifier(parker)] = nil } }
            let deadline = Deadline.after(.seconds(120))
            while entries.count < count {
                if deadline.hasPassed || parker.isCancelled {
                    throw UpstreamTestError("\(entries.count) requests were logged")
                }
                await parker.park(until: deadline)
            }
        }
        return entries
    }
}

struct UpstreamTestError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A running proxy, with the origin behind it.
struct UpstreamFixture {
    let proxy: SocketAddress
    let origin: ScriptedOrigin
    let journal: UpstreamJournal
    let connector: Connector

    /// Sends a request on a connection of its own and returns all that comes back, with how it ended.
    func outcome(of request: String) async throws -> UpstreamOutcome {
        try await RawClient.withConnection(to: proxy) { client in
            try await client.send(request)
            return try await UpstreamOutcome(from: client)
        }
    }

    /// Sends a request on a connection of its own and returns the response.
    func response(to request: String) async throws -> RawMessage {
        try await RawClient.withConnection(to: proxy) { try await $0.exchange(request) }
    }
}

/// All that a client got, and how the connection ended: what decides whether it takes a response for complete.
struct UpstreamOutcome {
    let text: String
    /// Whether the connection was broken off (RST) instead of ended (FIN).
    let isReset: Bool

    init(from client: RawClient) async throws {
        var bytes: [UInt8] = []
        var isReset = false
        do {
            while true {
                let some = try await client.receiveSome()
                if some.isEmpty { break }
                bytes += some
            }
        } catch let error as TransportError where error.isClosedByPeer {
            isReset = true
        }
        text = String(decoding: bytes, as: UTF8.self)
        self.isReset = isReset
    }

    var head: RawMessage? {
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        return RawMessage(head: String(text[..<end.upperBound]))
    }

    var status: Int? { head?.status }

    private var body: Substring {
        guard let end = text.range(of: "\r\n\r\n") else { return "" }
        return text[end.upperBound...]
    }

    /// Whether a client would believe that it has the whole response (RFC 9112 8).
    var looksComplete: Bool {
        guard let head else { return false }
        if let coding = head["transfer-encoding"] {
            return coding.lowercased() == "chunked" && (body == "0\r\n\r\n" || body.hasSuffix("\r\n0\r\n\r\n"))
        }
        if let length = head["content-length"].flatMap(Int.init) { return body.utf8.count >= length }
        return !isReset
    }
}

extension String {
    /// The first place where `other` is found.
    func range(of other: String) -> Range<String.Index>? {
        firstRange(of: other)
    }
}

/// Runs `body` with a proxy in front of an origin that follows `script`, and ends both.
func withUpstream(
    _ script: OriginScript,
    options: PeerOptions = PeerOptions(),
    configure: @escaping @Sendable (inout UpstreamSetup) -> Void = { _ in },
    _ body: @escaping @Sendable (UpstreamFixture) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        try await withScriptedOrigin(script) { origin in
            var setup = UpstreamSetup(upstream: origin.address, options: options)
            configure(&setup)
            try await withUpstreamProxy(setup, origin: origin, body)
        }
    }
}

/// Runs `body` with a proxy of its own threads, on the worker that the calling task runs on.
func withUpstreamProxy(
    _ setup: UpstreamSetup,
    origin: ScriptedOrigin,
    _ body: nonisolated(nonsending) (UpstreamFixture) async throws -> Void
) async throws {
    guard let loopback = SocketAddress(host: "127.0.0.1", port: 0) else { throw UpstreamTestError("no loopback") }
    let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let journal = UpstreamJournal()
    let connector = Connector(options: setup.connector, workerCount: setup.threads)
    let app = HttpProxy(
        UpstreamProxy(setup: setup, journal: journal),
        connector: connector,
        options: setup.proxy,
        logger: setup.logger
    )
    var listeners = Listeners()
    if let acceptor = setup.tls { listeners.addTLS(loopback, acceptor: acceptor) } else { listeners.add(loopback) }
    let service = ListeningService(
        name: "proxy",
        app: HttpApp(
            app,
            options: setup.server,
            observers: setup.observers,
            metrics: setup.metrics,
            tracer: setup.tracer,
            logger: setup.logger
        ),
        listeners: listeners,
        threadCount: setup.threads,
        flavor: setup.flavor
    )
    let server = Server(logger: quiet)
    await server.add(service)
    let phases = await server.phases()
    let signals = ManualSignals()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run(signals: signals) }
        for await phase in phases where phase == .running { break }
        guard let address = await service.addresses.first else { throw UpstreamTestError("the proxy did not start") }
        defer { signals.send(.fastShutdown) }
        try await body(UpstreamFixture(proxy: address, origin: origin, journal: journal, connector: connector))
    }
}
