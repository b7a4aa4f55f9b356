extension HTTP1 {
    /// Gathers the lines of a trailer section (RFC 9112 7.1.2), which is rare and short, and parses them when all are there.
    struct TrailerSection: ~Copyable {
        private let maximumBytes: Int
        private let maximumCount: Int
        private var bytes: [UInt8] = []
        private var lineCount = 0

        init(limits: Limits) {
            maximumBytes = limits.maximumTrailerBytes
            maximumCount = limits.maximumTrailerCount
        }

        /// Takes the rest of a line, or what there is of it.
        ///
        /// - Returns: where the bytes that were taken end, and whether the line does.
        /// - Throws: `trailersTooLarge`; `invalidTrailer` when the line ends with LF alone.
        mutating func append(_ input: RawSpan, from start: Int) throws(ParseError) -> (end: Int, isComplete: Bool) {
            if bytes.isEmpty { bytes.append(contentsOf: Self.startLine) }
            var end = start
            while end < input.byteCount {
                let byte = input[end]
                end += 1
                guard bytes.count - Self.startLine.count < maximumBytes else { throw .trailersTooLarge }
                let previous = bytes.last
                bytes.append(byte)
                guard byte == 0x0A else { continue }
                guard previous == 0x0D else { throw .invalidTrailer }
                lineCount += 1
                if lineCount > maximumCount { throw .trailersTooLarge }
                return (end, true)
            }
            return (end, false)
        }

        /// Parses the lines gathered and forgets them; nil when there are none, or none that may be used.
        mutating func parsed() throws(ParseError) -> HeaderMap? {
            guard !bytes.isEmpty else { return nil }
            let head = bytes + [0x0D, 0x0A]
            bytes = []
            var limits = Limits()
            limits.maximumHeadBytes = head.count
            limits.maximumFieldCount = maximumCount
            var parser = HeadParser(limits: limits)
            var response = ResponseHeader(statusCode: 200)
            // SAFETY: `head` is not changed while the parser reads it, and is not kept.
            let length = unsafe try? parser.parseResponse(head.span.bytes, into: &response)
            guard length == head.count else { throw .invalidTrailer }
            response.headers.removeAll { Self.isForbidden($0.name) }
            return response.headers.isEmpty ? nil : response.headers
        }

        // The section is a head without a start line: give it one.
        private static let startLine = Array("HTTP/1.1 200 OK\r\n".utf8)

        /// Whether a field must be known before the content, so that it counts for nothing behind it (RFC 9110 6.5.1).
        private static func isForbidden(_ name: String) -> Bool {
            guard let name = HeaderName(name) else { return true }
            // SAFETY: the array outlives the call.
            return unsafe isForbidden(Array(name.text.utf8).span.bytes, id: name.id)
        }

        /// Whether the field of this name and number may not be a trailer.
        static func isForbidden(_ name: RawSpan, id: UInt8) -> Bool {
            if id != 0, forbidden.contains(id) { return true }
            return name.hasPrefixIgnoringCase("content-") && !name.equalsIgnoringCase("content-digest")
                || name.hasPrefixIgnoringCase("x-forwarded-") || name.hasPrefixIgnoringCase("sec-websocket-")
        }

        private static let forbidden = HeaderNameSet([
            // Framing and the connection.
            .connection, .http2Settings, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade,
            // Routing, and request modifiers.
            .cacheControl, .expect, .forwarded, .host, .maxForwards, .pragma, .range, .via, .xRealIP,
            .ifMatch, .ifModifiedSince, .ifNoneMatch, .ifRange, .ifUnmodifiedSince,
            // Authentication and state.
            .authorization, .cookie, .proxyAuthenticate, .proxyAuthorization, .setCookie, .wwwAuthenticate,
            // Response control data.
            .age, .date, .expires, .location, .retryAfter, .vary, .warning,
        ])
    }
}
