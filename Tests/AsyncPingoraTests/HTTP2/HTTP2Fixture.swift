import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs

/// Where a proxy's connections run: what of concurrency depends on it is tried in each.
enum Workers: CaseIterable, Sendable {
    case one, twoPinned, twoStealing

    var count: Int { self == .one ? 1 : 2 }
    var flavor: ExecutorFlavor { self == .twoStealing ? .stealing : .pinned }
}

/// A version of HTTP, on either side of a proxy.
enum Version: CaseIterable, Sendable {
    case http1, http2
}

extension PeerOptions {
    /// Options of a peer that is asked in HTTP/2.
    static func http2(_ configure: (inout PeerOptions) -> Void = { _ in }) -> PeerOptions {
        var options = PeerOptions()
        options.httpVersions = .http2
        configure(&options)
        return options
    }
}

extension HttpServerOptions {
    /// Options of a server that HTTP/2 may be spoken to without TLS.
    static func h2c(_ configure: (inout HttpServerOptions) -> Void = { _ in }) -> HttpServerOptions {
        var options = HttpServerOptions()
        options.allowsH2C = true
        configure(&options)
        return options
    }
}

/// Answers 200 with nothing.
let answerOK: @Sendable (Session) async throws -> Void = { try await $0.respond(.ok) }

extension UpstreamFixture {
    /// Connects a client that speaks HTTP/2.
    func client(settings: HTTP2.Settings = HTTP2.Settings()) async throws -> RawHTTP2Connection {
        try await RawHTTP2Connection.connect(to: proxy, settings: settings)
    }

    /// Waits until the pools' facts are as they should be, and returns them; else what they are at last.
    @discardableResult
    func facts(until condition: (PoolFacts) -> Bool) async -> PoolFacts {
        await withParker { parker in
            let deadline = Deadline.after(.seconds(120))
            while true {
                let facts = await connector.poolFacts()
                if condition(facts) || deadline.hasPassed { return facts }
                await parker.park(until: .after(.milliseconds(2)))
            }
        }
    }
}

/// Runs `body` with a proxy in front of an origin whose connections it serves by hand, both of which speak HTTP/2.
func withHTTP2Proxy(
    workers: Workers = .one,
    options: PeerOptions = .http2(),
    configure: @escaping @Sendable (inout UpstreamSetup) -> Void = { _ in },
    _ body: @escaping @Sendable (UpstreamFixture, HTTP2Origin) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        try await withHTTP2Origin { origin in
            var setup = UpstreamSetup(upstream: origin.address, options: options)
            setup.threads = workers.count
            setup.flavor = workers.flavor
            setup.server.allowsH2C = true
            configure(&setup)
            try await withUpstreamProxy(setup, origin: origin.origin) { try await body($0, origin) }
        }
    }
}

/// Runs `body` with a plain server of HTTP/2 that answers as `serve` does.
func withHTTP2Server(
    workers: Workers = .one,
    modules: HttpModules = HttpModules(),
    options: HttpServerOptions = .h2c(),
    serve: @escaping @Sendable (Session) async throws -> Void,
    _ body: @escaping @Sendable (RunningService) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        var listeners = Listeners()
        listeners.add(try loopback())
        let service = httpService(
            ClosureServer(body: serve),
            listeners: listeners,
            threadCount: workers.count,
            flavor: workers.flavor,
            serverOptions: options,
            modules: modules,
            logger: silentLogger
        )
        try await withService(service, body)
    }
}

extension RunningService {
    /// Connects a client that speaks HTTP/2.
    func client(settings: HTTP2.Settings = HTTP2.Settings()) async throws -> RawHTTP2Connection {
        try await RawHTTP2Connection.connect(to: address, settings: settings)
    }
}

extension [UInt8] {
    /// So many bytes, each different from those near it.
    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 251) }
    }
}
