import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Buffers hold exactly what was put in")
struct BufferTests {
    @Test(arguments: 0..<20) func outputQueueMatchesAModel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = OutputQueue()
        var model: [UInt8] = []
        for _ in 0..<150 {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0:
                let piece = randomBytes(Int.random(in: 0..<300, using: &generator), &generator)
                queue.append(byteCount: piece.count) { for byte in piece { $0.append(byte) } }
                model += piece
            case 1:
                // Around the size below which pieces are copied.
                let piece = randomBytes(Int.random(in: 4_080..<4_110, using: &generator), &generator)
                queue.append(Bytes(piece))
                model += piece
            case 2:
                let piece = randomBytes(Int.random(in: 0..<20_000, using: &generator), &generator)
                queue.append(Bytes(piece).dropFirst(3).prefix(15_000))
                model += piece.dropFirst(3).prefix(15_000)
            case 3:
                let count = Int.random(in: 0...model.count, using: &generator)
                queue.consume(count)
                model.removeFirst(count)
            default:
                let run = queue.withFirstRun { Bytes(copying: $0) }
                #expect(run.isEmpty == model.isEmpty)
                #expect(Array(run) == Array(model.prefix(run.count)))
            }
            let (count, isEmpty) = (queue.byteCount, queue.isEmpty)
            #expect(count == model.count)
            #expect(isEmpty == model.isEmpty)
        }
        #expect(drain(&queue) == model)
    }

    @Test func aPieceLargerThanABufferIsTaken() {
        var queue = OutputQueue()
        let piece = [UInt8](repeating: 7, count: 200_000)
        queue.append(byteCount: piece.count) { for byte in piece { $0.append(byte) } }
        queue.append(Bytes("end"))
        #expect(drain(&queue) == piece + Array("end".utf8))
    }

    @Test func aPieceByReferenceIsHeldUntilItIsGone() {
        var queue = OutputQueue()
        queue.append(Bytes(Array(repeating: 1, count: 1_000)))
        var holds = [queue.holdsPieces]
        queue.append(Bytes(Array(repeating: 2, count: 10_000)))
        queue.append(Bytes("end"))
        holds.append(queue.holdsPieces)
        queue.consume(10_999)
        holds.append(queue.holdsPieces)
        queue.consume(1)
        holds.append(queue.holdsPieces)
        let left = queue.byteCount
        #expect(holds == [false, true, true, false])
        #expect(left == 3)
    }

    private func drain(_ queue: inout OutputQueue) -> [UInt8] {
        var all: [UInt8] = []
        while !queue.isEmpty {
            let run = queue.withFirstRun { Bytes(copying: $0) }
            all += run
            queue.consume(run.count)
        }
        return all
    }

    @Test(arguments: 0..<20) func ioBufferMatchesAModel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let buffer = IOBuffer(capacity: 1_000)
        var model: [UInt8] = []
        for _ in 0..<500 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                let piece = randomBytes(Int.random(in: 0...buffer.freeCapacity, using: &generator), &generator)
                Bytes(piece).withSpan { buffer.append(copying: $0) }
                model += piece
            case 1:
                let piece = randomBytes(min(buffer.freeCapacity, 10), &generator)
                buffer.append { for byte in piece { $0.append(byte) } }
                model += piece
            case 2:
                let count = Int.random(in: 0...model.count, using: &generator)
                buffer.consume(count)
                model.removeFirst(count)
            default:
                buffer.compact()
                #expect(buffer.freeCapacity == 1_000 - model.count)
            }
            #expect(buffer.count == model.count)
            #expect(buffer.isEmpty == model.isEmpty)
            #expect(buffer.withBytes { Array(Bytes(copying: $0)) } == model)
            #expect(Array(Bytes(of: buffer, 0..<buffer.count)) == model)
        }
    }

    @Test(arguments: [Int.min, -1, 0, 1, 4, 5, 6, 7, 100, Int.max]) func slices(count: Int) {
        let all = Array("hello".utf8)
        // One that begins at its buffer's start, one that does not.
        for bytes in [Bytes(all), Bytes("--hello--").dropFirst(2).prefix(5)] {
            let limit = min(max(count, 0), all.count)
            #expect(Array(bytes.prefix(count)) == Array(all.prefix(limit)))
            #expect(Array(bytes.dropFirst(count)) == Array(all.dropFirst(limit)))
            #expect(bytes.prefix(count).count + bytes.dropFirst(count).count == all.count)
        }
    }

    @Test func equalBytesAreEqual() {
        #expect(Bytes("abc") == Bytes("xabcx").dropFirst(1).prefix(3))
        #expect(Bytes("abc") != Bytes("abd"))
        #expect(Bytes("abc") != Bytes("ab"))
        #expect(Bytes() == Bytes(""))
        #expect(Bytes([0xFF, 0x41]).description == "\u{FFFD}A")
    }

    @Test func aPoolGivesBackTheLastBuffer() async throws {
        try await TestExecutor.withExecutor { _ in
            let identity: ObjectIdentifier
            do {
                let buffer = BufferPool.take()
                identity = ObjectIdentifier(buffer)
                Bytes("old").withSpan { buffer.append(copying: $0) }
                BufferPool.give(buffer)
            }
            let again = BufferPool.take()
            #expect(ObjectIdentifier(again) == identity)
            #expect(again.isEmpty)
        }
    }

    @Test func anOutputQueueGivesItsBufferBack() async throws {
        try await TestExecutor.withExecutor { _ in
            let identity: ObjectIdentifier
            do {
                let buffer = BufferPool.take()
                identity = ObjectIdentifier(buffer)
                BufferPool.give(buffer)
            }
            var queue = OutputQueue()
            queue.append(Bytes("short"))
            queue.consume(5)
            #expect(ObjectIdentifier(BufferPool.take()) == identity)
        }
    }

    @Test func aBufferInUseDoesNotGoToThePool() async throws {
        try await TestExecutor.withExecutor { _ in
            let kept: Bytes
            let identity: ObjectIdentifier
            do {
                let buffer = BufferPool.take()
                identity = ObjectIdentifier(buffer)
                Bytes("kept").withSpan { buffer.append(copying: $0) }
                kept = Bytes(of: buffer, 0..<4)
                BufferPool.give(buffer)
            }
            let other = BufferPool.take()
            #expect(ObjectIdentifier(other) != identity)
            Bytes("over").withSpan { other.append(copying: $0) }
            #expect(kept.description == "kept")
        }
    }

    @Test func anOversizedBufferDoesNotGoToThePool() async throws {
        try await TestExecutor.withExecutor { _ in
            BufferPool.give(IOBuffer(capacity: 1_000_000))
            #expect(BufferPool.take().capacity == IOBuffer.standardCapacity)
        }
    }

    /// Made once: drawing every byte anew is most of a test's time under a sanitizer.
    private static let noise: [UInt8] = {
        var generator = SeededGenerator(seed: 1)
        return (0..<40_000).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
    }()

    private func randomBytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let start = Int.random(in: 0...Self.noise.count - count, using: &generator)
        return Array(Self.noise[start..<start + count])
    }
}

@Suite("Durations become nanoseconds without surprises")
struct DeadlineTests {
    @Test(arguments: [
        (Duration.zero, UInt64(0)), (.nanoseconds(1), 1), (.seconds(-1), 0), (.nanoseconds(-1), 0),
        (.milliseconds(1_500), 1_500_000_000),
        (.seconds(18_446_744_073) + .nanoseconds(709_551_615), .max),
        (.seconds(18_446_744_073) + .nanoseconds(709_551_616), .max),
        (.seconds(18_446_744_074), .max), (.seconds(Int64.max), .max),
    ])
    func nanoseconds(duration: Duration, expected: UInt64) {
        #expect(duration.wholeNanoseconds == expected)
    }

    @Test func neverIsNever() {
        #expect(Deadline.after(nil) == .never)
        #expect(Deadline.after(.seconds(Int64.max)) == .never)
        #expect(!Deadline.never.hasPassed)
        #expect(Deadline.after(.zero).hasPassed)
        #expect(Deadline.after(.zero) < .after(.seconds(5)))
    }
}
