import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A stream in memory behaves as a socket does")
struct MemoryStreamTests {
    /// What one attempt to read brings.
    private func read(_ stream: MemoryStream, limit: Int = 100) throws -> String? {
        let buffer = IOBuffer(capacity: 1_000)
        switch try stream.tryRead(into: buffer, limit: limit) {
        case .moved: return Bytes(of: buffer, 0..<buffer.count).description
        case .wouldBlock: return nil
        case .endOfStream: return "<end>"
        }
    }

    @Test func bytesArriveInOrderAndEnd() throws {
        let (near, far) = MemoryStream.makePair()
        #expect(try read(near) == nil)
        far.put("abc")
        far.put("def")
        #expect(near.mayBeReadable)
        #expect(try read(near, limit: 4) == "abcd")
        #expect(try read(near) == "ef")
        far.put("g")
        far.closeWrite()
        #expect(near.isHungUp)
        #expect(try read(near) == "g")
        #expect(try read(near) == "<end>")
        near.put("still open")
        #expect(far.takeAvailable() == Array("still open".utf8))
    }

    @Test func capacityBoundsWhatIsOnItsWay() throws {
        let (near, far) = MemoryStream.makePair(capacity: 10)
        var queue = OutputQueue()
        queue.append(Bytes("0123456789abcdef"))
        #expect(try near.tryWrite(&queue) == .wouldBlock)
        let left = queue.byteCount
        #expect(left == 6)
        #expect(far.takeAvailable().count == 10)
        #expect(try near.tryWrite(&queue) != .wouldBlock)
        #expect(far.takeAvailable() == Array("abcdef".utf8))
    }

    @Test func aTrickleGivesFewBytesAtATime() throws {
        let (near, far) = MemoryStream.makePair()
        near.trickleReads(2)
        far.put("abcde")
        #expect(try (0..<4).map { _ in try read(near) } == ["ab", "cd", "e", nil])
        near.trickleWrites(3)
        var queue = OutputQueue()
        queue.append(Bytes("12345"))
        #expect(try near.tryWrite(&queue) == .wouldBlock)
        #expect(far.takeAvailable() == Array("123".utf8))
        #expect(try near.tryWrite(&queue) != .wouldBlock)
        #expect(far.takeAvailable() == Array("45".utf8))
    }

    @Test func injectedFaultsAreThrownOnce() throws {
        let (near, far) = MemoryStream.makePair()
        far.put("abc")
        let fault = TransportError(.read, errno: EIO)
        near.failNextRead(fault)
        #expect(throws: fault) { try read(near) }
        #expect(try read(near) == "abc")
        near.failNextWrite(TransportError(.write, errno: EIO))
        var queue = OutputQueue()
        queue.append(Bytes("x"))
        #expect(throws: TransportError(.write, errno: EIO)) { try near.tryWrite(&queue) }
        let isDropped = queue.isEmpty
        #expect(isDropped)
    }

    @Test func aResetBreaksBothEnds() {
        let (near, far) = MemoryStream.makePair()
        near.put("lost")
        far.close(reset: true)
        #expect(near.isReset)
        #expect(throws: TransportError(.read, errno: ECONNRESET)) { try read(near) }
        var queue = OutputQueue()
        queue.append(Bytes("x"))
        #expect(throws: TransportError(.write, errno: ECONNRESET)) { try near.tryWrite(&queue) }
    }

    @Test func writingToAClosedPeerBreaks() throws {
        let (near, far) = MemoryStream.makePair()
        far.close(reset: false)
        #expect(try read(near) == "<end>")
        var queue = OutputQueue()
        queue.append(Bytes("x"))
        #expect(throws: TransportError(.write, errno: EPIPE)) { try near.tryWrite(&queue) }
    }

    @Test func tasksAreWokenForWhatTheyWaitFor() throws {
        let executor = try ManualExecutor()
        let (near, far) = MemoryStream.makePair(capacity: 8)
        let sent = [UInt8](0..<200)
        let writer = executor.start { () async throws -> Void in
            try await withParker { parker in
                near.attach(to: parker)
                near.trickleWrites(5)
                var queue = OutputQueue()
                queue.append(Bytes(sent))
                try await near.write(&queue, deadline: .after(.seconds(1)))
                near.close(reset: false)
            }
        }
        let reader = executor.start { () async throws -> [UInt8] in
            try await withParker { parker in
                far.attach(to: parker)
                far.trickleReads(3)
                let buffer = IOBuffer(capacity: 1_000)
                while try await far.read(into: buffer, deadline: .after(.seconds(1))) {}
                return Array(Bytes(of: buffer, 0..<buffer.count))
            }
        }
        executor.runUntilIdle()
        #expect(writer.isFinished)
        #expect(try reader.result?.get() == sent)
    }
}
