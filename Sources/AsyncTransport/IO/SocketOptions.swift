internal import CNonBlockingIO
internal import Glibc

/// TCP keep-alive probes: how long a silent connection is trusted.
public struct TCPKeepAlive: Hashable, Sendable {
    /// Seconds of silence before the first probe.
    public var idleSeconds: Int
    /// Seconds between probes.
    public var intervalSeconds: Int
    /// Probes without an answer until the connection counts as dead.
    public var probeCount: Int
    /// How long sent data may stay unacknowledged, in milliseconds (TCP_USER_TIMEOUT); 0 leaves the system's value.
    public var userTimeoutMilliseconds: Int

    /// Makes the settings; a 0 leaves the system's value.
    public init(idleSeconds: Int, intervalSeconds: Int, probeCount: Int, userTimeoutMilliseconds: Int = 0) {
        self.idleSeconds = idleSeconds
        self.intervalSeconds = intervalSeconds
        self.probeCount = probeCount
        self.userTimeoutMilliseconds = userTimeoutMilliseconds
    }
}

/// Options of a connected socket, on either side.
///
/// TCP_NODELAY is always set.
public struct SocketOptions: Hashable, Sendable {
    /// Keep-alive probes; nil sends none.
    public var keepAlive: TCPKeepAlive?
    /// The differentiated-services code point, 0…63; nil leaves it unset.
    public var dscp: Int?
    /// SO_SNDBUF in bytes; nil lets the kernel size it.
    public var sendBufferSize: Int?
    /// SO_RCVBUF in bytes; nil lets the kernel size it.
    public var receiveBufferSize: Int?

    /// Makes options with everything left to the kernel.
    public init(
        keepAlive: TCPKeepAlive? = nil,
        dscp: Int? = nil,
        sendBufferSize: Int? = nil,
        receiveBufferSize: Int? = nil
    ) {
        self.keepAlive = keepAlive
        self.dscp = dscp
        self.sendBufferSize = sendBufferSize
        self.receiveBufferSize = receiveBufferSize
    }

    /// Sets the options on a TCP socket; a Unix-domain socket takes the buffer sizes alone.
    func apply(to descriptor: Int32, family: Int32) throws(TransportError) {
        if let sendBufferSize {
            try Self.check(
                cnbio_set_int_option(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(clamping: sendBufferSize)),
                "send buffer"
            )
        }
        if let receiveBufferSize {
            try Self.check(
                cnbio_set_int_option(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(clamping: receiveBufferSize)),
                "receive buffer"
            )
        }
        guard family != AF_UNIX else { return }
        try Self.check(cnbio_tcp_no_delay(descriptor), "TCP_NODELAY")
        if let keepAlive {
            let result = cnbio_tcp_keepalive(
                descriptor,
                Int32(clamping: keepAlive.idleSeconds),
                Int32(clamping: keepAlive.intervalSeconds),
                Int32(clamping: keepAlive.probeCount),
                Int32(clamping: keepAlive.userTimeoutMilliseconds)
            )
            try Self.check(result, "keep-alive")
        }
        if let dscp { try Self.check(cnbio_dscp(descriptor, family, Int32(clamping: dscp << 2)), "DSCP") }
    }

    static func check(_ result: Int32, _ name: String) throws(TransportError) {
        if result < 0 { throw TransportError(.option, errno: -result, detail: name) }
    }
}

/// Options of a listening socket, and of the connections it accepts.
public struct ListenerOptions: Hashable, Sendable {
    /// How many connections the kernel queues until they are accepted; it cuts the number to `net.core.somaxconn`.
    public var backlog = 65_535
    /// Whether several processes or listeners may bind the same address (SO_REUSEPORT).
    public var reusePort = false
    /// For an IPv6 address, whether IPv4 clients are kept out; nil leaves the system's default.
    public var ipv6Only: Bool?
    /// TCP Fast Open queue length; nil leaves it off.
    public var fastOpenQueueLength: Int?
    /// File mode of a Unix-domain socket.
    public var unixPermissions: UInt32 = 0o666
    /// What accepted connections get.
    public var connection = SocketOptions()

    /// Makes the defaults.
    public init() {}
}

/// The source address of outgoing connections.
public struct SourceAddress: Hashable, Sendable {
    /// The local address to bind; its port is ignored.
    public var address: SocketAddress
    /// The source ports to take one of (Linux 6.3 or newer); nil lets the kernel choose.
    public var portRange: ClosedRange<UInt16>?
    /// When the range is exhausted, whether to try again without it.
    public var fallsBackOutsideRange: Bool

    /// Makes a source address.
    public init(_ address: SocketAddress, portRange: ClosedRange<UInt16>? = nil, fallsBackOutsideRange: Bool = false) {
        self.address = address
        self.portRange = portRange
        self.fallsBackOutsideRange = fallsBackOutsideRange
    }
}
