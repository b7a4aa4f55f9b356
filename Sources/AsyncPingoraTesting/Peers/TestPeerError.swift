/// What a raw client or a scripted origin expected of its peer and did not get.
public struct TestPeerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was expected, and what came instead.
    public let description: String

    /// Makes an error with the words to show.
    public init(_ description: String) {
        self.description = description
    }
}
