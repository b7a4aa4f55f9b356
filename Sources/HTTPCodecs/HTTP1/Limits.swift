/// HTTP/1.x on the wire (RFC 9112): heads, framing and bodies as values, without task, socket or clock.
public enum HTTP1 {
    /// How much a peer may send of the parts that are held in memory.
    public struct Limits: Sendable, Hashable {
        /// The most bytes of a head, start line included.
        ///
        /// Default 64 KiB.
        public var maximumHeadBytes = 65_536
        /// The most fields of a head.
        ///
        /// Default 128.
        public var maximumFieldCount = 128
        /// The most bytes of a request target.
        ///
        /// Default 16 KiB.
        public var maximumTargetBytes = 16_384
        /// The most bytes of a chunk's size line, extensions included.
        ///
        /// Default 8 KiB.
        public var maximumChunkLineBytes = 8_192
        /// The most bytes of a trailer section.
        ///
        /// Default 16 KiB.
        public var maximumTrailerBytes = 16_384
        /// The most fields of a trailer section.
        ///
        /// Default 64.
        public var maximumTrailerCount = 64

        /// Makes the defaults.
        public init() {}
    }
}
