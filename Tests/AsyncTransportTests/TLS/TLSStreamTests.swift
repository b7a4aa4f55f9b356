import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("An encrypted stream behaves as the stream below it")
struct TLSStreamTests {
    /// Runs `body` with a connection in memory.
    private func withPair(
        capacity: Int = 65_536,
        _ body: @escaping @Sendable (TLSPair) async throws -> Void
    ) async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        let options = TLSClientOptions(serverName: "localhost", trusting: authority)
        try await TestExecutor.withExecutor { _ in
            try await body(
                shakeHands(acceptor, TLSConnector(), options, capacity: capacity).client.get()
            )
        }
    }

    private static func pattern(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count))
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    @Test("Bodies pass whole, both ways, however the bytes are cut", arguments: [1, 5, 1_000, 100_000])
    func trickles(_ step: Int) async throws {
        try await withPair(capacity: 20_000) { pair in
            for wire in [pair.clientWire, pair.serverWire] {
                wire.trickleReads(step)
                wire.trickleWrites(step)
            }
            for size in [1, 16_384, 16_385, step < 1_000 ? 20_000 : 150_000] {
                let bytes = Self.pattern(size)
                let arrived = try await transfer(Bytes(bytes), from: pair.client, to: pair.server)
                #expect(arrived == bytes)
                let returned = try await transfer(Bytes(bytes), from: pair.server, to: pair.client)
                #expect(returned == bytes)
            }
        }
    }

    @Test("64 KiB leave in one write of the stream below, and come in one read")
    func oneWrite() async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        let options = TLSClientOptions(serverName: "localhost", trusting: authority)
        try await TestExecutor.withExecutor { _ in
            let counts = Counts()
            let pair = try await shakeHands(acceptor, TLSConnector(), options, capacity: 200_000) {
                CountingStream($0, counts)
            }.client.get()
            _ = try await transfer(Bytes("x"), from: pair.server, to: pair.client)
            let (reads, writes) = (counts.reads.count, counts.writes.count)
            var queue = OutputQueue()
            queue.append(Bytes(Self.pattern(65_536)))
            #expect(try pair.client.tryWrite(&queue).hasMoved)
            #expect(counts.writes.count == writes + 1)
            queue.append(Bytes(Self.pattern(65_536)))
            #expect(try pair.server.tryWrite(&queue).hasMoved)
            let buffer = IOBuffer()
            #expect(try pair.client.tryRead(into: buffer, limit: buffer.freeCapacity) == .moved(65_536))
            #expect(counts.reads.count == reads + 1)
        }
    }

    @Test("A reader that takes nothing bounds what is encrypted ahead, and the queue empties only as it reads")
    func slowReader() async throws {
        try await withPair(capacity: 30_000) { pair in
            try await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                let bytes = Self.pattern(600_000)
                var queue = OutputQueue()
                queue.append(Bytes(bytes))
                #expect(try pair.client.tryWrite(&queue) == .wouldBlock)
                let (waiting, taken) = (queue.byteCount, queue.takenCount)
                #expect(bytes.count - waiting <= 30_000)
                #expect(bytes.count - waiting + taken <= 30_000 + 65_536 + 16_384)
                #expect(try pair.client.tryWrite(&queue) == .wouldBlock)
                let unchanged = queue.byteCount
                #expect(unchanged == waiting)
                var received: [UInt8] = []
                while received.count < bytes.count {
                    let buffer = IOBuffer(capacity: 10_000)
                    if case .moved = try pair.server.tryRead(into: buffer, limit: 10_000) {
                        received += Array(Bytes(of: buffer, 0..<buffer.count))
                    }
                    _ = try pair.client.tryWrite(&queue)
                }
                #expect(received == bytes)
                let isEmpty = queue.isEmpty
                #expect(isEmpty)
            }
        }
    }

    @Test("What is decrypted and unread keeps the stream readable")
    func pending() async throws {
        try await withPair { pair in
            try await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                #expect(pair.server.awaitsInput())
                try await pair.client.write("abc")
                for letter in ["a", "b", "c"] {
                    #expect(pair.server.mayBeReadable)
                    #expect(!pair.server.awaitsInput())
                    let buffer = IOBuffer(capacity: 100)
                    #expect(try pair.server.tryRead(into: buffer, limit: 1) == .moved(1))
                    #expect(Bytes(of: buffer, 0..<1).description == letter)
                }
                let buffer = IOBuffer(capacity: 100)
                #expect(try pair.server.tryRead(into: buffer, limit: 1) == .wouldBlock)
                #expect(!pair.server.mayBeReadable)
                #expect(pair.server.awaitsInput())
            }
        }
    }

    @Test("An end is an end only when the peer has said so")
    func ends() async throws {
        try await withPair { pair in
            try await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                try await pair.client.write("last")
                pair.client.closeWrite()
                #expect(try await pair.server.readText() == "last")
                #expect(try await pair.server.readText() == nil)
                #expect(pair.server.isHungUp)
                try await pair.server.write("answer")
                #expect(try await pair.client.readText() == "answer")
                pair.server.close(reset: false)
                #expect(try await pair.client.readText() == nil)
            }
        }
        try await withPair { pair in
            try await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                try await pair.client.write("first half")
                pair.serverWire.hangUp()
                #expect(try await pair.server.readText() == "first half")
                let cut = await failure { _ = try await pair.server.readText() }
                #expect(cut?.tls?.kind == .cutOff)
                #expect(cut?.isClosedByPeer == true)
                #expect(throws: TransportError.self) { try pair.server.tryReadText() }
            }
        }
    }

    @Test("Bytes that do not decrypt end the stream with an error, and the peer is told")
    func garbage() async throws {
        try await withPair { pair in
            await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                pair.clientWire.put([23, 3, 3, 0, 20] + [UInt8](repeating: 7, count: 20))
                let broken = await failure { _ = try pair.server.tryReadText() }
                #expect(broken?.tls?.kind == .brokenRecord)
                let told = await failure { _ = try await pair.client.readText() }
                #expect(told?.tls?.kind == .brokenRecord)
                var queue = OutputQueue()
                queue.append(Bytes("x"))
                #expect(throws: TransportError.self) { try pair.server.tryWrite(&queue) }
            }
        }
    }

    @Test("Reads and writes pass on what the stream below throws")
    func faults() async throws {
        try await withPair { pair in
            pair.serverWire.failNextWrite(TransportError(.write, errno: EIO))
            var queue = OutputQueue()
            queue.append(Bytes("x"))
            #expect(throws: TransportError(.write, errno: EIO)) { try pair.server.tryWrite(&queue) }
            pair.clientWire.reset()
            #expect(throws: TransportError(.read, errno: ECONNRESET)) { try pair.client.tryReadText() }
        }
    }

    @Test("A queue that was given up does not count for the next one")
    func abandonedQueue() async throws {
        try await withPair(capacity: 1_000) { pair in
            try await withParker { parker in
                pair.client.attach(to: parker)
                pair.server.attach(to: parker)
                let first = Self.pattern(5_000)
                do {
                    var given = OutputQueue()
                    given.append(Bytes(first))
                    #expect(try pair.client.tryWrite(&given) == .wouldBlock)
                    given.removeAll()
                }
                let second = Self.pattern(3_000)
                var received: [UInt8] = []
                var queue = OutputQueue()
                queue.append(Bytes(second))
                while !queue.isEmpty {
                    if try pair.client.tryWrite(&queue).hasMoved { break }
                    let buffer = IOBuffer()
                    if case .moved = try pair.server.tryRead(into: buffer, limit: 100_000) {
                        received += Array(Bytes(of: buffer, 0..<buffer.count))
                    }
                }
                let buffer = IOBuffer()
                if case .moved = try pair.server.tryRead(into: buffer, limit: 100_000) {
                    received += Array(Bytes(of: buffer, 0..<buffer.count))
                }
                #expect(received == first + second)
            }
        }
    }
}

/// How often a stream was read from and written to with success.
private final class Counts: Sendable {
    let reads = Counter()
    let writes = Counter()
}

/// Counts what is asked of a stream.
private final class CountingStream: ByteStream {
    private let inner: MemoryStream
    private let counts: Counts

    init(_ inner: MemoryStream, _ counts: Counts) {
        self.inner = inner
        self.counts = counts
    }

    func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult {
        let result = try inner.tryRead(into: buffer, limit: limit)
        if result.hasMoved { counts.reads.add() }
        return result
    }

    func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult {
        counts.writes.add()
        return try inner.tryWrite(&queue)
    }

    func attach(to parker: Parker?) { inner.attach(to: parker) }
    var parker: Parker? { inner.parker }
    var isHungUp: Bool { inner.isHungUp }
    var mayBeReadable: Bool { inner.mayBeReadable }
    func awakenOnInput() { inner.awakenOnInput() }
    func askAgain() { inner.askAgain() }
    func awaitsInput() -> Bool { inner.awaitsInput() }
    func moveToCurrentThread() throws(TransportError) { inner.moveToCurrentThread() }
    func closeWrite() { inner.closeWrite() }
    func close(reset: Bool) { inner.close(reset: reset) }
    var peerAddress: SocketAddress? { inner.peerAddress }
    var localAddress: SocketAddress? { inner.localAddress }
}
