extension HTTP1 {
    /// Encodes the chunked transfer coding (RFC 9112 7.1).
    ///
    /// A chunk is its head, its data and CR LF. The data is not touched, so that it can be written from where it lies, between a head and the CR LF.
    public enum ChunkedEncoder {
        /// The most bytes that ``chunkHead(count:into:)`` writes.
        public static let maximumChunkHeadByteCount = 18

        /// Writes the size line of a chunk with `count` bytes of data.
        ///
        /// - Parameters:
        ///   - count: must be positive, for a chunk without data ends the body.
        ///   - output: must have room for ``maximumChunkHeadByteCount`` bytes or as many as the number takes.
        public static func chunkHead(count: Int, into output: inout OutputRawSpan) {
            precondition(count > 0, "a chunk without data ends the body")
            var shift = (Int.bitWidth - 1 - count.leadingZeroBitCount) & ~3
            while shift >= 0 {
                let digit = UInt8(truncatingIfNeeded: count >> shift) & 15
                output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
                shift -= 4
            }
            output.append(0x0D)
            output.append(0x0A)
        }

        /// The most bytes that ``lastChunk(trailers:into:)`` writes.
        public static func lastChunkByteCount(trailers: HeaderMap?) -> Int { 3 + (trailers?.serializedBound ?? 2) }

        /// Writes the empty chunk, the trailers and the empty line.
        ///
        /// - Parameters:
        ///   - trailers: are written as they are; it is for the caller to leave out what may not be there (RFC 9110 6.5.1).
        ///   - output: must have room for ``lastChunkByteCount(trailers:)`` bytes.
        public static func lastChunk(trailers: HeaderMap?, into output: inout OutputRawSpan) {
            output.append(0x30)
            output.append(0x0D)
            output.append(0x0A)
            guard let trailers else {
                output.append(0x0D)
                output.append(0x0A)
                return
            }
            precondition(output.freeCapacity >= trailers.serializedBound)
            // SAFETY: there is room for all that `serialize` writes, as was just checked; it returns how much that is.
            unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
                guard let base = buffer.baseAddress else { return }
                unsafe initializedCount += trailers.serialize(to: base + initializedCount)
            }
        }
    }
}
