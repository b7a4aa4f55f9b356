public import AsyncTransport

/// The connections to one peer, as an operator sees them.
public struct PeerPoolFacts: Sendable, Equatable {
    /// Where it is.
    public let address: SocketAddress
    /// Whether connections to it are encrypted.
    public let isEncrypted: Bool
    /// The name that its certificate must be for; nil when there is none, or none is asked for.
    public let serverName: String?
    /// What has happened to its connections.
    public let facts: PoolFacts

    fileprivate var weight: (inUse: Int, open: Int) { (facts.inUse, facts.open) }
}

extension Connector {
    /// The pools of a connector, peer by peer: at most `limit`, those first that have most to do; and how many there are in all.
    ///
    /// Asks every pool, so ask now and then. A peer that nothing has used for a minute has no pool.
    public func poolFactsByPeer(limit: Int) async -> (pools: [PeerPoolFacts], count: Int) {
        let all = pools.withLock { Array($0.values) }
        var found: [PeerPoolFacts] = []
        for pool in all {
            found.append(
                PeerPoolFacts(
                    address: pool.identity.address,
                    isEncrypted: pool.identity.tls != nil,
                    serverName: pool.identity.tls?.serverName,
                    facts: await pool.facts()
                )
            )
        }
        // There may be many alike: only those that are returned are put in the order of their addresses as well.
        found.sort { $0.weight > $1.weight }
        let busiest = found.prefix(limit).map { (weight: $0.weight, name: $0.address.description, facts: $0) }
            .sorted { left, right in left.weight == right.weight ? left.name < right.name : left.weight > right.weight }
        return (busiest.map(\.facts), all.count)
    }
}
