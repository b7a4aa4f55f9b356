public import ArgumentParser
public import AsyncPingora
import AsyncPingoraConfiguration
internal import Glibc

/// An address on the command line: `HOST:PORT` or `unix:/PATH`.
struct ListenAddress: ExpressibleByArgument {
    let address: SocketAddress

    init?(argument: String) {
        guard let address = SocketAddress(argument) else { return nil }
        self.address = address
    }

    private init(address: SocketAddress) {
        self.address = address
    }

    static func loopback(port: UInt16) -> ListenAddress {
        guard let address = SocketAddress(host: "127.0.0.1", port: port) else {
            preconditionFailure("loopback is an address")
        }
        return ListenAddress(address: address)
    }

    var defaultValueDescription: String { address.description }
}

/// An upstream on the command line: `HOST:PORT`, where the host may be a name, or `unix:/PATH`.
enum UpstreamAddress: ExpressibleByArgument, Hashable {
    case address(SocketAddress)
    case name(host: String, port: UInt16)

    init?(argument: String) {
        if let address = SocketAddress(argument) {
            self = .address(address)
            return
        }
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...])
        else {
            return nil
        }
        let host = String(argument[..<colon])
        guard !host.isEmpty, !host.contains(where: { $0 == ":" || $0 == "/" || $0 == "[" }) else { return nil }
        self = .name(host: host, port: port)
    }
}

extension ExecutorFlavor: ExpressibleByArgument {}

/// How many threads, and how they share work.
struct ThreadOptions: ParsableArguments {
    @Option(help: "Threads; by default one per core.")
    var threads: Int?

    @Option(help: "How threads share connections: pinned or stealing; by default pinned.")
    var flavor: ExecutorFlavor?

    @Option(help: "The most idle upstream connections kept; by default \(Connector.Options().poolSize).")
    var poolSize: Int?

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads takes a positive number") }
        if let poolSize, poolSize < 0 { throw ValidationError("--pool-size takes a number that is not negative") }
    }

    func apply(to configuration: inout ServerConfiguration, service: String) {
        if let threads { configuration.services[service, default: ServiceThreads()].threadCount = threads }
        if let flavor { configuration.services[service, default: ServiceThreads()].flavor = flavor }
        if let poolSize { configuration.connector.poolSize = poolSize }
    }
}

/// What listeners speak besides HTTP/1.1.
struct ServerOptions: ParsableArguments {
    @Flag(name: .customLong("h2c"), help: "Let clients without TLS speak HTTP/2 at once, with prior knowledge.")
    var allowsH2C = false

    func apply(to configuration: inout ServerConfiguration) {
        if allowsH2C { configuration.http.allowsH2C = true }
    }
}

/// How the upstream is spoken to.
struct UpstreamOptions: ParsableArguments {
    /// A version of HTTP on the command line.
    enum Version: String, ExpressibleByArgument, CaseIterable {
        case h1, h2, auto
    }

    @Option(
        help:
            "What the upstream is spoken to in: h1 (the default), h2, or auto, which is h2 if it chooses that by ALPN."
    )
    var upstreamHttp: Version?

    @Option(
        name: .customLong("max-h2-streams"),
        help: "The most streams at once on one HTTP/2 connection to the upstream; by default 100."
    )
    var maximumH2Streams: Int?

    @Option(
        name: .customLong("h2-ping-interval"),
        help: "Milliseconds between pings of an HTTP/2 connection to the upstream; none by default."
    )
    var h2PingInterval: Int?

    func validate() throws {
        if let maximumH2Streams, maximumH2Streams < 1 {
            throw ValidationError("--max-h2-streams takes a positive number")
        }
        if let h2PingInterval, h2PingInterval < 1 {
            throw ValidationError("--h2-ping-interval takes a positive number of milliseconds")
        }
    }

    func apply(to options: inout PeerOptions) {
        switch upstreamHttp {
        case .h1: options.httpVersions = .http1
        case .h2: options.httpVersions = .http2
        case .auto: options.httpVersions = .negotiated
        case nil: break
        }
        if let maximumH2Streams { options.maximumH2Streams = maximumH2Streams }
        if let h2PingInterval { options.h2PingInterval = .milliseconds(h2PingInterval) }
    }
}

/// An error that is printed as its message alone.
struct ValidationErrorLine: Error, CustomStringConvertible {
    let message: String

    var description: String { message }
}

/// Tells a newcomer what to type, by what a server that serves listens on.
@Sendable func announceCurl(_ facts: ServerFacts) {
    func address(of service: String, usesTLS: Bool = false) -> SocketAddress? {
        facts.services.first { $0.name == service }?.listening?.listeners.first { $0.usesTLS == usesTLS }?.address
    }
    let plain = address(of: "proxy")
    if let path = plain?.unixPath {
        print("try: curl --unix-socket \(path) http://localhost/")
    } else if let plain {
        print("try: curl http://\(plain)/")
    }
    if let encrypted = address(of: "proxy", usesTLS: true), encrypted.unixPath == nil {
        print("or:  curl -k https://\(encrypted)/")
    }
    if let page = address(of: "admin"), page.unixPath == nil {
        print("see: http://\(page)/ for what goes on (the admin page)")
    }
    // Standard output may be a file: say it now, not at the end.
    fflush(nil)
}
