package import AsyncTransport
package import HTTPCodecs

/// What a stream has to say: gathered by its task, left in the mailbox in one go, and said by the connection's task.
package struct HTTP2Outgoing: ~Copyable {
    /// A client's request.
    var request: RequestHeader?
    /// A server's final head.
    package var response: ResponseHeader?
    /// Heads that come before it.
    package var informational: [ResponseHeader] = []
    /// Pieces of the body.
    package fileprivate(set) var body = ByteRuns()
    /// Whether the body is complete, with these trailers.
    package private(set) var isEnded = false
    var trailers: HeaderMap?

    package init() {}

    package var isEmpty: Bool { request == nil && response == nil && informational.isEmpty && body.isEmpty && !isEnded }

    /// Adds to the body.
    ///
    /// A few bytes are copied: they would keep alive the whole buffer that they are a part of.
    package mutating func append(_ bytes: Bytes) {
        body.append(bytes.compacted)
    }

    package mutating func end(trailers: HeaderMap?) {
        isEnded = true
        self.trailers = trailers
    }

    /// Moves the body to `runs`, where it waits from now on.
    mutating func moveBody(to runs: inout ByteRuns) {
        runs.append(allOf: &body)
    }

    /// Adds what comes later, and leaves nothing there.
    mutating func append(allOf later: inout HTTP2Outgoing) {
        if isEmpty {
            swap(&self, &later)
            return
        }
        if let head = later.request.take() { request = request ?? head }
        if let head = later.response.take() { response = response ?? head }
        if !later.informational.isEmpty { informational += later.informational }
        isEnded = isEnded || later.isEnded
        trailers = trailers ?? later.trailers
        later = HTTP2Outgoing()
    }
}
