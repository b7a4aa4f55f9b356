extension HTTP1 {
    /// What a body decoder made of the bytes at hand.
    ///
    /// Offsets count from the first of them.
    public enum BodyStep: Equatable, Sendable {
        /// Drop so many bytes, then come back with more.
        case needMore(consumed: Int)
        /// Body bytes are at `skip ..< skip + count`; drop all up to their end. `count` is at least 1.
        case data(skip: Int, count: Int)
        /// The body is complete with so many bytes, which are to be dropped; those behind belong to the next message.
        case end(consumed: Int)
    }
}
