internal import CNonBlockingIO
internal import Glibc

/// A connected TCP or Unix-domain socket.
@safe package final class SocketStream: ByteStream {
    // SAFETY: `slot` points into the readiness table, which is never freed.
    let slot: UnsafeMutablePointer<ReadinessSlot>
    private(set) var descriptor: Int32
    private var reactor: Reactor
    package private(set) var parker: Parker?
    private var knownPeer: SocketAddress?
    /// A write has failed because the peer broke the connection off.
    ///
    /// The kernel tells that once: a read would then report a clean end, and a cut response would pass for a whole one.
    private var wasReset = false

    /// Takes over a connected, non-blocking socket and registers it with the calling worker.
    ///
    /// - Throws: ``TransportError`` when it cannot be registered; the socket is then closed.
    package convenience init(adopting descriptor: Int32, peer: SocketAddress? = nil) throws(TransportError) {
        try self.init(descriptor: descriptor, isConnecting: false)
        knownPeer = peer
    }

    init(descriptor: Int32, isConnecting: Bool) throws(TransportError) {
        self.descriptor = descriptor
        reactor = Reactor.ofCurrentThread
        unsafe slot = ReadinessTable.slot(of: descriptor)
        unsafe slot.pointee.reset(readable: !isConnecting, writable: !isConnecting)
        do {
            try unsafe reactor.add(descriptor, slot: slot)
        } catch {
            cnbio_close(descriptor)
            self.descriptor = -1
            throw error
        }
    }

    deinit {
        close(reset: false)
    }

    package func attach(to parker: Parker?) {
        self.parker = parker
        // Once closed, the slot belongs to whatever got the descriptor's number next.
        if isOpen { unsafe slot.pointee.setParker(parker) }
    }

    private var isOpen: Bool { descriptor >= 0 }

    package func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult {
        guard isOpen else { throw TransportError(.read, errno: EBADF) }
        let room = min(limit, buffer.freeCapacity)
        guard room > 0 else { return .moved(0) }
        while true {
            guard unsafe slot.pointee.beginRead() else {
                if unsafe slot.pointee.awaitReadable() { continue }
                return .wouldBlock
            }
            let count = unsafe cnbio_receive(descriptor, buffer.base + buffer.end, room)
            if count > 0 {
                buffer.produced(count)
                if count == room { unsafe slot.pointee.keepReadable() }
                return .moved(count)
            }
            if count == 0 {
                guard !wasReset else { throw TransportError(.read, errno: ECONNRESET) }
                return .endOfStream
            }
            guard count == -Int(EAGAIN) else { throw TransportError(.read, errno: Int32(-count)) }
            // Hung up and yet no end to be read: not an end in good order.
            if unsafe slot.pointee.isHungUp { throw TransportError(.read, errno: ECONNRESET) }
            if unsafe slot.pointee.awaitReadable() { continue }
            return .wouldBlock
        }
    }

    package func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult {
        guard isOpen else {
            queue.removeAll()
            throw TransportError(.write, errno: EBADF)
        }
        var hasAsked = false
        while !queue.isEmpty {
            guard unsafe hasAsked || slot.pointee.isWritable else { return .wouldBlock }
            let count = queue.send(to: descriptor)
            if count >= 0 {
                queue.consume(count)
            } else if count != -Int(EAGAIN) {
                let error = TransportError(.write, errno: Int32(-count))
                wasReset = wasReset || error.isClosedByPeer
                throw error
            }
            guard !queue.isEmpty else { break }
            // The socket is full. Ask for the edge, then try once more, for it may have come before the question.
            if hasAsked, count <= 0 { return .wouldBlock }
            unsafe slot.pointee.awaitWritable()
            hasAsked = true
        }
        if hasAsked { unsafe slot.pointee.noteWritable() }
        return .moved(0)
    }

    package var isHungUp: Bool { unsafe !isOpen || slot.pointee.isHungUp }
    package var mayBeReadable: Bool { unsafe !isOpen || slot.pointee.mayBeReadable }

    package func awaitsInput() -> Bool { unsafe !slot.pointee.awaitReadable() }

    package func askAgain() {
        if isOpen { unsafe slot.pointee.keepReadable() }
    }

    package func awakenOnInput() {
        if unsafe !isOpen || slot.pointee.awaitReadable() { parker?.unpark() }
    }

    package func moveToCurrentThread() throws(TransportError) {
        guard isOpen else { throw TransportError(.poller, errno: EBADF) }
        let target = Reactor.ofCurrentThread
        guard target !== reactor else { return }
        reactor.remove(descriptor)
        reactor = target
        // Registering reports afresh what is ready now, so no edge is lost in between.
        try unsafe target.add(descriptor, slot: slot)
    }

    package func closeWrite() {
        if isOpen { cnbio_shutdown_write(descriptor) }
    }

    package func close(reset: Bool) {
        guard isOpen else { return }
        unsafe slot.pointee.setParker(nil)
        if reset { cnbio_set_reset_on_close(descriptor) }
        cnbio_close(descriptor)
        descriptor = -1
    }

    package var peerAddress: SocketAddress? {
        if let knownPeer { return knownPeer }
        knownPeer = unsafe address(by: cnbio_peer_address)
        return knownPeer
    }

    func remember(peer: SocketAddress) {
        knownPeer = peer
    }

    package var localAddress: SocketAddress? { unsafe address(by: cnbio_local_address) }

    private func address(
        by call: (Int32, UnsafeMutablePointer<sockaddr_storage>?, UnsafeMutablePointer<socklen_t>?) -> Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        guard unsafe call(descriptor, &storage, &length) == 0 else { return nil }
        return unsafe SocketAddress(native: &storage, length: length)
    }
}

extension SocketStream {
    /// Waits for a connect that is under way, as `Connect` does right after starting it.
    func finishConnecting(
        until deadline: Deadline,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(TransportError) {
        attach(to: parker)
        while unsafe !slot.pointee.isWritable {
            unsafe slot.pointee.awaitConnected()
            if unsafe slot.pointee.isWritable { break }
            await parker.park(until: deadline)
            if isAbandoned() { throw .cancelled(.connect) }
            try parker.check(.connect, deadline: unsafe slot.pointee.isWritable ? .never : deadline)
        }
        let error = cnbio_socket_error(descriptor)
        if error < 0 { throw TransportError(.connect, errno: -error) }
    }
}
