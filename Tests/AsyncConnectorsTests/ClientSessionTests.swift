import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// A stream that takes so many bytes and then fails.
private final class FailingStream: ByteStream {
    private var room: Int
    var parker: Parker?

    init(room: Int) {
        self.room = room
    }

    func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult {
        let count = min(room, queue.byteCount)
        queue.consume(count)
        room -= count
        if queue.isEmpty { return .moved(count) }
        throw TransportError(.write, errno: 104)
    }

    func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult { .wouldBlock }
    func attach(to parker: Parker?) { self.parker = parker }
    func askAgain() {}
    func awakenOnInput() {}
    func awaitsInput() -> Bool { false }
    func moveToCurrentThread() throws(TransportError) {}
    func closeWrite() {}
    func close(reset: Bool) {}
    var isHungUp: Bool { false }
    var mayBeReadable: Bool { false }
    var peerAddress: SocketAddress? { nil }
    var localAddress: SocketAddress? { nil }
}

@Suite("A client session knows what has left") struct ClientSessionTests {
    @Test(arguments: [(0, false), (1, true), (30, true)]) func failedWrite(room: Int, hasSentBytes: Bool) async throws {
        try await TestExecutor.withExecutor { _ in
            let address = try #require(SocketAddress("127.0.0.1:1"))
            let session = HTTP1ClientSession(stream: FailingStream(room: room), peer: HttpPeer(address))
            var request = RequestHeader()
            try request.headers.set(.host, "a.example.org")
            session.begin(request, framing: .none)
            #expect(throws: PingoraError.self) { try session.flush() }
            #expect(session.hasSentBytes == hasSentBytes)
            #expect(session.pendingByteCount == 0)
        }
    }
}

@Suite("What has been read is kept no longer than somebody uses it") struct MessageInputTests {
    /// A body that passes through slowly: one chunk is on its way to a peer while the next is read.
    @Test func spentBuffersGoBack() throws {
        let (near, far) = MemoryStream.makePair()
        var input = MessageInput()
        var chunk = Bytes()
        var spent: [Int] = []
        for count in 1...6 {
            far.put(String(repeating: "x", count: count))
            _ = try input.fill(from: near)
            chunk = input.bytes(0..<input.count)
            input.consume(chunk.count)
            #expect(chunk.count == count)
            spent.append(input.spentCount)
        }
        // The last one's buffer is still in use when the next is read, those before it are not.
        #expect(spent == [0, 1, 1, 1, 1, 1])
        #expect(chunk == Bytes("xxxxxx"))
        input.reclaim()
        let count = input.spentCount
        #expect(count == 0)
    }
}
