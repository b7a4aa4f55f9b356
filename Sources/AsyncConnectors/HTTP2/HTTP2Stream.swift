package import AsyncTransport
package import HTTPCodecs
internal import Synchronization

/// One stream of an HTTP/2 connection, between the task that serves it and the task that owns the connection.
///
/// Either side leaves what it has for the other under a lock that both hold for some instructions only, and wakes it. The stream's
/// side is used by one task, the connection's side by the connection's owner.
package final class HTTP2Stream: Sendable {
    /// Why a stream ended before its messages did.
    package enum Failure: Sendable {
        /// RST_STREAM, or a GOAWAY that left it out.
        case reset(HTTP2.ErrorCode, byPeer: Bool)
        /// The connection is gone.
        case connection(PingoraError)
    }

    /// What is left for the other side.
    private struct Mail: ~Copyable {
        // For the stream's task.
        var request: RequestHeader?
        var response: ResponseHeader?
        var laterResponses: [ResponseHeader] = []
        var inbound = ByteRuns()
        var isInboundEnded = false
        var inboundTrailers: HeaderMap?
        var failure: Failure?
        var waiter: Parker?
        var isWaitingForRoom = false

        // For the connection.
        var letter = Letter()
        var outbound = ByteRuns()
        var isPosted = false

        init(request: consuming RequestHeader?, isInboundEnded: Bool, waiter: Parker?) {
            self.request = request
            self.isInboundEnded = isInboundEnded
            self.waiter = waiter
        }
    }

    /// What a stream wants of its connection since it was asked last.
    struct Letter: ~Copyable {
        /// What it says; its body waits with the stream until there is room in the peer's windows.
        var outgoing = HTTP2Outgoing()
        /// Body bytes that have been queued.
        var queuedByteCount = 0
        /// Body bytes that have been read: credit for the peer.
        var consumedByteCount = 0
        var reset: HTTP2.ErrorCode?
        /// The stream's task has ended: what still comes is dropped.
        var isDetached = false

        /// Whether the head says all there is.
        var endsAtOnce: Bool { outgoing.isEnded && queuedByteCount == 0 && outgoing.trailers == nil }
    }

    private let mail: Lock<Mail>
    private let mailbox: HTTP2Mailbox
    // Copies of what the mail says, to be looked at without the lock.
    private let outboundCount = Atomic<Int>(0)
    private let hasMail = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)
    private let number = Atomic<Int32>(0)
    private let isOpen = Atomic<Bool>(false)

    /// Beyond this many bytes the body's source waits until the connection has taken some.
    package static let highWaterMark = 65_536
    /// Credit is given back in pieces of this size at least: the peer's window is several times as large.
    package static let creditStep = 16_384
    /// Heads, nearly all of them informational, that wait to be taken.
    private static let maximumHeads = 32

    /// - Parameters:
    ///   - mailbox: the connection's.
    ///   - waiter: whom to wake when there is news for the stream's task.
    ///   - request: what the peer asks for, if it is a client.
    ///   - isInboundEnded: whether the peer's message is complete already.
    init(
        mailbox: HTTP2Mailbox,
        waiter: Parker?,
        request: consuming RequestHeader? = nil,
        isInboundEnded: Bool = false
    ) {
        self.mailbox = mailbox
        hasMail.store(isInboundEnded, ordering: .relaxed)
        mail = Lock(Mail(request: request, isInboundEnded: isInboundEnded, waiter: waiter))
    }

    /// Stands for a stream that has been let go.
    static let none = HTTP2Stream(mailbox: HTTP2Mailbox(), waiter: nil)

    // MARK: - The stream's side: sending

    /// Begins to serve a client's request, which is returned, once; `parker` is the one to wake.
    package func begin(_ parker: Parker) -> RequestHeader {
        let request = mail.withLock { (mail: inout Mail) -> RequestHeader? in
            mail.waiter = parker
            return mail.request.take()
        }
        return request ?? RequestHeader()
    }

    /// Body bytes posted that the connection has not put on its way.
    package var pendingByteCount: Int { outboundCount.load(ordering: .relaxed) }

    /// Leaves what has been gathered, and tells the connection; whether there is room for more.
    ///
    /// The waiter is woken when there is again.
    ///
    /// - Parameters:
    ///   - outgoing: what to say; empty afterwards.
    ///   - consumed: bytes of the peer's body that have been read since the last time.
    /// - Returns: whether little enough waits to add more.
    package func post(_ outgoing: inout HTTP2Outgoing, consumed: Int = 0) -> Bool {
        if outgoing.isEmpty, consumed == 0, pendingByteCount < Self.highWaterMark { return true }
        let (mustPost, hasRoom) = mail.withLock { (mail: inout Mail) -> (Bool, Bool) in
            mail.letter.consumedByteCount += consumed
            let count = outgoing.body.byteCount
            if count > 0 {
                mail.letter.queuedByteCount += count
                outgoing.moveBody(to: &mail.outbound)
                outboundCount.store(mail.outbound.byteCount, ordering: .relaxed)
            }
            mail.letter.outgoing.append(allOf: &outgoing)
            let hasRoom = mail.outbound.byteCount < Self.highWaterMark
            mail.isWaitingForRoom = !hasRoom
            defer { mail.isPosted = true }
            return (!mail.isPosted, hasRoom)
        }
        if mustPost { deliverPost() }
        return hasRoom
    }

    private func deliverPost() {
        if !mailbox.post(self) { fail(.connection(.connectionHasEnded(retry: .decided(true)))) }
    }

    private func post(_ change: (inout Letter) -> Void) {
        let mustPost = mail.withLock { (mail: inout Mail) in
            change(&mail.letter)
            defer { mail.isPosted = true }
            return !mail.isPosted
        }
        if mustPost { deliverPost() }
    }

    /// Takes back the final head, if the connection has not seen it; whether it could.
    package func withdrawHead() -> Bool {
        mail.withLock { (mail: inout Mail) in
            defer { mail.letter.outgoing.response = nil }
            return mail.letter.outgoing.response != nil
        }
    }

    /// Ends the stream at once: what was not sent is dropped.
    package func reset(_ code: HTTP2.ErrorCode) {
        post { if $0.reset == nil { $0.reset = code } }
    }

    /// The stream's task has ended and will not look again.
    ///
    /// - Parameter consumed: bytes of the peer's body that have been read since the last time: the connection needs their credit.
    package func detach(consumed: Int) {
        let mustPost = mail.withLock { (mail: inout Mail) in
            mail.waiter = nil
            mail.letter.isDetached = true
            mail.letter.consumedByteCount += consumed + mail.inbound.byteCount
            mail.inbound.removeAll()
            defer { mail.isPosted = true }
            return !mail.isPosted
        }
        if mustPost { deliverPost() }
    }

    // MARK: - The stream's side: receiving

    /// The next response head, if one has come.
    func takeResponse() -> ResponseHeader? {
        guard hasMail.load(ordering: .acquiring) else { return nil }
        return mail.withLock { (mail: inout Mail) in
            let next = mail.response.take()
            if !mail.laterResponses.isEmpty { mail.response = mail.laterResponses.removeFirst() }
            noteTaken(mail)
            return next
        }
    }

    /// The next bytes of the body or its end, if they have come; nil when nothing has, or the stream has failed.
    ///
    /// What was read is credit for the peer, to be returned by ``post(_:consumed:)``.
    package func takeBody() -> BodyEvent? {
        guard hasMail.load(ordering: .acquiring) else { return nil }
        return mail.withLock { (mail: inout Mail) -> BodyEvent? in
            if let bytes = mail.inbound.popFirst() {
                noteTaken(mail)
                return .chunk(bytes)
            }
            guard mail.isInboundEnded else { return nil }
            return .end(trailers: mail.inboundTrailers)
        }
    }

    private func noteTaken(_ mail: borrowing Mail) {
        let isEmpty = mail.response == nil && mail.inbound.isEmpty && !mail.isInboundEnded
        if isEmpty { hasMail.store(false, ordering: .relaxed) }
    }

    /// Whether the peer's message is complete and has been read.
    package var isInboundRead: Bool { mail.withLock { $0.isInboundEnded && $0.inbound.isEmpty } }
    /// Whether the peer's message has come whole.
    package var isInboundComplete: Bool { mail.withLock { $0.isInboundEnded } }
    /// Whether something has come that nobody has read, or the stream has failed.
    package var hasNews: Bool { hasMail.load(ordering: .relaxed) || hasFailed.load(ordering: .relaxed) }
    /// Why the stream has ended early; nil while it goes on or when it ended well.
    package var failure: Failure? {
        hasFailed.load(ordering: .acquiring) ? mail.withLock { $0.failure } : nil
    }

    // MARK: - The connection's side

    /// Lets go of all that is left of a stream which is over, such as its trailers, once nobody else has the object any more.
    func clear() {
        var empty = Mail(request: nil, isInboundEnded: false, waiter: nil)
        mail.withLock { swap(&$0, &empty) }
        number.store(0, ordering: .relaxed)
        outboundCount.store(0, ordering: .relaxed)
        hasMail.store(false, ordering: .relaxed)
        hasFailed.store(false, ordering: .relaxed)
    }

    /// Makes an object that has been cleared another stream of the same connection; see `init`.
    func renew(waiter: Parker?, request: consuming RequestHeader? = nil, isInboundEnded: Bool = false) {
        mail.withLock { (mail: inout Mail) in
            mail.waiter = waiter
            mail.request = request
            mail.isInboundEnded = isInboundEnded
        }
        hasMail.store(isInboundEnded, ordering: .relaxed)
    }

    /// The stream's number, once it has one; 0 before.
    var id: HTTP2.StreamID { number.load(ordering: .relaxed) }
    /// Whether the connection knows the stream.
    var isKnown: Bool { isOpen.load(ordering: .relaxed) }

    func opened(as id: HTTP2.StreamID) {
        number.store(id, ordering: .relaxed)
        isOpen.store(true, ordering: .relaxed)
    }

    func closed() {
        isOpen.store(false, ordering: .relaxed)
    }

    /// What the stream wants; it may post again from now on.
    func takeLetter() -> Letter {
        var letter = Letter()
        mail.withLock { (mail: inout Mail) in
            mail.isPosted = false
            swap(&mail.letter, &letter)
        }
        return letter
    }

    /// Hands over the next `count` body bytes in pieces, and wakes a task that waits for room.
    func takeOutbound(_ count: Int, _ body: (Bytes) -> Void) {
        var left = count
        while left > 0 {
            let (piece, waiter) = mail.withLock { (mail: inout Mail) -> (Bytes?, Parker?) in
                let piece = mail.outbound.popFirst(upTo: left)
                outboundCount.store(mail.outbound.byteCount, ordering: .relaxed)
                guard mail.isWaitingForRoom, mail.outbound.byteCount < Self.highWaterMark else { return (piece, nil) }
                mail.isWaitingForRoom = false
                return (piece, mail.waiter)
            }
            waiter?.unpark()
            guard let piece else { return }
            body(piece)
            left -= piece.count
        }
    }

    /// Leaves a response head; false when there are too many that nobody has taken.
    func deliver(response: ResponseHeader, endStream: Bool) -> Bool {
        var hasRoom = false
        deliver { (mail: inout Mail) in
            hasRoom = mail.laterResponses.count < Self.maximumHeads
            if mail.response == nil {
                mail.response = response
            } else if hasRoom {
                mail.laterResponses.append(response)
            }
            if endStream { mail.isInboundEnded = true }
        }
        return hasRoom
    }

    func deliver(body bytes: Bytes) {
        deliver { $0.inbound.append(bytes) }
    }

    func deliverEnd(trailers: HeaderMap?) {
        deliver { (mail: inout Mail) in
            mail.isInboundEnded = true
            mail.inboundTrailers = trailers
        }
    }

    /// Ends the stream early; the first reason counts.
    func fail(_ failure: Failure) {
        deliver { (mail: inout Mail) in
            if mail.failure == nil { mail.failure = failure }
            hasFailed.store(true, ordering: .releasing)
            mail.outbound.removeAll()
            outboundCount.store(0, ordering: .relaxed)
        }
    }

    private func deliver(_ change: (inout Mail) -> Void) {
        let waiter = mail.withLock { (mail: inout Mail) -> Parker? in
            change(&mail)
            hasMail.store(true, ordering: .releasing)
            return mail.waiter
        }
        waiter?.unpark()
    }
}

extension PingoraError {
    /// The connection has ended, and nothing was wrong with it.
    static func connectionHasEnded(retry: Retry) -> PingoraError {
        PingoraError(.connectionClosed, source: .upstream, retry: retry, context: "the HTTP/2 connection has ended")
    }
}
