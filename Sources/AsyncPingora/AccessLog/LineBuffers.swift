internal import AsyncTransport
internal import Synchronization

/// The lines that wait to be written: each worker adds to a buffer of its own, and one writer takes the buffers away.
///
/// Memory is bounded: when all buffers are full, lines are dropped and counted.
final class LineBuffers: Sendable {
    /// What a line's worker has to tell the writer.
    enum Notice {
        case none
        /// There are lines where there were none.
        case hasBegun
        /// A buffer is full.
        case isFull
    }

    /// What the workers of one number have; a lock each, which hardly anyone else ever wants.
    private struct Shard: ~Copyable {
        var current: TextBuffer?
        var full: [TextBuffer] = []
        var clock = LogClock()
    }

    private struct Spare {
        var buffers: [TextBuffer] = []
        /// Buffers that exist, in use or not.
        var count = 0
    }

    private let shards: [Lock<Shard>]
    private let spare = Lock(Spare())
    private let bufferCapacity: Int
    private let maximumCount: Int
    private let dropped = Atomic<UInt64>(0)

    /// A power of two, so that a worker's number is cut to it.
    private static let shardCount = 64
    private static let standardCapacity = 65_536
    /// What a burst needed beyond so many goes back to the system.
    private static let retainedCount = 8

    /// Makes buffers for lines of at most `longestLine` bytes.
    init(byteCount: Int, longestLine: Int) {
        shards = (0..<Self.shardCount).map { _ in Lock(Shard()) }
        bufferCapacity = max(Self.standardCapacity, longestLine)
        maximumCount = max(byteCount / bufferCapacity, 2)
    }

    /// How many lines there was no room for.
    var droppedCount: UInt64 { dropped.load(ordering: .relaxed) }

    /// Adds the line that `write` appends.
    @inline(__always)
    func append(_ write: (TextBuffer, inout LogClock) -> Void) -> Notice {
        shards[ThreadContext.currentNumber & (Self.shardCount - 1)].withLock { shard in
            if let buffer = shard.current {
                let isFirst = buffer.isEmpty
                if Self.add(write, to: buffer, &shard.clock) { return isFirst ? .hasBegun : .none }
                shard.full.append(buffer)
                shard.current = nil
            }
            shard.current = takeSpare()
            guard let buffer = shard.current, Self.add(write, to: buffer, &shard.clock) else {
                dropped.add(1, ordering: .relaxed)
                return .isFull
            }
            return shard.full.isEmpty ? .hasBegun : .isFull
        }
    }

    /// Adds a line; says whether there was room for it.
    @inline(__always)
    private static func add(
        _ write: (TextBuffer, inout LogClock) -> Void,
        to buffer: TextBuffer,
        _ clock: inout LogClock
    ) -> Bool {
        let start = buffer.count
        write(buffer, &clock)
        if buffer.hasOverflowed {
            buffer.rollBack(to: start)
            return false
        }
        buffer.lineCount += 1
        return true
    }

    private func takeSpare() -> TextBuffer? {
        spare.withLock { (spare: inout Spare) -> TextBuffer? in
            if let buffer = spare.buffers.popLast() { return buffer }
            guard spare.count < maximumCount else { return nil }
            spare.count += 1
            return TextBuffer(capacity: bufferCapacity)
        }
    }

    // MARK: - The writer's side

    /// Takes all lines that are there: those of one worker are in their order.
    func takeAll() -> [TextBuffer] {
        var taken: [TextBuffer] = []
        for shard in shards {
            shard.withLock { (shard: inout Shard) in
                taken += shard.full
                shard.full.removeAll(keepingCapacity: true)
                guard let current = shard.current, !current.isEmpty else { return }
                taken.append(current)
                shard.current = nil
            }
        }
        return taken
    }

    /// Whether there is no line.
    var isEmpty: Bool {
        shards.allSatisfy { shard in shard.withLock { $0.full.isEmpty && $0.current?.isEmpty != false } }
    }

    /// Takes back a buffer whose lines have been written.
    func giveBack(_ buffer: TextBuffer) {
        buffer.removeAll()
        spare.withLock { (spare: inout Spare) in
            if spare.buffers.count < Self.retainedCount {
                spare.buffers.append(buffer)
            } else {
                spare.count -= 1
            }
        }
    }
}
