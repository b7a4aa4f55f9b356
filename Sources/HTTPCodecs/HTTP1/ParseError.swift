extension HTTP1 {
    /// What is wrong with a message.
    ///
    /// More may be added.
    public struct ParseError: Error, Equatable, Sendable, CustomStringConvertible {
        /// What is wrong, without dynamic parts: fit for a metric's label.
        public let shortDescription: String
        /// The status that tells a client so.
        public let statusCode: Int

        private init(_ shortDescription: String, _ statusCode: Int = 400) {
            self.shortDescription = shortDescription
            self.statusCode = statusCode
        }

        /// What is wrong.
        public var description: String { shortDescription }

        /// The request line is not `METHOD target HTTP/1.x`.
        public static let malformedRequestLine = ParseError("malformed request line")
        /// The status line is not `HTTP/1.x nnn reason`.
        public static let malformedStatusLine = ParseError("malformed status line")
        /// A field line has no colon, or its name is not a token.
        public static let malformedFieldName = ParseError("malformed field name")
        /// White space between a field's name and the colon (RFC 9112 5.1).
        public static let whitespaceBeforeColon = ParseError("whitespace before colon")
        /// A field line that begins with white space (RFC 9112 5.2).
        public static let obsoleteLineFolding = ParseError("obsolete line folding")
        /// A control byte in a field value or reason phrase.
        public static let forbiddenByte = ParseError("forbidden byte")
        /// LF without CR before it.
        public static let bareLineFeed = ParseError("bare line feed")
        /// CR without LF behind it.
        public static let bareCarriageReturn = ParseError("bare carriage return")
        /// The head has more bytes than allowed.
        public static let headTooLarge = ParseError("head too large", 431)
        /// The head has more fields than allowed.
        public static let tooManyFields = ParseError("too many fields", 431)
        /// The request target has more bytes than allowed.
        public static let targetTooLong = ParseError("target too long", 414)
        /// A version other than 1.0 and 1.1.
        public static let unsupportedVersion = ParseError("unsupported version", 505)
        /// An HTTP/1.1 request without Host (RFC 9112 3.2).
        public static let missingHost = ParseError("missing host")
        /// More than one Host.
        public static let repeatedHost = ParseError("repeated host")
        /// A Host or authority that is not `host[:port]`.
        public static let invalidHost = ParseError("invalid host")
        /// Host says another authority than the request target.
        public static let hostMismatch = ParseError("host and target differ")
        /// A request target in none of the four forms, or in one that the method does not allow.
        public static let invalidTarget = ParseError("invalid target")
        /// Both Transfer-Encoding and Content-Length: a sign of smuggling (RFC 9112 6.1).
        public static let transferEncodingAndContentLength = ParseError("transfer-encoding and content-length")
        /// More than one Content-Length, or a list of them.
        public static let repeatedContentLength = ParseError("repeated content-length")
        /// A Content-Length that is not a decimal number below 2^63.
        public static let invalidContentLength = ParseError("invalid content-length")
        /// A transfer coding other than chunked.
        public static let unknownTransferCoding = ParseError("unknown transfer coding", 501)
        /// Transfer codings that do not end in exactly one chunked.
        public static let invalidTransferEncoding = ParseError("invalid transfer-encoding")
        /// CONNECT with a body, of which nobody knows whether it belongs into the tunnel (RFC 9110 9.3.6).
        public static let bodyOfConnect = ParseError("body of connect")
        /// Transfer-Encoding in an HTTP/1.0 message.
        public static let transferEncodingOnHTTP10 = ParseError("transfer-encoding in HTTP/1.0")
        /// A chunk size that is not a hexadecimal number below 2^63.
        public static let invalidChunkSize = ParseError("invalid chunk size")
        /// A chunk's size line with more bytes than allowed.
        public static let chunkLineTooLong = ParseError("chunk line too long")
        /// Chunk data that is not followed by CR LF.
        public static let invalidChunkTerminator = ParseError("invalid chunk terminator")
        /// A malformed trailer section.
        public static let invalidTrailer = ParseError("invalid trailer")
        /// A trailer section with more bytes or fields than allowed.
        public static let trailersTooLarge = ParseError("trailers too large")
        /// The connection ended before the body did.
        public static let prematureEnd = ParseError("premature end of body")
        /// Connection names a field that must reach the next hop.
        public static let protectedConnectionOption = ParseError("connection names a protected field")
        /// Connection names ten fields or more.
        public static let tooManyConnectionOptions = ParseError("too many connection options")
    }
}
