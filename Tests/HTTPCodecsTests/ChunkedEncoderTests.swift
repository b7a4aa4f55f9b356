import HTTPCodecs
import Testing

@Suite("A chunked encoder writes what a decoder reads")
struct ChunkedEncoderTests {
    @Test(
        "sizes in hexadecimal digits, no more than needed",
        arguments: [
            (1, "1"), (9, "9"), (10, "a"), (15, "f"), (16, "10"), (255, "ff"), (256, "100"), (4096, "1000"),
            (65_535, "ffff"),
            (0x0123_4567_89AB_CDEF, "123456789abcdef"), (Int.max, "7fffffffffffffff"),
        ]
    )
    func writesSizes(_ count: Int, _ expected: String) {
        let written = output(capacity: HTTP1.ChunkedEncoder.maximumChunkHeadByteCount) { out in
            HTTP1.ChunkedEncoder.chunkHead(count: count, into: &out)
        }
        #expect(text(written) == expected + "\r\n")
    }

    @Test("the last chunk with the trailers", arguments: [[], ["Grpc-Status: 0"], ["A: ", "b: c d", "A: e"]])
    func writesTheLastChunk(_ lines: [String]) throws {
        var trailers = HeaderMap()
        for line in lines {
            let parts = line.split(separator: ": ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            try trailers.append(#require(HeaderName(parts[0])), parts[1])
        }
        let written = lastChunk(trailers)
        #expect(text(written) == "0\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n")
    }

    @Test("the last chunk without trailers in five bytes")
    func writesTheBareLastChunk() {
        #expect(HTTP1.ChunkedEncoder.lastChunkByteCount(trailers: nil) == 5)
        #expect(text(lastChunk(nil)) == "0\r\n\r\n")
    }

    @Test("bodies that come back whole", arguments: [1, 15, 16, 17, 300])
    func roundTrips(_ count: Int) throws {
        let data = String(repeating: "x", count: count)
        var trailers = HeaderMap()
        try trailers.append("x-sum", "\(count)")
        let head = output(capacity: HTTP1.ChunkedEncoder.maximumChunkHeadByteCount) { out in
            HTTP1.ChunkedEncoder.chunkHead(count: count, into: &out)
        }
        let body = head + bytes(data + "\r\n") + lastChunk(trailers)
        for pieces in splits(of: body) {
            let outcome = replay(pieces, framing: .chunked)
            #expect(outcome == BodyOutcome(data: data, trailers: ["x-sum: \(count)"], isComplete: true))
        }
    }

    private func lastChunk(_ trailers: HeaderMap?) -> [UInt8] {
        output(capacity: HTTP1.ChunkedEncoder.lastChunkByteCount(trailers: trailers)) { out in
            HTTP1.ChunkedEncoder.lastChunk(trailers: trailers, into: &out)
        }
    }
}

/// What `body` writes into exactly so much room.
func output(capacity: Int, _ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
    unsafe withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 1) { buffer in
        // SAFETY: the span covers the buffer and no more, and is done with before the buffer is read.
        var out = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
        body(&out)
        let count = unsafe out.finalize(for: buffer)
        return unsafe Array(buffer[..<count])
    }
}
