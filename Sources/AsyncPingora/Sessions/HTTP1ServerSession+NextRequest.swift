package import AsyncConnectors
package import AsyncTransport
internal import HTTPCodecs

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

    /// The head that is being waited for or read.
    struct HeadProgress {
        var hasBegun = false
        var deadline: Deadline
        /// When an idle connection gives back the memory of its last exchange.
        var trimsAt = Deadline.never
        /// When a service that ends gives up on a request.
        var isAwaitedUntil = Deadline.never
        /// The service ends, and the kernel has been asked once more.
        var isLastLook = false
        /// It has, and needs no task while it waits.
        var rests = false
    }

    /// Takes the service's new options; between requests, for the parser starts anew.
    @inline(never)
    func adoptNewestOptions() {
        shared = optionsSource.current
        parser = HTTP1.HeadParser(limits: shared.options.limits)
    }
}

extension HTTP1ServerSession {
    /// Whether there is a request: what was refused may not even have had a head.
    package var hasRequest: Bool { received != nil }
}
