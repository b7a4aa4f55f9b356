public import AsyncTransport
internal import Glibc

/// One end of a connection in memory: behaves as a socket does, without a kernel, and fails when told to.
///
/// Use the asynchronous operations in tasks of a ``ManualExecutor`` or of a `ServiceExecutor`. The other end may be another task's,
/// or the test's, which plays the peer with ``put(_:)-(String)`` and ``takeAvailable()``.
public final class MemoryStream: Sendable {
    private let incoming: MemoryPipe
    private let outgoing: MemoryPipe
    private let local: Lock<Local>

    private struct Local {
        var parker: Parker?
        var isClosed = false
        var readFault: TransportError?
        var writeFault: TransportError?
        var bytesPerRead = Int.max
        var bytesPerWrite = Int.max
        var localAddress: SocketAddress?
        var peerAddress: SocketAddress?
    }

    private init(incoming: MemoryPipe, outgoing: MemoryPipe, localAddress: SocketAddress?, peerAddress: SocketAddress?)
    {
        self.incoming = incoming
        self.outgoing = outgoing
        local = Lock(Local(localAddress: localAddress, peerAddress: peerAddress))
    }

    deinit {
        close(reset: false)
    }

    /// Makes two connected ends.
    ///
    /// - Parameters:
    ///   - capacity: how many bytes each direction holds until the reader takes some; a write beyond that is partial.
    ///   - addresses: what the first end calls itself and its peer; the second end sees them the other way round.
    /// - Returns: the two ends, alike but for their addresses.
    public static func makePair(
        capacity: Int = 65_536,
        addresses: (local: SocketAddress?, peer: SocketAddress?) = (nil, nil)
    ) -> (MemoryStream, MemoryStream) {
        let there = MemoryPipe(capacity: capacity)
        let back = MemoryPipe(capacity: capacity)
        return (
            MemoryStream(
                incoming: back,
                outgoing: there,
                localAddress: addresses.local,
                peerAddress: addresses.peer
            ),
            MemoryStream(
                incoming: there,
                outgoing: back,
                localAddress: addresses.peer,
                peerAddress: addresses.local
            )
        )
    }

    // MARK: - Faults

    /// Makes the next read of this end throw `error`; a task that waits to read is woken for it.
    public func failNextRead(_ error: TransportError) {
        let parker = local.withLock { (local: inout Local) in
            local.readFault = error
            return local.parker
        }
        parker?.unpark()
    }

    /// Makes the next write of this end throw `error`; a task that waits to write is woken for it.
    public func failNextWrite(_ error: TransportError) {
        let parker = local.withLock { (local: inout Local) in
            local.writeFault = error
            return local.parker
        }
        parker?.unpark()
    }

    /// Lets each read of this end take at most `count` bytes, as from a peer that drips; nil lifts the limit.
    public func trickleReads(_ count: Int?) {
        local.withLock { $0.bytesPerRead = max(count ?? .max, 1) }
    }

    /// Lets each write of this end move at most `count` bytes before it has to be tried again; nil lifts the limit.
    public func trickleWrites(_ count: Int?) {
        local.withLock { $0.bytesPerWrite = max(count ?? .max, 1) }
    }

    /// Ends what this end receives, as if the peer had closed its sending side; bytes on their way still arrive.
    public func hangUp() {
        incoming.update { $0.isFinished = true }
    }

    /// Breaks both directions at once: either end's next read and write throws "connection reset".
    public func reset() {
        incoming.fail(ECONNRESET)
        outgoing.fail(ECONNRESET)
    }

    // MARK: - Playing the peer by hand

    /// Sends all of `bytes` at once, past the capacity if need be.
    public func put(_ bytes: [UInt8]) {
        outgoing.update { state in
            guard state.failure == nil, !state.isFinished, !state.isReaderGone else { return }
            state.bytes += bytes
        }
    }

    /// Sends the UTF-8 of `text` at once, past the capacity if need be.
    public func put(_ text: String) {
        put(Array(text.utf8))
    }

    /// Takes what has arrived so far; empty when nothing has.
    public func takeAvailable() -> [UInt8] {
        incoming.take(limit: .max)
    }

    /// Whether this end will receive nothing beyond what has arrived: the peer closed its sending side, or the connection broke.
    public var isAtEnd: Bool { incoming.update { $0.isFinished || $0.failure != nil } }

    /// Whether the connection was reset from either end.
    public var isReset: Bool { incoming.update { $0.failure != nil } }

    /// Tells the peer that no more bytes will come, and goes on receiving.
    public func closeWrite() {
        outgoing.update { $0.isFinished = true }
    }

    /// Closes this end; with `reset` the peer's next read throws instead of ending.
    public func close(reset: Bool) {
        let wasClosed = local.withLock { (local: inout Local) in
            defer {
                local.isClosed = true
                local.parker = nil
            }
            return local.isClosed
        }
        guard !wasClosed else { return }
        incoming.update { $0.reader = MemoryPipe.End() }
        outgoing.update { $0.writer = MemoryPipe.End() }
        if reset {
            self.reset()
        } else {
            outgoing.update { $0.isFinished = true }
            incoming.update { $0.isReaderGone = true }
        }
    }

    /// This end's address, as given to ``makePair(capacity:addresses:)``.
    public var localAddress: SocketAddress? { local.withLock { $0.localAddress } }

    /// The other end's address, as given to ``makePair(capacity:addresses:)``.
    public var peerAddress: SocketAddress? { local.withLock { $0.peerAddress } }
}

extension MemoryStream: ByteStream {
    package var parker: Parker? { local.withLock { $0.parker } }

    package func attach(to parker: Parker?) {
        local.withLock { $0.parker = parker }
        incoming.update { $0.reader.parker = parker }
        outgoing.update { $0.writer.parker = parker }
    }

    package func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult {
        let (fault, most, isClosed) = local.withLock { (local: inout Local) in
            (local.readFault.take(), local.bytesPerRead, local.isClosed)
        }
        if let fault { throw fault }
        guard !isClosed else { throw TransportError(.read, errno: EBADF) }
        let room = min(limit, buffer.freeCapacity, most)
        guard room > 0 else { return .moved(0) }
        let bytes = incoming.take(limit: room)
        if !bytes.isEmpty {
            Bytes(bytes).withSpan { buffer.append(copying: $0) }
            return .moved(bytes.count)
        }
        return try incoming.update { (state: inout MemoryPipe.State) throws(TransportError) in
            if let failure = state.failure { throw TransportError(.read, errno: failure) }
            if state.isFinished, state.available == 0 { return .endOfStream }
            state.reader.waits = true
            return .wouldBlock
        }
    }

    package func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult {
        let (fault, most, isClosed) = local.withLock { (local: inout Local) in
            (local.writeFault.take(), local.bytesPerWrite, local.isClosed)
        }
        if let fault {
            queue.removeAll()
            throw fault
        }
        guard !isClosed else {
            queue.removeAll()
            throw TransportError(.write, errno: EBADF)
        }
        var left = most
        while !queue.isEmpty, left > 0 {
            let moved = try write(first: left, of: &queue)
            guard moved > 0 else { return .wouldBlock }
            left -= moved
        }
        guard !queue.isEmpty else { return .moved(0) }
        // Only the trickle stopped it: it can go on at once, but must be asked again.
        parker?.unpark()
        return .wouldBlock
    }

    /// Moves the beginning of the queue's first run; 0 when there is no room, and then the writer will be woken.
    private func write(first limit: Int, of queue: inout OutputQueue) throws(TransportError) -> Int {
        let run = queue.withFirstRun { span in Bytes(copying: span.extracting(first: limit)) }
        do throws(TransportError) {
            let moved = try outgoing.update { (state: inout MemoryPipe.State) throws(TransportError) -> Int in
                if let failure = state.failure { throw TransportError(.write, errno: failure) }
                if state.isFinished || state.isReaderGone { throw TransportError(.write, errno: EPIPE) }
                let count = min(run.count, state.room)
                state.bytes += run.prefix(count)
                state.writer.waits = count == 0
                return count
            }
            queue.consume(moved)
            return moved
        } catch {
            queue.removeAll()
            throw error
        }
    }

    package var isHungUp: Bool { isAtEnd }

    package var mayBeReadable: Bool { incoming.update { $0.isReadable } }

    package func askAgain() {}

    package func awakenOnInput() {
        incoming.update { $0.reader.waits = true }
    }

    package func awaitsInput() -> Bool {
        incoming.update { side in
            side.reader.waits = true
            return !side.isReadable
        }
    }

    package func moveToCurrentThread() {}
}
