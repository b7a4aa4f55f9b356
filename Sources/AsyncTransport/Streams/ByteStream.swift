/// What came of a read or write that does not wait.
package enum IOResult: Equatable, Sendable {
    /// So many bytes were moved, at least one.
    case moved(Int)
    /// Nothing can be moved now; the stream's parker will be woken when that may have changed.
    case wouldBlock
    /// The peer has closed its sending side (reads only).
    case endOfStream

    /// Whether bytes were moved.
    ///
    /// A comparison would call a function per read and write.
    @inlinable package var hasMoved: Bool {
        if case .moved = self { true } else { false }
    }
}

/// A connection as a stream of bytes: a socket, TLS over one, or a pair in memory.
///
/// Confined to the task it is attached to. The operations try and say what came of it; a task that gets `wouldBlock` from all
/// it could do parks, and tries again when it is woken. The asynchronous forms below do that for a single stream.
package protocol ByteStream: AnyObject {
    /// Makes `parker` the one to wake when this stream can go on; nil for a stream that rests in a pool.
    func attach(to parker: Parker?)

    /// The parker that is woken for this stream.
    var parker: Parker? { get }

    /// Reads what has arrived into the free capacity of `buffer`, at most `limit` bytes.
    func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult

    /// Writes what the stream takes and removes it from `queue`: `moved` when the queue is empty thereafter, else `wouldBlock`.
    ///
    /// When it throws, the queue holds what was not written.
    func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult

    /// Whether the peer is known to have closed at least its sending side.
    var isHungUp: Bool { get }

    /// Whether bytes or an end of stream are waiting, or may be, without a system call to find out.
    var mayBeReadable: Bool { get }

    /// Asks to be woken when something arrives, without reading it.
    func awakenOnInput()

    /// Asks to be woken when something arrives, as a read that finds nothing does; false when it may have, meanwhile.
    func awaitsInput() -> Bool

    /// Makes the next read ask the kernel, whatever the poller has told so far: something may have arrived since.
    func askAgain()

    /// Lets the stream, which has been given to another task, wake tasks of the calling thread.
    func moveToCurrentThread() throws(TransportError)

    /// Tells the peer that no more bytes will come, and goes on reading.
    func closeWrite()

    /// Closes at once. With `reset` the peer is told that the stream did not end in good order.
    func close(reset: Bool)

    /// The other end's address; nil when unknown.
    var peerAddress: SocketAddress? { get }
    /// This end's address; nil when unknown.
    var localAddress: SocketAddress? { get }
    /// What was agreed on in the TLS handshake; nil on a stream in the clear.
    var tls: TLSDigest? { get }
}

extension ByteStream {
    package var tls: TLSDigest? { nil }

    /// Reads at least one byte into the free capacity of `buffer`, waiting for it; false at the end of the stream.
    ///
    /// - Throws: ``TransportError``: timed out when `deadline` comes first, cancelled when the task is.
    package func read(into buffer: IOBuffer, deadline: Deadline) async throws(TransportError) -> Bool {
        while true {
            switch try tryRead(into: buffer, limit: buffer.freeCapacity) {
            case .moved: return true
            case .endOfStream: return false
            case .wouldBlock: try await wait(.read, until: deadline)
            }
        }
    }

    /// Writes all of `queue`, waiting as long as the peer takes it.
    ///
    /// - Throws: ``TransportError``: timed out when `deadline` comes first, cancelled when the task is.
    package func write(_ queue: inout OutputQueue, deadline: Deadline) async throws(TransportError) {
        while try !tryWrite(&queue).hasMoved {
            try await wait(.write, until: deadline)
        }
    }

    private func wait(_ operation: TransportError.Operation, until deadline: Deadline) async throws(TransportError) {
        guard let parker else { throw TransportError(operation, errno: 0, detail: "the stream belongs to no task") }
        // Looked at before the wait, not after it: what has arrived by the time the task runs again is taken, however late that is.
        try parker.check(operation, deadline: deadline)
        await parker.park(until: deadline)
        if parker.isCancelled { throw .cancelled(operation) }
    }
}

extension Parker {
    /// Throws if the task was cancelled or `deadline` has passed.
    package func check(_ operation: TransportError.Operation, deadline: Deadline) throws(TransportError) {
        if isCancelled { throw .cancelled(operation) }
        if deadline.hasPassed { throw .timedOut(operation) }
    }
}
