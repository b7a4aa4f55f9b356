package import AsyncTransport
package import HTTPCodecs

/// What a stream has to say: gathered by its task, left in the mailbox in one go, and said by the connection's task.
package struct HTTP2Outgoing {
    /// A client's request.
    var request: RequestHeader?
    /// A server's final head.
    package var response: ResponseHeader?
    /// Heads that come before it.
    package var informational: [ResponseHeader] = []
    /// Pieces of the body.
    package private(set) var body = ByteRuns()
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

    /// Hands over the body, which then waits elsewhere.
    mutating func takeBody() -> ByteRuns {
        defer { body.removeAll() }
        return body
    }

    /// Adds what comes later.
    mutating func append(_ later: consuming HTTP2Outgoing) {
        if isEmpty {
            self = later
            return
        }
        request = request ?? later.request
        response = response ?? later.response
        if !later.informational.isEmpty { informational += later.informational }
        isEnded = isEnded || later.isEnded
        trailers = trailers ?? later.trailers
    }
}
