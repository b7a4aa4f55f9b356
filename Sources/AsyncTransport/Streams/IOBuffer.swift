/// A fixed block of memory that bytes are read into or gathered in: filled from `start..<end`, reused through a pool.
///
/// Confined to the task that holds it. ``Bytes`` cut from it keep it alive; it is filled again only when none are left.
@safe package final class IOBuffer {
    // SAFETY: `base` is `capacity` bytes, of which start..<end hold data; only the methods below move the ends, and what they
    // call in between does not touch the buffer.
    let base: UnsafeMutableRawPointer
    package let capacity: Int
    @exclusivity(unchecked) package private(set) var start = 0
    @exclusivity(unchecked) package private(set) var end = 0

    /// What one read takes at most.
    ///
    /// Large enough that a bulk transfer is few system calls, small enough to stay in the L2 cache. 72 KiB, for bodies of 64 KiB are
    /// common and come with a head: a buffer of 64 KiB would need a second read, and write, for a few hundred bytes.
    package static let standardCapacity = 73_728

    package init(capacity: Int = IOBuffer.standardCapacity) {
        self.capacity = capacity
        unsafe base = Memory.allocate(byteCount: capacity)
    }

    deinit {
        unsafe Memory.free(base)
    }

    package var count: Int { unsafe end &- start }
    package var isEmpty: Bool { unsafe start == end }
    package var freeCapacity: Int { unsafe capacity &- end }

    package func removeAll() {
        unsafe start = 0
        unsafe end = 0
    }

    /// Drops the first `count` bytes.
    package func consume(_ count: Int) {
        unsafe precondition(count >= 0 && count <= end - start)
        unsafe start &+= count
        if unsafe start == end { removeAll() }
    }

    /// Takes note that `count` bytes were written at `end`.
    func produced(_ count: Int) {
        unsafe precondition(count >= 0 && count <= capacity - end)
        unsafe end &+= count
    }

    /// Moves the contents to the front, so that all free space is behind them.
    ///
    /// Not while ``Bytes`` of this buffer exist.
    package func compact() {
        guard unsafe start > 0 else { return }
        unsafe base.copyMemory(from: base + start, byteCount: end - start)
        unsafe end -= start
        unsafe start = 0
    }

    /// Calls `body` with the bytes that are there.
    @inline(__always)
    package func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let span = unsafe RawSpan(_unsafeStart: base + start, byteCount: end &- start)
        return try body(span)
    }

    /// Appends what `body` writes, into at most the free capacity.
    @inline(__always)
    package func append<Result, Failure: Error>(
        _ body: (inout OutputRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var output = unsafe OutputRawSpan(
            buffer: UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end),
            initializedCount: 0
        )
        let result = try body(&output)
        let written = unsafe output.finalize(
            for: UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
        )
        unsafe end &+= written
        return result
    }

    /// Copies `span` to the end; there must be room.
    package func append(copying span: RawSpan) {
        let count = span.byteCount
        precondition(count <= freeCapacity)
        unsafe span.withUnsafeBytes { source in
            guard let from = source.baseAddress else { return }
            unsafe (base + end).copyMemory(from: from, byteCount: count)
        }
        unsafe end &+= count
    }
}

/// Buffers of one worker that wait to be used again, the last used first: its memory is still in the cache.
package final class BufferPool {
    // SAFETY: a pool is reached only through its thread's context, and neither method calls out while it uses `free`.
    @exclusivity(unchecked) private var free: [IOBuffer] = []
    /// 64 buffers of 64 KiB are 4 MiB a worker; what a burst needed beyond that goes back to the system.
    private static let retainedCount = 64

    func take() -> IOBuffer {
        unsafe free.popLast() ?? IOBuffer()
    }

    /// Takes the buffer out of `slot`, which must be the only place that holds it.
    ///
    /// A place, not a value: passing a value on may keep a second reference to it, and a buffer in use is not taken.
    func give(from slot: inout IOBuffer?) {
        let isUnused = isKnownUniquelyReferenced(&slot)
        guard let buffer = slot.take(), isUnused, unsafe free.count < Self.retainedCount,
            // One that was made larger for some long piece would stay in the pool for good.
            buffer.capacity == IOBuffer.standardCapacity
        else { return }
        buffer.removeAll()
        unsafe free.append(buffer)
    }

    /// A buffer of standard size from the calling worker's pool.
    package static func take() -> IOBuffer {
        ThreadContext.withCurrent { $0?.buffers.take() ?? IOBuffer() }
    }

    /// Gives a buffer of standard size to the calling worker's pool, unless some ``Bytes`` still use it.
    package static func give(_ buffer: consuming IOBuffer) {
        var slot: IOBuffer? = consume buffer
        give(from: &slot)
    }

    /// Gives the buffer in `slot`, if any, to the calling worker's pool, unless something else still uses it; empties the slot.
    package static func give(from slot: inout IOBuffer?) {
        ThreadContext.withCurrent { $0?.buffers.give(from: &slot) }
        slot = nil
    }
}
