extension HTTP2 {
    /// How far the first bytes of a connection are the preface of an HTTP/2 client (RFC 9113 3.4).
    public enum PrefaceMatch: Sendable {
        /// The whole preface is there.
        case whole
        /// What is there is the beginning of it.
        case partial
        /// It is something else.
        case none
    }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// Compares the first bytes of a connection with the preface.
    public static func matchPreface(_ bytes: RawSpan) -> PrefaceMatch {
        let count = min(bytes.byteCount, preface.count)
        for index in 0..<count where bytes[index] != preface[index] { return .none }
        return count == preface.count ? .whole : .partial
    }
}
