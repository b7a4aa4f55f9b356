import AsyncPingora

/// The proxy of the demonstration: passes everything to one upstream.
struct DemoProxy: ProxyHttp {
    private let peer: HttpPeer?
    private let findPeer: @Sendable () async throws -> HttpPeer

    /// Passes requests to an upstream that stays.
    init(_ upstream: Upstream) {
        peer = upstream.peer
        findPeer = upstream.find
    }

    /// Passes each request to what is the upstream then.
    init(current: @escaping @Sendable () -> Upstream) {
        peer = nil
        findPeer = { try await current().find() }
    }

    /// Asks for the upstream with each request, for it may not be listening yet.
    init(findUpstream: @escaping @Sendable () async -> SocketAddress?) {
        peer = nil
        findPeer = {
            guard let address = await findUpstream() else { throw PingoraError(.httpStatus(503)) }
            return HttpPeer(address)
        }
    }

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer {
        if let peer { return peer }
        return try await findPeer()
    }
}

/// Where the demonstration passes requests to.
struct Upstream: Sendable {
    /// Nil when it has a name, which is looked up.
    let peer: HttpPeer?
    let find: @Sendable () async throws -> HttpPeer

    private static let resolver = DNSResolver()

    init(_ upstream: UpstreamAddress, tls: TLSClientOptions?, options: (SocketAddress?) -> PeerOptions) {
        switch upstream {
        case .address(let address):
            let peer = HttpPeer(address, tls: tls, options: options(address))
            self.peer = peer
            find = { peer }
        case .name(let host, let port):
            peer = nil
            var tls = tls
            if tls?.serverName == nil { tls?.serverName = host }
            let resolver = Self.resolver
            let options = options(nil)
            // What is returned is kept by the resolver for as long as DNS allows: this asks nobody most of the time.
            find = { [tls] in
                try await HttpPeer.resolving(host, port: port, by: resolver, tls: tls, options: options)
            }
        }
    }
}
