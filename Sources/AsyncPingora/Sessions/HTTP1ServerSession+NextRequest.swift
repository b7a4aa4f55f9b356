package import AsyncConnectors
package import AsyncTransport

extension HTTP1ServerSession {
    /// What came of looking for the next request.
    package enum NextRequest {
        /// It is in ``request``.
        case request
        /// Park until the deadline, then look again.
        case wait(Deadline)
        /// There has been none for a while: look again when something arrives, or at the deadline.
        case idle(until: Deadline)
        /// The client speaks HTTP/2 (RFC 9113 3.3); see ``takeInput()``.
        case http2
        /// The connection ends quietly: closed, idle too long, or draining.
        case closed
        /// The head is malformed, too large or too slow; see ``ErrorResponse/status(for:)``.
        case refused(PingoraError)
    }
}
