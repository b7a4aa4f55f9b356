extension HTTP1 {
    /// How the end of a body is told (RFC 9112 6.3).
    public enum BodyFraming: Equatable, Sendable {
        /// There is no body.
        case none
        /// So many bytes.
        case length(UInt64)
        /// Chunks, the last of which is empty.
        case chunked
        /// All bytes until the connection ends; responses only.
        case untilClose
        /// No message any more: the connection belongs to another protocol until it ends.
        case tunnel
    }
}
