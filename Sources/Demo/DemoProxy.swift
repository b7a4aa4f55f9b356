import AsyncPingora

/// The proxy of the demonstration: passes everything to one upstream.
struct DemoProxy: ProxyHttp {
    private let peer: HttpPeer?
    private let findPeer: @Sendable () async throws -> HttpPeer

    init(upstream: UpstreamAddress, tls: TLSClientOptions?, options: PeerOptions) {
        switch upstream {
        case .address(let address):
            let peer = HttpPeer(address, tls: tls, options: options)
            self.peer = peer
            findPeer = { peer }
        case .name(let host, let port):
            peer = nil
            var tls = tls
            if tls?.serverName == nil { tls?.serverName = host }
            let resolver = DNSResolver()
            // What is returned is kept by the resolver for as long as DNS allows: this asks nobody most of the time.
            findPeer = { [tls] in
                try await HttpPeer.resolving(host, port: port, by: resolver, tls: tls, options: options)
            }
        }
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
