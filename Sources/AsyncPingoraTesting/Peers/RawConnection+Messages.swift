extension RawConnection {
    /// Returns the next head as text, up to and including the blank line that ends it.
    ///
    /// - Throws: ``TestPeerError`` when the peer ends the stream first; `TransportError`.
    public func receiveHead() async throws -> String {
        String(decoding: try await receive(upThrough: "\r\n\r\n"), as: UTF8.self)
    }

    /// Returns the next message's head taken apart, its body still unread; nil when the peer ends the stream first.
    func receiveHeadIfAny() async throws -> RawMessage? {
        guard let head = try await receiveIfAny(upThrough: "\r\n\r\n") else { return nil }
        return RawMessage(head: String(decoding: head, as: UTF8.self))
    }

    /// Reads the body of a message whose head was just received.
    ///
    /// - Parameters:
    ///   - message: the head; the body, chunk sizes and trailers are put there.
    ///   - method: the request's method when this is the response to it; nil for a request.
    /// - Throws: ``TestPeerError`` when the peer ends the stream first or sends broken chunks; `TransportError`.
    func receiveBody(of message: inout RawMessage, asResponseTo method: String?) async throws {
        switch message.framing(asResponseTo: method) {
        case .none:
            break
        case .length(let count):
            message.body = try await receive(count: count)
        case .untilClose:
            message.body = try await receiveToEnd()
            message.isEndedByClose = true
        case .chunked:
            try await receiveChunks(of: &message)
        }
    }

    private func receiveChunks(of message: inout RawMessage) async throws {
        while true {
            let line = String(decoding: try await receive(upThrough: "\r\n").dropLast(2), as: UTF8.self)
            guard let size = Int(line.prefix { $0 != ";" && $0 != " " }, radix: 16), size >= 0 else {
                throw TestPeerError("expected a chunk size, but got \(line.debugDescription)")
            }
            if size == 0 { break }
            message.chunkSizes.append(size)
            message.body += try await receive(count: size)
            let end = try await receive(count: 2)
            guard end == [13, 10] else { throw TestPeerError("expected a chunk's end, but got \(quoted(end))") }
        }
        while true {
            let line = String(decoding: try await receive(upThrough: "\r\n").dropLast(2), as: UTF8.self)
            if line.isEmpty { return }
            message.trailers.append(RawMessage.field(line))
        }
    }
}
