public import AsyncTransport

/// An upstream: where to connect, how, and with what a connection to it may be shared.
public protocol Peer: AnyObject, Sendable {
    /// Where to connect.
    var address: SocketAddress { get }
    /// How to connect, and how long to wait.
    var options: PeerOptions { get }
    /// How the connection is encrypted, and what of the upstream is trusted; nil speaks in the clear.
    var tls: TLSClientOptions? { get }
    /// Everything that makes connections different. Two peers with equal identities share connections; no others do.
    var identity: PeerIdentity { get }
}

/// What decides whether two peers may share a connection: address, group, TLS options, source address, socket options, limits.
///
/// Timeouts are not part of it: they belong to the request. Its hash is computed once, so that looking up a pool is cheap.
public struct PeerIdentity: Hashable, Sendable {
    private struct Facts: Hashable {
        var address: SocketAddress
        var groupKey: UInt64
        var tls: TLSClientOptions?
        var source: SourceAddress?
        var socket: SocketOptions
        var usesFastOpen: Bool
        var maximumResponseHeadBytes: Int
        var maximumResponseFieldCount: Int
    }

    private let facts: Facts
    private let hash: Int

    var address: SocketAddress { facts.address }
    var tls: TLSClientOptions? { facts.tls }

    init(address: SocketAddress, groupKey: UInt64, tls: TLSClientOptions?, options: PeerOptions) {
        facts = Facts(
            address: address,
            groupKey: groupKey,
            tls: tls,
            source: options.source,
            socket: options.socket,
            usesFastOpen: options.usesFastOpen,
            maximumResponseHeadBytes: options.maximumResponseHeadBytes,
            maximumResponseFieldCount: options.maximumResponseFieldCount
        )
        hash = facts.hashValue
    }

    /// Whether connections may be shared.
    public static func == (left: PeerIdentity, right: PeerIdentity) -> Bool {
        left.hash == right.hash && left.facts == right.facts
    }

    /// Feeds the hash that was computed when the peer was made.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(hash)
    }
}

/// A peer's timeouts in nanoseconds; never is the largest number.
///
/// Computed once, for each wait needs one.
package struct PeerTimeouts: Sendable {
    package let read: UInt64
    package let write: UInt64
    package let idle: UInt64

    init(_ options: PeerOptions) {
        read = options.readTimeout?.wholeNanoseconds ?? .max
        write = options.writeTimeout?.wholeNanoseconds ?? .max
        idle = options.idleTimeout?.wholeNanoseconds ?? .max
    }
}

/// A peer that is an address and nothing more.
public final class BasicPeer: Peer {
    /// Where to connect.
    public let address: SocketAddress
    /// How to connect.
    public let options: PeerOptions
    /// How the connection is encrypted; nil speaks in the clear.
    public let tls: TLSClientOptions?
    /// What connections it shares.
    public let identity: PeerIdentity

    package let timeouts: PeerTimeouts

    /// Makes a peer.
    public init(_ address: SocketAddress, tls: TLSClientOptions? = nil, options: PeerOptions = PeerOptions()) {
        self.address = address
        self.options = options
        self.tls = tls
        timeouts = PeerTimeouts(options)
        identity = PeerIdentity(address: address, groupKey: 0, tls: tls, options: options)
    }
}

/// An HTTP server that requests are passed to.
///
/// Make one and return it from `upstreamPeer` for many requests, or make one per request: either way connections are shared by
/// ``PeerIdentity``, not by object.
public final class HttpPeer: Peer, CustomStringConvertible {
    /// Where to connect.
    public let address: SocketAddress
    /// How to connect, and how long to wait.
    public let options: PeerOptions
    /// Separates peers that are alike in all else: connections are never shared between different keys.
    public let groupKey: UInt64
    /// How the connection is encrypted, and what of the upstream is trusted; nil speaks in the clear.
    ///
    /// It changes nothing in the requests: `Host` stays what it is.
    public let tls: TLSClientOptions?
    /// What connections it shares.
    public let identity: PeerIdentity
    package let timeouts: PeerTimeouts

    /// Makes a peer.
    public init(
        _ address: SocketAddress,
        groupKey: UInt64 = 0,
        tls: TLSClientOptions? = nil,
        options: PeerOptions = PeerOptions()
    ) {
        self.address = address
        self.options = options
        self.tls = tls
        self.groupKey = groupKey
        timeouts = PeerTimeouts(options)
        identity = PeerIdentity(address: address, groupKey: groupKey, tls: tls, options: options)
    }

    /// The address, for logs.
    public var description: String { address.description }
}
