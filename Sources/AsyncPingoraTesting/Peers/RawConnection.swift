public import AsyncTransport

/// One end of a real connection, read and written byte by byte as the test wants it.
///
/// Its operations must run in a task on a `ServiceExecutor` (see ``TestExecutor``), one at a time. Each gives up after ``timeout``.
/// The connection closes when the last reference to it goes.
public class RawConnection {
    let stream: any ByteStream
    private let input = IOBuffer(capacity: 65_536)
    /// What was received and not yet returned.
    private(set) var received: [UInt8] = []
    /// How long one operation may take.
    ///
    /// Default 120 seconds.
    public var timeout: Duration = .seconds(120)
    private(set) var isClosed = false

    init(stream: any ByteStream) {
        self.stream = stream
    }

    /// What was agreed on in the TLS handshake; nil in the clear.
    public var tls: TLSDigest? { isClosed ? nil : stream.tls }

    // MARK: - Sending

    /// Sends all of `bytes`.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when the peer has gone or takes nothing for the length of ``timeout``.
    public func send(_ bytes: [UInt8]) async throws {
        try await operate { deadline in
            var queue = OutputQueue()
            queue.append(Bytes(bytes))
            try await self.stream.write(&queue, deadline: deadline)
        }
    }

    /// Sends the UTF-8 of `text`.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when the peer has gone or takes nothing for the length of ``timeout``.
    public func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    /// Sends `bytes` until the peer takes no more for now; returns how many it took.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when the peer has gone.
    public func sendUntilFull(_ bytes: [UInt8]) async throws -> Int {
        try await operate { _ in
            var queue = OutputQueue()
            queue.append(Bytes(bytes))
            _ = try self.stream.tryWrite(&queue)
            return bytes.count - queue.byteCount
        }
    }

    /// Tells the peer that no more will be sent (FIN), and goes on receiving.
    public func closeWrite() {
        if !isClosed { stream.closeWrite() }
    }

    /// Breaks the connection off (RST).
    public func reset() {
        isClosed = true
        stream.close(reset: true)
    }

    /// Closes the connection.
    ///
    /// The kernel turns that into a reset when received bytes are still unread.
    public func close() {
        isClosed = true
        stream.close(reset: false)
    }

    /// Closes in good order: ends the sending side, and closes once the peer has ended the other.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when the peer resets the connection or does not end it in time.
    public func finish() async throws {
        closeWrite()
        defer { close() }
        while try await fill() { received.removeAll() }
    }

    // MARK: - Receiving

    /// Returns the bytes up to and including the next `delimiter`.
    ///
    /// - Throws: ``TestPeerError`` when the peer ends the stream first; ``/AsyncTransport/TransportError``.
    public func receive(upThrough delimiter: String) async throws -> [UInt8] {
        guard let bytes = try await receiveIfAny(upThrough: delimiter) else {
            throw TestPeerError("expected \(delimiter.debugDescription), but the stream ended")
        }
        return bytes
    }

    /// Returns the bytes up to and including the next `delimiter`; nil when the peer ends the stream with nothing more.
    func receiveIfAny(upThrough delimiter: String) async throws -> [UInt8]? {
        let wanted = Array(delimiter.utf8)
        var searched = 0
        while true {
            if let end = received.end(of: wanted, from: max(searched - wanted.count, 0)) { return take(end) }
            searched = received.count
            if try await !fill() {
                guard received.isEmpty else {
                    throw TestPeerError(
                        "expected \(delimiter.debugDescription), but the stream ended after \(quoted(received))"
                    )
                }
                return nil
            }
        }
    }

    /// Returns exactly `count` bytes.
    ///
    /// - Throws: ``TestPeerError`` when the peer ends the stream first; ``/AsyncTransport/TransportError``.
    public func receive(count: Int) async throws -> [UInt8] {
        while received.count < count {
            if try await !fill() {
                throw TestPeerError("expected \(count) bytes, but the stream ended after \(quoted(received))")
            }
        }
        return take(count)
    }

    /// Returns everything up to the end of the stream.
    ///
    /// - Throws: ``/AsyncTransport/TransportError``, such as when the peer resets the connection instead of ending it.
    public func receiveToEnd() async throws -> [UInt8] {
        while try await fill() {}
        return take(received.count)
    }

    /// Returns what is there, waiting for the first byte; empty at the end of the stream.
    ///
    /// - Throws: ``/AsyncTransport/TransportError``.
    public func receiveSome() async throws -> [UInt8] {
        if received.isEmpty { _ = try await fill() }
        return take(received.count)
    }

    /// Waits until the peer closes or resets the connection, dropping what it still sends.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when that does not happen in time.
    public func awaitClose() async throws {
        do {
            while try await fill() { received.removeAll() }
        } catch let error as TransportError where error.isClosedByPeer {}
    }

    /// Puts bytes back, to be received again: a look at the first tells what the peer speaks.
    public func unread(_ bytes: [UInt8]) {
        received = bytes + received
    }

    private func take(_ count: Int) -> [UInt8] {
        let taken = Array(received.prefix(count))
        received.removeFirst(count)
        return taken
    }

    /// Receives some more; false at the end of the stream.
    private func fill() async throws -> Bool {
        try await operate { deadline in
            self.input.removeAll()
            guard try await self.stream.read(into: self.input, deadline: deadline) else { return false }
            // SAFETY: the bytes are copied within the call.
            self.input.withBytes { unsafe $0.withUnsafeBytes { unsafe self.received.append(contentsOf: $0) } }
            return true
        }
    }

    /// Runs one operation with a parker of its own, on whichever worker the calling task is.
    private func operate<Result>(
        _ body: nonisolated(nonsending) (Deadline) async throws -> Result
    ) async throws -> Result {
        guard !isClosed else { throw TestPeerError("the connection has been closed on this side") }
        try RawConnection.requireWorker()
        return try await withParker { parker in
            try stream.moveToCurrentThread()
            stream.attach(to: parker)
            defer { stream.attach(to: nil) }
            return try await body(.after(timeout))
        }
    }

    /// Sockets need a worker's poller: says so in words instead of trapping.
    static func requireWorker() throws {
        if ThreadContext.currentIndex == nil {
            throw TestPeerError("use raw connections and scripted origins inside TestExecutor.withExecutor")
        }
    }
}

func quoted(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.prefix(512), as: UTF8.self).debugDescription
}

extension [UInt8] {
    /// The offset behind the first occurrence of `wanted` at or after `start`; nil when there is none.
    func end(of wanted: [UInt8], from start: Int) -> Int? {
        guard !wanted.isEmpty, count - start >= wanted.count else { return nil }
        for offset in start...(count - wanted.count) where self[offset] == wanted[0] {
            if self[offset..<offset + wanted.count].elementsEqual(wanted) { return offset + wanted.count }
        }
        return nil
    }
}
