public import AsyncTransport

/// Finds the addresses of a host.
///
/// ``DNSResolver`` is the one for DNS; a service registry may be another.
public protocol Resolver: Sendable {
    /// Returns the addresses of `host`, best first and at least one, each with `port`.
    ///
    /// - Throws: ``PingoraError`` of kind `resolveError` with source upstream, or `cancelled`.
    func resolve(host: String, port: UInt16) async throws(PingoraError) -> [SocketAddress]
}

extension HttpPeer {
    /// Makes a peer of a host by name: of the first of its addresses.
    ///
    /// - Parameters:
    ///   - host: a name, or a numeric address.
    ///   - port: where it listens.
    ///   - resolver: who knows the address; make one for the whole service, for it keeps what it has learned.
    ///   - groupKey: separates peers that are alike in all else.
    ///   - tls: how the connection is encrypted; nil speaks in the clear.
    ///   - options: how to connect.
    /// - Returns: the peer.
    /// - Throws: as ``Resolver/resolve(host:port:)`` does.
    public static func resolving(
        _ host: String,
        port: UInt16,
        by resolver: any Resolver,
        groupKey: UInt64 = 0,
        tls: TLSClientOptions? = nil,
        options: PeerOptions = PeerOptions()
    ) async throws(PingoraError) -> HttpPeer {
        guard let address = try await resolver.resolve(host: host, port: port).first else {
            throw PingoraError(.resolveError, source: .upstream, context: "\(host) has no address")
        }
        return HttpPeer(address, groupKey: groupKey, tls: tls, options: options)
    }
}
