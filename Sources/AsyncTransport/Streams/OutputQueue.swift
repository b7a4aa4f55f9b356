internal import CNonBlockingIO

/// What is to be written to a stream, in order: small pieces gathered in one buffer, large ones by reference.
///
/// A head and a short body thus leave in one `send`, a head and a large chunk in one `sendmsg` without copying the chunk.
package struct OutputQueue: ~Copyable {
    // SAFETY: openStart...end of the gathered buffer are bytes that this queue has written and that nobody changes; the pieces keep
    // their own buffers alive. A system call has read what it is pointed to when it returns.
    /// Pieces that nothing is added to any more, oldest first; those before `firstPiece` are written.
    private var pieces: [Bytes] = []
    private var firstPiece = 0
    /// Bytes being gathered, behind all pieces; the buffer comes from the worker's pool and goes back when all is written.
    private var gathered: IOBuffer?
    /// Where in the gathered buffer the part begins that is not yet a piece.
    private var openStart = 0
    /// How many of the first bytes a stream that transforms them has taken, without having sent all of what it made of them.
    ///
    /// They stay here until it has: a queue is empty when everything has left.
    package private(set) var takenCount = 0

    /// Bytes waiting to be written.
    package private(set) var byteCount = 0

    /// Pieces up to this size are copied: one more vector costs about as much.
    private static let copyLimit = 4_096
    private static let vectorCount = 16

    package init() {}

    package var isEmpty: Bool { byteCount == 0 }

    /// Whether something waits by reference, and with it keeps a whole read buffer.
    package var holdsPieces: Bool { firstPiece < pieces.count }

    /// Appends what `body` writes, at most `needed` bytes.
    package mutating func append<Failure: Error>(
        byteCount needed: Int,
        _ body: (inout OutputRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        let buffer = room(for: needed)
        let before = unsafe buffer.end
        try buffer.append(body)
        unsafe byteCount &+= buffer.end &- before
    }

    /// Appends a copy of `span`.
    package mutating func append(copying span: RawSpan) {
        guard span.byteCount > 0 else { return }
        room(for: span.byteCount).append(copying: span)
        byteCount &+= span.byteCount
    }

    /// Appends `bytes`, copying them when they are few.
    package mutating func append(_ bytes: Bytes) {
        let count = bytes.count
        guard count > 0 else { return }
        if count <= Self.copyLimit {
            let buffer = room(for: count)
            bytes.withSpan { buffer.append(copying: $0) }
        } else {
            closePiece()
            pieces.append(bytes)
        }
        byteCount &+= count
    }

    /// Drops everything, as when the stream has failed.
    package mutating func removeAll() {
        byteCount = 0
        takenCount = 0
        if !pieces.isEmpty {
            pieces.removeAll(keepingCapacity: true)
            firstPiece = 0
        }
        BufferPool.give(from: &gathered)
        openStart = 0
    }

    /// Drops the first `count` bytes, which have been written.
    package mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= byteCount)
        if count == byteCount {
            removeAll()
            return
        }
        byteCount &-= count
        takenCount = max(takenCount - count, 0)
        var left = count
        while left > 0, firstPiece < pieces.count {
            let piece = pieces[firstPiece]
            if left < piece.count {
                pieces[firstPiece] = piece.dropFirst(left)
                return
            }
            left -= piece.count
            pieces[firstPiece] = Bytes()
            firstPiece += 1
        }
        // A queue that never runs quite empty would collect the places of what it has written.
        if firstPiece >= Self.vectorCount {
            pieces.removeFirst(firstPiece)
            firstPiece = 0
        }
        guard firstPiece == pieces.count else { return }
        pieces.removeAll(keepingCapacity: true)
        firstPiece = 0
        openStart += left
    }

    /// Calls `body` with the first run of bytes that lies together in memory; for streams that take one run at a time.
    package func withFirstRun<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if firstPiece < pieces.count { return try pieces[firstPiece].withSpan(body) }
        guard let gathered else { return try body(RawSpan()) }
        let span = unsafe RawSpan(_unsafeStart: gathered.base + openStart, byteCount: gathered.end - openStart)
        return try body(span)
    }

    /// Calls `body` with the first run that has not been taken, of at most `limit` bytes, and counts as taken what it returns.
    mutating func take<Failure: Error>(
        upTo limit: Int,
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) -> Int {
        var skipped = takenCount
        var index = firstPiece
        while index < pieces.count, skipped >= pieces[index].count {
            skipped -= pieces[index].count
            index += 1
        }
        let taken: Int
        if index < pieces.count {
            let piece = pieces[index]
            taken = unsafe try body(
                UnsafeRawBufferPointer(start: piece.address + skipped, count: min(piece.count - skipped, limit))
            )
        } else if let gathered {
            let start = openStart + skipped
            taken = unsafe try body(
                UnsafeRawBufferPointer(start: gathered.base + start, count: min(gathered.end - start, limit))
            )
        } else {
            taken = 0
        }
        takenCount += taken
        return taken
    }

    /// Writes what the socket takes; returns the count, or a negative errno.
    func send(to descriptor: Int32) -> Int {
        if firstPiece == pieces.count, let gathered {
            return unsafe cnbio_send(descriptor, gathered.base + openStart, gathered.end - openStart)
        }
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectorCount) { vectors in
            var count = 0
            for index in firstPiece..<min(pieces.count, firstPiece + Self.vectorCount) {
                unsafe vectors[count] = iovec(iov_base: pieces[index].address, iov_len: pieces[index].count)
                count += 1
            }
            if count < Self.vectorCount, let gathered, unsafe gathered.end > openStart {
                unsafe vectors[count] = iovec(iov_base: gathered.base + openStart, iov_len: gathered.end - openStart)
                count += 1
            }
            return unsafe cnbio_send_vectors(descriptor, vectors.baseAddress, count)
        }
    }

    private mutating func room(for needed: Int) -> IOBuffer {
        if let gathered {
            if gathered.freeCapacity >= needed { return gathered }
            closePiece()
        }
        let buffer = needed <= IOBuffer.standardCapacity ? BufferPool.take() : IOBuffer(capacity: needed)
        gathered = buffer
        openStart = 0
        return buffer
    }

    private mutating func closePiece() {
        guard let gathered, unsafe gathered.end > openStart else { return }
        unsafe pieces.append(Bytes(of: gathered, openStart..<gathered.end))
        openStart = unsafe gathered.end
    }
}
