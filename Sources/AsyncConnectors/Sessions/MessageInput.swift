package import AsyncTransport

/// The bytes read from a connection and not yet used: a buffer from the worker's pool that is held only while it holds something.
package struct MessageInput: ~Copyable {
    private var buffer: IOBuffer?
    /// Buffers that chunks were cut from; they go back to the pool when the request is over and nobody keeps a chunk.
    private var spent: [IOBuffer] = []

    package init() {}

    package var count: Int { buffer?.count ?? 0 }
    package var isEmpty: Bool { count == 0 }

    /// Reads what has arrived behind the bytes that are there.
    package mutating func fill(from stream: any ByteStream) throws(TransportError) -> IOResult {
        // Most reads follow a wait for nothing to be there: no buffer is needed to learn that.
        if isEmpty, !stream.mayBeReadable, stream.awaitsInput() { return .wouldBlock }
        let buffer = writable()
        let result = try stream.tryRead(into: buffer, limit: buffer.freeCapacity)
        if buffer.isEmpty { releaseIfEmpty() }
        return result
    }

    /// Calls `body` with the bytes that are there.
    @inline(__always)
    package borrowing func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let buffer else { return try body(RawSpan()) }
        return try buffer.withBytes(body)
    }

    /// The bytes of `range`, without a copy.
    package borrowing func bytes(_ range: Range<Int>) -> Bytes {
        guard let buffer else { return Bytes() }
        return Bytes(of: buffer, range)
    }

    /// Drops the first `count` bytes.
    package mutating func consume(_ count: Int) {
        guard count > 0 else { return }
        buffer?.consume(count)
    }

    /// Gives the buffer back if it holds nothing: a connection that waits costs no buffer.
    package mutating func releaseIfEmpty() {
        guard isEmpty, isKnownUniquelyReferenced(&buffer) else { return }
        BufferPool.give(from: &buffer)
    }

    /// The request is over: buffers whose chunks are gone can be used again.
    package mutating func reclaim() {
        releaseIfEmpty()
        while !spent.isEmpty {
            var last = spent.popLast()
            BufferPool.give(from: &last)
        }
    }

    /// Buffers that are kept for no more than to be used again.
    package var spentCount: Int { spent.count }

    /// A buffer with free space behind the bytes that are there, and of which no chunk is in use.
    private mutating func writable() -> IOBuffer {
        if isKnownUniquelyReferenced(&buffer), let held = buffer {
            if held.freeCapacity < held.capacity / 4 { held.compact() }
            if held.freeCapacity > 0 { return held }
        }
        guard let held = buffer else {
            let fresh = BufferPool.take()
            buffer = fresh
            return fresh
        }
        let fresh = held.count < IOBuffer.standardCapacity ? BufferPool.take() : IOBuffer(capacity: held.count * 2)
        held.withBytes { fresh.append(copying: $0) }
        retire(held)
        buffer = fresh
        return fresh
    }

    /// Remembers a buffer that chunks refer to, and gives back those of which none is in use any more.
    ///
    /// A few at most: chunks that somebody keeps for long free their buffers themselves.
    private mutating func retire(_ buffer: IOBuffer) {
        for index in spent.indices.reversed() where isKnownUniquelyReferenced(&spent[index]) {
            var free: IOBuffer? = spent.remove(at: index)
            BufferPool.give(from: &free)
        }
        if spent.count == 4 { spent.removeFirst() }
        spent.append(buffer)
    }
}
