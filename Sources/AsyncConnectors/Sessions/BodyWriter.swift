package import AsyncTransport
package import HTTPCodecs

/// Puts a body on the wire in the framing its head announced, and holds it to that.
package struct BodyWriter {
    package let framing: HTTP1.BodyFraming
    package private(set) var isComplete: Bool
    private var remaining: UInt64

    package init(_ framing: HTTP1.BodyFraming) {
        self.framing = framing
        switch framing {
        case .none:
            remaining = 0
            isComplete = true
        case .length(let length):
            remaining = length
            isComplete = length == 0
        case .chunked, .untilClose, .tunnel:
            remaining = 0
            isComplete = false
        }
    }

    /// Queues a chunk; returns false when it is more than the announced length, and then queues nothing.
    package mutating func append(_ bytes: Bytes, to output: inout OutputQueue) -> Bool {
        guard !bytes.isEmpty else { return true }
        switch framing {
        case .none:
            return false
        case .length:
            guard UInt64(bytes.count) <= remaining else { return false }
            output.append(bytes)
            remaining -= UInt64(bytes.count)
            if remaining == 0 { isComplete = true }
        case .chunked:
            guard !isComplete else { return false }
            output.append(byteCount: HTTP1.ChunkedEncoder.maximumChunkHeadByteCount) { out in
                HTTP1.ChunkedEncoder.chunkHead(count: bytes.count, into: &out)
            }
            output.append(bytes)
            output.append(byteCount: 2) { out in
                out.append(0x0D)
                out.append(0x0A)
            }
        case .untilClose, .tunnel:
            guard !isComplete else { return false }
            output.append(bytes)
        }
        return true
    }

    /// Queues what ends the body; returns false when bytes of the announced length are missing.
    package mutating func finish(trailers: HeaderMap?, to output: inout OutputQueue) -> Bool {
        guard !isComplete else { return true }
        switch framing {
        case .none:
            break
        case .length:
            return false
        case .chunked:
            output.append(byteCount: HTTP1.ChunkedEncoder.lastChunkByteCount(trailers: trailers)) { out in
                HTTP1.ChunkedEncoder.lastChunk(trailers: trailers, into: &out)
            }
        case .untilClose, .tunnel:
            break
        }
        isComplete = true
        return true
    }
}
