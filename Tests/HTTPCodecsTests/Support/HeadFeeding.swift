import HTTPCodecs

extension HTTP1.HeadParser {
    /// Parses the first `count` of `bytes`, or all of them, as a request.
    mutating func feed(
        _ bytes: [UInt8],
        first count: Int? = nil,
        into request: inout RequestHeader
    ) throws(HTTP1.ParseError) -> Int? {
        // SAFETY: every bit pattern of UInt8 may be read as raw bytes.
        try parseRequest(unsafe bytes.span.bytes.extracting(first: count ?? bytes.count), into: &request)
    }

    /// Parses the first `count` of `bytes`, or all of them, as a response.
    mutating func feed(
        _ bytes: [UInt8],
        first count: Int? = nil,
        into response: inout ResponseHeader
    ) throws(HTTP1.ParseError) -> Int? {
        // SAFETY: every bit pattern of UInt8 may be read as raw bytes.
        try parseResponse(unsafe bytes.span.bytes.extracting(first: count ?? bytes.count), into: &response)
    }
}

extension RequestHeader {
    /// The head as it goes out.
    var wireText: String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wireByteCount) { buffer, count in
            // SAFETY: the span covers the array's own storage and ends before the array takes it over.
            let raw = UnsafeMutableRawBufferPointer(buffer)
            var span = unsafe OutputRawSpan(buffer: raw, initializedCount: 0)
            serialize(into: &span)
            count = unsafe span.finalize(for: raw)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ResponseHeader {
    /// The head as it goes out.
    var wireText: String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wireByteCount) { buffer, count in
            // SAFETY: the span covers the array's own storage and ends before the array takes it over.
            let raw = UnsafeMutableRawBufferPointer(buffer)
            var span = unsafe OutputRawSpan(buffer: raw, initializedCount: 0)
            serialize(into: &span)
            count = unsafe span.finalize(for: raw)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
