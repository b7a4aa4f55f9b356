internal import CNonBlockingIO
internal import Glibc

extension SocketStream {
    /// What an outgoing connection may set before it is made.
    package struct ConnectOptions: Hashable, Sendable {
        package var socket = SocketOptions()
        package var source: SourceAddress?
        /// TCP Fast Open: the first write travels with the SYN.
        package var usesFastOpen = false

        package init(socket: SocketOptions = SocketOptions(), source: SourceAddress? = nil, usesFastOpen: Bool = false)
        {
            self.socket = socket
            self.source = source
            self.usesFastOpen = usesFastOpen
        }
    }

    /// Connects to `address` and returns the stream, attached to `parker`.
    ///
    /// - Parameters:
    ///   - address: the peer.
    ///   - options: what to set before connecting.
    ///   - deadline: when to give up.
    ///   - parker: what to wake, then and later.
    ///   - isAbandoned: asked at each wake-up whether the connection is still wanted.
    /// - Returns: the connected stream.
    /// - Throws: ``TransportError`` naming the address: refused, unreachable, timed out at `deadline`, cancelled or abandoned.
    package static func connect(
        to address: SocketAddress,
        options: ConnectOptions,
        deadline: Deadline,
        parker: Parker,
        isAbandoned: () -> Bool = { false }
    ) async throws(TransportError) -> SocketStream {
        do {
            return try await connectOnce(
                to: address,
                options: options,
                deadline: deadline,
                parker: parker,
                isAbandoned: isAbandoned
            )
        } catch {
            guard error.errno == EADDRNOTAVAIL, let source = options.source, source.portRange != nil,
                source.fallsBackOutsideRange
            else { throw error }
            var wider = options
            wider.source = SourceAddress(source.address)
            return try await connectOnce(
                to: address,
                options: wider,
                deadline: deadline,
                parker: parker,
                isAbandoned: isAbandoned
            )
        }
    }

    private static func connectOnce(
        to address: SocketAddress,
        options: ConnectOptions,
        deadline: Deadline,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(TransportError) -> SocketStream {
        let descriptor = cnbio_socket(address.family, Int32(SOCK_STREAM.rawValue))
        guard descriptor >= 0 else { throw TransportError(.socket, errno: -descriptor, detail: address.description) }
        var result: Int32
        do {
            try prepare(descriptor, for: address, options: options)
            // SAFETY: the kernel has copied the address when the call returns, and it lasts as long as the closure runs.
            result = unsafe address.withNative { unsafe cnbio_connect(descriptor, $0, $1) }
        } catch {
            cnbio_close(descriptor)
            throw error
        }
        guard result == 0 || result == -EINPROGRESS else {
            cnbio_close(descriptor)
            throw TransportError(.connect, errno: -result, detail: address.description)
        }
        // Registered only now: epoll would report a socket that is not yet connecting as hung up.
        let stream = try SocketStream(descriptor: descriptor, isConnecting: result != 0)
        do throws(TransportError) {
            try await stream.finishConnecting(until: deadline, parker: parker, isAbandoned: isAbandoned)
        } catch {
            stream.close(reset: false)
            throw TransportError(error.operation, errno: error.errno, detail: address.description)
        }
        stream.remember(peer: address)
        return stream
    }

    private static func prepare(
        _ descriptor: Int32,
        for address: SocketAddress,
        options: ConnectOptions
    ) throws(TransportError) {
        try options.socket.apply(to: descriptor, family: address.family)
        guard !address.isUnix else { return }
        if options.usesFastOpen {
            try SocketOptions.check(cnbio_tcp_fast_open_connect(descriptor), "TCP_FASTOPEN_CONNECT")
        }
        guard let source = options.source else { return }
        try SocketOptions.check(cnbio_bind_address_no_port(descriptor), "IP_BIND_ADDRESS_NO_PORT")
        if let range = source.portRange {
            try SocketOptions.check(
                cnbio_local_port_range(descriptor, range.lowerBound, range.upperBound),
                "IP_LOCAL_PORT_RANGE"
            )
        }
        guard let host = source.address.host, let local = SocketAddress(host: host, port: 0) else {
            throw TransportError(.bind, errno: EAFNOSUPPORT, detail: source.address.description)
        }
        // SAFETY: the kernel has copied the address when the call returns, and it lasts as long as the closure runs.
        let bound = unsafe local.withNative { unsafe cnbio_bind(descriptor, $0, $1) }
        if bound < 0 { throw TransportError(.bind, errno: -bound, detail: local.description) }
    }
}
