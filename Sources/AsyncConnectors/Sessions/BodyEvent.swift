package import AsyncTransport
package import HTTPCodecs

/// What a body yields when it is asked without waiting.
package enum BodyEvent {
    /// The next bytes, never empty.
    case chunk(Bytes)
    /// The body is complete, with its trailers if it had any.
    case end(trailers: HeaderMap?)
    /// Nothing yet: the session's parker will be woken.
    case wouldBlock
}
