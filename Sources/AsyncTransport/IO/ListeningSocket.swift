internal import CNonBlockingIO
internal import Glibc
internal import Synchronization

/// A bound, listening socket.
@safe package final class ListeningSocket: @unchecked Sendable {
    // SAFETY: the descriptor is immutable until close, which the owner calls once nobody accepts any more; registration state is
    // per accept loop. `slot` points into the readiness table, which is never freed.
    private let descriptor: Int32
    private let slot: UnsafeMutablePointer<ReadinessSlot>
    /// The address as bound: a port 0 has become the kernel's choice.
    package let address: SocketAddress
    private let shared = Atomic<Bool>(false)
    private let state = Lock(State())

    private struct State {
        var isClosed = false
        /// Where it is registered.
        var reactor: Reactor?
    }

    /// Whether another process has the socket, or may have it: what is done to the socket itself would be done to that one's.
    package var isShared: Bool {
        get { shared.load(ordering: .acquiring) }
        set { shared.store(newValue, ordering: .releasing) }
    }

    /// Binds and listens.
    ///
    /// A Unix-domain socket's path is unlinked first. SO_REUSEADDR is always on.
    /// - Throws: ``TransportError`` naming the address.
    package init(address: SocketAddress, options: ListenerOptions = ListenerOptions()) throws(TransportError) {
        let descriptor = cnbio_socket(address.family, Int32(SOCK_STREAM.rawValue))
        guard descriptor >= 0 else { throw TransportError(.socket, errno: -descriptor, detail: address.description) }
        do throws(TransportError) {
            self.address = try Self.open(descriptor, address: address, options: options)
        } catch {
            cnbio_close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        unsafe slot = ReadinessTable.slot(of: descriptor)
    }

    /// Takes over a socket that listens already, for another process has bound it.
    ///
    /// The options that concern its connections and its queue are set again, for they may have changed.
    /// - Throws: ``TransportError`` when it is no such socket, or an option cannot be set; it is closed then.
    package init(adopting passed: PassedDescriptor, options: ListenerOptions = ListenerOptions()) throws(TransportError)
    {
        let address = try passed.listeningAddress()
        if let path = address.unixPath {
            let result = unsafe cnbio_chmod(path, options.unixPermissions)
            // The file may be another user's, or gone: that is no reason not to serve who connects.
            guard result == 0 || result == -EPERM || result == -ENOENT else {
                throw TransportError(.option, errno: -result, detail: "permissions of \(path)")
            }
        }
        try options.connection.apply(to: passed.number, family: address.family)
        let result = cnbio_listen(passed.number, Int32(clamping: options.backlog))
        guard result == 0 else { throw TransportError(.listen, errno: -result, detail: address.description) }
        self.address = address
        descriptor = passed.take()
        unsafe slot = ReadinessTable.slot(of: descriptor)
    }

    deinit {
        close()
    }

    /// Another descriptor of the same socket, to be passed on; nil when this one is closed.
    package func duplicate() throws(TransportError) -> PassedDescriptor? {
        // Under the lock: once it is closed, its number may be anything's.
        let copy = state.withLock { $0.isClosed ? nil : fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }
        guard let copy else { return nil }
        guard copy >= 0 else { throw TransportError(.socket, errno: EMFILE, detail: "copy of \(address)") }
        return PassedDescriptor(copy)
    }

    private static func open(
        _ descriptor: Int32,
        address: SocketAddress,
        options: ListenerOptions
    ) throws(TransportError) -> SocketAddress {
        if let path = address.unixPath {
            unsafe cnbio_unlink(path)
        } else {
            try SocketOptions.check(cnbio_set_int_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1), "SO_REUSEADDR")
            if options.reusePort {
                try SocketOptions.check(cnbio_set_int_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1), "SO_REUSEPORT")
            }
            if let only = options.ipv6Only, address.family == AF_INET6 {
                try SocketOptions.check(cnbio_ipv6_only(descriptor, only), "IPV6_V6ONLY")
            }
            if let length = options.fastOpenQueueLength {
                try SocketOptions.check(
                    cnbio_tcp_fast_open_listener(descriptor, Int32(clamping: length)),
                    "TCP_FASTOPEN"
                )
            }
        }
        // Linux hands a listening socket's options on to the connections it accepts: no system call per connection.
        try options.connection.apply(to: descriptor, family: address.family)
        let bound = unsafe address.withNative { unsafe cnbio_bind(descriptor, $0, $1) }
        guard bound == 0 else { throw TransportError(.bind, errno: -bound, detail: address.description) }
        if let path = address.unixPath {
            let result = unsafe cnbio_chmod(path, options.unixPermissions)
            guard result == 0 else {
                unsafe cnbio_unlink(path)
                throw TransportError(.option, errno: -result, detail: "permissions of \(path)")
            }
        }
        let result = cnbio_listen(descriptor, Int32(clamping: options.backlog))
        guard result == 0 else { throw TransportError(.listen, errno: -result, detail: address.description) }
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        guard address.port == 0, unsafe cnbio_local_address(descriptor, &storage, &length) == 0 else { return address }
        return unsafe SocketAddress(native: &storage, length: length) ?? address
    }

    /// Registers with the calling worker, so that ``accept()`` can wait there.
    package func register(parker: Parker) throws(TransportError) {
        unsafe slot.pointee.reset(readable: true, writable: false)
        unsafe slot.pointee.setParker(parker)
        let reactor = Reactor.ofCurrentThread
        try unsafe reactor.add(descriptor, slot: slot)
        state.withLock { $0.reactor = reactor }
    }

    /// Undoes ``register(parker:)``: another task may register it then.
    package func unregister() {
        unsafe slot.pointee.setParker(nil)
        state.withLock { $0.reactor.take() }?.remove(descriptor)
    }

    /// What came of trying to accept.
    package enum Accepted {
        case connection(AcceptedSocket)
        /// Nobody waits; the parker will be woken when somebody does.
        case wouldBlock
    }

    /// Takes the next connection that waits, with its options set.
    ///
    /// - Throws: ``TransportError``; see ``TransportError/isOutOfResources``. A connection that died in the queue is skipped.
    package func tryAccept() throws(TransportError) -> Accepted {
        while true {
            guard unsafe slot.pointee.beginRead() else {
                if unsafe slot.pointee.awaitReadable() { continue }
                return .wouldBlock
            }
            var storage = sockaddr_storage()
            var length: socklen_t = 0
            let accepted = unsafe cnbio_accept(descriptor, &storage, &length)
            if accepted >= 0 {
                unsafe slot.pointee.keepReadable()
                return .connection(
                    AcceptedSocket(descriptor: accepted, peer: unsafe SocketAddress(native: &storage, length: length))
                )
            }
            switch -accepted {
            case EAGAIN:
                // A listening socket that is hung up and yet has nobody waiting was shut down; asking again would never end.
                if unsafe slot.pointee.isHungUp {
                    throw TransportError(.accept, errno: EINVAL, detail: address.description)
                }
            case ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTDOWN, ENETUNREACH, EHOSTUNREACH, ENONET, EOPNOTSUPP,
                ENOPROTOOPT:
                unsafe slot.pointee.keepReadable()
            default:
                unsafe slot.pointee.keepReadable()
                throw TransportError(.accept, errno: -accepted, detail: address.description)
            }
        }
    }

    /// Has the kernel queue no more connections, so that closing the socket once its queue is empty loses none.
    ///
    /// Those who connect until then try again, or are refused. A socket that another process has as well goes on as it was.
    package func stopQueueing() {
        // The poller may not have told yet of those who wait.
        unsafe slot.pointee.keepReadable()
        if !isShared { cnbio_stop_queueing(descriptor, address.family) }
    }

    /// Stops listening, unless another process has the socket as well: what waits in its queue is that one's then.
    ///
    /// A Unix-domain socket's path stays, for it may be another listener's by now.
    package func close() {
        state.withLock { (state: inout State) in
            guard !state.isClosed else { return }
            state.isClosed = true
            unsafe slot.pointee.setParker(nil)
            // A socket that others have too stays registered when it is closed, and each of its connections would wake this process.
            state.reactor?.remove(descriptor)
            state.reactor = nil
            cnbio_close(descriptor)
        }
    }
}

/// A connection that was accepted and belongs to no worker yet.
///
/// Dropping it closes it.
package final class AcceptedSocket: Sendable {
    /// Taken once, by whoever opens it; -1 thereafter.
    private let descriptor: Atomic<Int32>
    /// The client's address; nil when the kernel did not tell.
    package let peer: SocketAddress?

    init(descriptor: Int32, peer: SocketAddress?) {
        self.descriptor = Atomic(descriptor)
        self.peer = peer
    }

    deinit {
        let left = descriptor.load(ordering: .relaxed)
        if left >= 0 { cnbio_close(left) }
    }

    /// Makes a stream of it on the calling worker; nil when that was done before.
    package func open() throws(TransportError) -> SocketStream? {
        let taken = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        guard taken >= 0 else { return nil }
        return try SocketStream(adopting: taken, peer: peer)
    }
}
