package import AsyncTransport
package import HTTPCodecs

/// An upstream's side of one exchange, whatever its protocol version: an HTTP/1.1 connection, or a stream of an HTTP/2 one.
///
/// Heads are in HTTP/1 shape in both cases. Nothing here waits: each method does what can be done and says whether there is more to
/// come; the session's parker is woken when that may have changed. Confined to the task that leased it.
package protocol UpstreamSession: AnyObject {
    /// The version it speaks.
    var version: HTTPVersion { get }

    // MARK: - Request

    /// Queues a request head.
    ///
    /// The body follows in `framing`, which the head must announce.
    func begin(_ request: borrowing RequestHeader, framing: HTTP1.BodyFraming) throws(PingoraError)
    /// Whether little enough is queued to add more.
    var canQueueBody: Bool { get }
    /// Whether what is queued keeps a read buffer of the client's session: until it has gone, no other is to be filled for it.
    var holdsBuffer: Bool { get }
    /// Bytes queued and not yet taken by the connection.
    var pendingByteCount: Int { get }
    /// Whether any byte of the request, as far as is known, has left: if not, another connection may try without harm.
    var hasSentBytes: Bool { get }
    /// Queues body bytes.
    ///
    /// - Throws: an internal error when they exceed what the head announced.
    func queueBody(_ bytes: Bytes) throws(PingoraError)
    /// Queues the end of the body.
    ///
    /// - Throws: an internal error when bytes that the head announced are missing.
    func finishBody(trailers: HeaderMap?) throws(PingoraError)
    /// Writes what the connection takes; true when nothing is left that must be waited for.
    func flush() throws(PingoraError) -> Bool
    /// Tells the upstream of a tunnel that the client has nothing more to say.
    func closeWrite()

    // MARK: - Response

    /// Reads on towards the next response head, informational ones included; true when ``takeResponse()`` has it.
    func pollHead() throws(PingoraError) -> Bool
    /// Hands over the head that ``pollHead()`` has completed.
    ///
    /// Once for each; ``HeadPool`` takes it back.
    func takeResponse() -> ResponseHeader
    /// How the body ends that follows the final head.
    var responseFraming: HTTP1.BodyFraming { get }
    /// Whether the final head has turned the exchange into a tunnel.
    var isTunnel: Bool { get }
    /// Reads on in the body.
    func pollBody() throws(PingoraError) -> BodyEvent
    /// Whether ``pollBody()`` goes on without reading: what it returns next is there already.
    var hasInput: Bool { get }
    /// Bytes of body received, without framing.
    var bodyBytesReceived: UInt64 { get }
    /// Whether something has arrived, or may have, that nobody has looked at.
    var mayBeReadable: Bool { get }

    /// This end's address; nil when unknown.
    var localAddress: SocketAddress? { get }
    /// What was agreed on in the TLS handshake; nil in the clear.
    var tls: TLSDigest? { get }
}

extension UpstreamSession {
    package var holdsBuffer: Bool { false }
    package var hasInput: Bool { false }
}
