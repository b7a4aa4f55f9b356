extension HTTP1 {
    /// Decides how a request's body ends (RFC 9112 6.3), refusing whatever two parsers might read in two ways.
    public static func requestFraming(_ request: borrowing RequestHeader) throws(ParseError) -> BodyFraming {
        let framing = try explicitFraming(request.headers, version: request.version) ?? .none
        if request.methodKind == .connect, framing != .none, framing != .length(0) { throw .bodyOfConnect }
        return framing
    }

    /// Decides how a response's body ends (RFC 9112 6.3).
    ///
    /// - Parameters:
    ///   - response: the head that the body follows.
    ///   - requestMethod: the method of the request that it answers.
    ///   - requestAsksForUpgrade: whether that request had an Upgrade field. A 101 to one that did not is refused.
    /// - Returns: how the body ends; `.tunnel` when no HTTP follows.
    /// - Throws: what is contradictory, malformed or unknown in the fields that say how long the body is.
    public static func responseFraming(
        _ response: borrowing ResponseHeader,
        requestMethod: RequestHeader.MethodKind,
        requestAsksForUpgrade: Bool
    ) throws(ParseError) -> BodyFraming {
        switch response.statusCode {
        case 101:
            guard requestAsksForUpgrade else { throw .malformedStatusLine }
            return .tunnel
        case 100..<200:
            return .none
        case 200..<300 where requestMethod == .connect:
            return .tunnel
        default:
            break
        }
        let framing = try explicitFraming(response.headers, version: response.version)
        if requestMethod == .head || response.statusCode == 204 || response.statusCode == 304 { return .none }
        return framing ?? .untilClose
    }

    /// What Transfer-Encoding and Content-Length say; nil when neither is there.
    private static func explicitFraming(
        _ headers: borrowing HeaderMap,
        version: HTTPVersion
    ) throws(ParseError) -> BodyFraming? {
        let hasLength = headers.contains(.contentLength)
        if headers.contains(.transferEncoding) {
            if version < .http11 { throw .transferEncodingOnHTTP10 }
            if hasLength { throw .transferEncodingAndContentLength }
            try checkTransferEncoding(headers)
            return .chunked
        }
        return hasLength ? .length(try contentLength(headers)) : nil
    }

    /// `chunked` must be the only coding: once and last.
    ///
    /// Others that are known to HTTP are refused as not implemented.
    private static func checkTransferEncoding(_ headers: borrowing HeaderMap) throws(ParseError) {
        var codingCount = 0
        var chunkedCount = 0
        var isLastChunked = false
        var isMalformed = false
        headers.forEachValue(.transferEncoding) { value in
            value.forEachListElement { coding in
                codingCount += 1
                isLastChunked = coding.equalsIgnoringCase("chunked")
                if isLastChunked { chunkedCount += 1 }
                // `identity` was taken out of HTTP because of what this very list led to.
                if coding.byteCount == 0 || coding.equalsIgnoringCase("identity") { isMalformed = true }
            }
        }
        if isMalformed || chunkedCount > 1 || (chunkedCount == 1 && !isLastChunked) { throw .invalidTransferEncoding }
        if chunkedCount == 0 || codingCount > 1 { throw .unknownTransferCoding }
    }

    private static func contentLength(_ headers: borrowing HeaderMap) throws(ParseError) -> UInt64 {
        var count = 0
        var result = Result<UInt64, ParseError>.failure(.invalidContentLength)
        headers.forEachValue(.contentLength) { value in
            count += 1
            result = length(value)
        }
        if count > 1 { throw .repeatedContentLength }
        return try result.get()
    }

    private static func length(_ value: RawSpan) -> Result<UInt64, ParseError> {
        guard value.byteCount > 0 else { return .failure(.invalidContentLength) }
        var length: UInt64 = 0
        for index in 0..<value.byteCount {
            let byte = value[index]
            if byte == 0x2C { return .failure(.repeatedContentLength) }
            guard (0x30...0x39).contains(byte) else { return .failure(.invalidContentLength) }
            let (product, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 0x30))
            if overflow || carry || sum > UInt64(Int64.max) { return .failure(.invalidContentLength) }
            length = sum
        }
        return .success(length)
    }
}
