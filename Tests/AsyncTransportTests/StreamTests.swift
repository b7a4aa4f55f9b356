import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A socket stream tells what happened, once and in order", .timeLimit(.minutes(5)))
struct StreamTests {
    @Test(arguments: [true, false], ExecutorFlavor.allCases)
    func aShortReadThenTheEnd(isUnix: Bool, flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
            try await withSocketPair(at: isUnix ? freshUnixAddress() : nil) { near, far, _ in
                try await far.write("abc")
                #expect(try await near.readText() == "abc")
                // The short read has emptied the socket, which the next one knows.
                #expect(try near.tryRead(into: IOBuffer(), limit: 10) == .wouldBlock)
                try await far.write("def")
                far.close(reset: false)
                #expect(try await near.readText() == "def")
                #expect(try await near.readText() == nil)
                #expect(try await near.readText() == nil)
                #expect(near.isHungUp)
            }
        }
    }

    @Test func aReadThatFillsItsBufferIsFollowedByAnother() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair { near, far, _ in
                try await far.write("abcdef")
                let buffer = IOBuffer(capacity: 3)
                #expect(try await near.read(into: buffer, deadline: .after(patience)))
                #expect(buffer.count == 3)
                buffer.removeAll()
                #expect(try await near.read(into: buffer, deadline: .after(patience)))
                #expect(Bytes(of: buffer, 0..<3) == Bytes("def"))
                #expect(try near.tryRead(into: buffer, limit: 0) == .moved(0))
            }
        }
    }

    @Test(arguments: [true, false]) func halfCloseLeavesTheOtherHalf(isUnix: Bool) async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair(at: isUnix ? freshUnixAddress() : nil) { near, far, _ in
                try await near.write("request")
                near.closeWrite()
                #expect(try await far.readText() == "request")
                #expect(try await far.readText() == nil)
                try await far.write("response")
                #expect(try await near.readText() == "response")
                far.close(reset: false)
                #expect(try await near.readText() == nil)
            }
        }
    }

    @Test func aResetIsNoEnd() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair { near, far, _ in
                far.close(reset: true)
                let error = try await #require(throws: TransportError.self) { _ = try await near.readText() }
                #expect(error.operation == .read)
                #expect(error.isClosedByPeer)
            }
        }
    }

    @Test func aResetThatAWriteFoundIsNoEndEither() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair { near, far, parker in
                near.awakenOnInput()
                far.close(reset: true)
                while !near.isHungUp { await parker.park(until: .after(patience)) }
                let failed = await #expect(throws: TransportError.self) { try await near.write("more") }
                #expect(failed?.isClosedByPeer == true)
                let error = await #expect(throws: TransportError.self) { _ = try await near.readText() }
                #expect(error?.isClosedByPeer == true)
            }
        }
    }

    @Test(arguments: [true, false], ExecutorFlavor.allCases)
    func aFullSocketGoesOnWhenThereIsRoom(isUnix: Bool, flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
            let options = SocketOptions(sendBufferSize: 16_384, receiveBufferSize: 16_384)
            try await withSocketPair(at: isUnix ? freshUnixAddress() : nil, options: options) { near, far, parker in
                let period = [UInt8](0..<251)
                let sent = [UInt8]((0..<1_200).map { _ in period }.joined())
                let content = Bytes(sent)
                var queue = OutputQueue()
                // Many pieces: more than one system call takes.
                for start in stride(from: 0, to: sent.count, by: 10_000) {
                    queue.append(content.dropFirst(start).prefix(10_000))
                }
                #expect(try near.tryWrite(&queue) == .wouldBlock)
                #expect(try near.tryWrite(&queue) == .wouldBlock)
                var received: [UInt8] = []
                let buffer = IOBuffer(capacity: 7_000)
                while received.count < sent.count {
                    _ = try near.tryWrite(&queue)
                    guard try far.tryRead(into: buffer, limit: 7_000) == .wouldBlock else {
                        received += Bytes(of: buffer, 0..<buffer.count)
                        buffer.removeAll()
                        continue
                    }
                    let deadline = Deadline.after(patience)
                    await parker.park(until: deadline)
                    try parker.check(.write, deadline: deadline)
                }
                let left = queue.byteCount
                #expect(left == 0)
                #expect(received == sent)
            }
        }
    }

    @Test func aReadThatGetsNothingTimesOut() throws {
        let executor = try ManualExecutor()
        let pending = executor.start { () async throws -> Void in
            try await withSocketPair { near, _, _ in
                _ = try await near.read(into: IOBuffer(), deadline: .after(.seconds(3)))
            }
        }
        executor.runUntilIdle()
        executor.advance(by: .milliseconds(2_900))
        #expect(!pending.isFinished)
        executor.advance(by: .milliseconds(200))
        #expect { try pending.result?.get() } throws: { ($0 as? TransportError)?.isTimeout == true }
    }

    @Test func aCancelledReadThrowsAtOnce() throws {
        let executor = try ManualExecutor()
        let pending = executor.start { () async throws -> Void in
            try await withSocketPair { near, _, _ in
                _ = try await near.read(into: IOBuffer(), deadline: .never)
            }
        }
        executor.runUntilIdle()
        #expect(!pending.isFinished)
        pending.cancel()
        executor.runUntilIdle()
        #expect { try pending.result?.get() } throws: { ($0 as? TransportError)?.isCancellation == true }
    }

    @Test func whatHasArrivedIsReadThoughTheDeadlineHasPassed() throws {
        let executor = try ManualExecutor()
        let (near, far) = MemoryStream.makePair()
        let pending = executor.start { () async throws -> String? in
            try await withParker { parker in
                near.attach(to: parker)
                let buffer = IOBuffer()
                _ = try await near.read(into: buffer, deadline: .after(.seconds(1)))
                return Bytes(of: buffer, 0..<buffer.count).description
            }
        }
        executor.runUntilIdle()
        far.put("late")
        executor.advance(by: .seconds(2))
        #expect(try pending.result?.get() == "late")
    }

    @Test func aClosedStreamLeavesTheNextOneAlone() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair { near, far, _ in
                near.close(reset: false)
                far.close(reset: false)
                // The new pair gets the numbers of the old one.
                try await withSocketPair { newNear, newFar, parker in
                    let deadline = Deadline.after(patience)
                    #expect(try newNear.tryRead(into: IOBuffer(), limit: 10) == .wouldBlock)
                    for old in [near, far] {
                        old.attach(to: nil)
                        old.closeWrite()
                        old.close(reset: true)
                        #expect(old.isHungUp)
                        #expect(throws: TransportError.self) { try old.tryRead(into: IOBuffer(), limit: 10) }
                        #expect(throws: TransportError.self) { try old.moveToCurrentThread() }
                        var queue = OutputQueue()
                        queue.append(Bytes("x"))
                        #expect(throws: TransportError.self) { try old.tryWrite(&queue) }
                        #expect(old.peerAddress == nil || old.localAddress == nil)
                    }
                    try await newFar.write("new")
                    #expect(try await newNear.readText() == "new")
                    #expect(!parker.isCancelled && !deadline.hasPassed)
                }
            }
        }
    }

    @Test func aStreamMovesToAnotherWorker() async throws {
        try await TestExecutor.withExecutor(threads: 3) { executor in
            try await withSocketPair { near, far, _ in
                try await far.write("before")
                #expect(try await near.readText() == "before")
                near.attach(to: nil)
                let moved = Handover(near)
                for worker in executor.executors {
                    let text = try await withThrowingTaskGroup(of: String?.self) { group in
                        group.addTask(executorPreference: worker) {
                            try await withParker { parker in
                                try moved.value.moveToCurrentThread()
                                moved.value.attach(to: parker)
                                defer { moved.value.attach(to: nil) }
                                return try await moved.value.readText()
                            }
                        }
                        try await far.write("worker")
                        return try await group.next() ?? nil
                    }
                    #expect(text == "worker")
                }
            }
        }
    }

    @Test func bothEndsKnowTheAddresses() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withSocketPair { near, far, _ in
                #expect(near.peerAddress == far.localAddress)
                #expect(near.localAddress == far.peerAddress)
                #expect(near.peerAddress?.host == "127.0.0.1")
            }
            let path = try freshUnixAddress()
            try await withSocketPair(at: path) { near, far, _ in
                #expect(near.peerAddress == path)
                #expect(far.localAddress == path)
                #expect(far.peerAddress?.unixPath == "")
            }
        }
    }
}
