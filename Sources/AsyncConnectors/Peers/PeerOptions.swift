public import AsyncTransport

/// How connections to a peer are made, timed and kept.
public struct PeerOptions: Sendable, Hashable {
    /// How long making the TCP connection may take; nil has no limit.
    ///
    /// Default 10 s.
    public var connectionTimeout: Duration? = .seconds(10)
    /// How long agreeing on TLS may take, once the TCP connection is there; nil has no limit.
    ///
    /// Default 10 s.
    public var tlsHandshakeTimeout: Duration? = .seconds(10)
    /// How long TCP and TLS together may take; nil limits only each of them.
    public var totalConnectionTimeout: Duration?
    /// How long the upstream may be silent while a response is awaited or read; nil has no limit.
    ///
    /// Default 60 s.
    public var readTimeout: Duration? = .seconds(60)
    /// How long the upstream may take nothing of what is being sent; nil has no limit.
    ///
    /// Default 60 s.
    public var writeTimeout: Duration? = .seconds(60)
    /// How long an unused connection is kept; nil keeps it until it is evicted or closed, zero never keeps one.
    ///
    /// Default 60 s.
    ///
    /// A shorter `Keep-Alive: timeout=` of the upstream's counts instead.
    public var idleTimeout: Duration? = .seconds(60)
    /// The source address; nil lets the kernel choose.
    public var source: SourceAddress?
    /// Options of the socket.
    public var socket = SocketOptions()
    /// Whether TCP Fast Open is used.
    public var usesFastOpen = false
    /// Limits on what is accepted from this peer: response head, chunk lines, trailers.
    public var maximumResponseHeadBytes = 65_536
    /// The most fields a response head may have.
    public var maximumResponseFieldCount = 256

    /// Which versions of HTTP the peer is spoken to in.
    ///
    /// Default HTTP/1.1 alone.
    public var httpVersions = HTTPVersions.http1
    /// The most streams at once on one HTTP/2 connection; the server's own limit counts if it is lower.
    ///
    /// Default 100.
    public var maximumH2Streams = 100
    /// How often an HTTP/2 connection is pinged; nil, the default, never.
    ///
    /// One that does not answer within ``h2PingTimeout`` is given up, and its streams fail.
    public var h2PingInterval: Duration?
    /// How long the answer to a ping may take.
    ///
    /// Default 5 s.
    public var h2PingTimeout: Duration = .seconds(5)
    /// How many bytes of one response may be on their way or wait to be passed on: the window of an HTTP/2 stream.
    ///
    /// Default 1 MiB.
    public var h2StreamWindow = 1_048_576
    /// The same for all streams of an HTTP/2 connection together.
    ///
    /// Default 8 MiB.
    public var h2ConnectionWindow = 8_388_608

    /// Makes the defaults.
    public init() {}
}

/// Which versions of HTTP a peer is spoken to in.
public enum HTTPVersions: Sendable, Hashable {
    /// HTTP/1.1 alone.
    case http1
    /// HTTP/2 alone: chosen by ALPN over TLS, with prior knowledge (RFC 9113 3.3) without.
    case http2
    /// HTTP/2 if the server chooses it by ALPN, else HTTP/1.1; without TLS, HTTP/1.1.
    case negotiated
}
