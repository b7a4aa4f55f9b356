package import AsyncConnectors
package import AsyncTransport
package import HTTPCodecs

/// A client's side of one exchange, whatever its protocol version.
///
/// Nothing here waits; see ``BodyEvent``.
package protocol DownstreamSession: AnyObject {
    var request: RequestHeader { get set }
    /// Whether there is one: not when what came could not be read.
    var hasRequest: Bool { get }
    var parker: Parker { get }
    var options: HttpServerOptions { get set }
    /// The options, with what is made of them.
    var shared: SharedServerOptions { get }
    var clientAddress: SocketAddress? { get }
    var serverAddress: SocketAddress? { get }
    /// What was agreed on in the client's TLS handshake; nil in the clear.
    var tls: TLSDigest? { get }

    /// Reads on in the request body.
    func pollRequestBody() throws(PingoraError) -> BodyEvent
    /// Whether the whole request has been read.
    var isRequestBodyComplete: Bool { get }
    /// Whether ``pollRequestBody()`` goes on without reading: what it returns next is there already.
    var hasInput: Bool { get }
    /// The request's method as it came.
    var requestMethod: RequestHeader.MethodKind { get }
    /// How the body is framed; `.none` when there is none.
    var requestFraming: HTTP1.BodyFraming { get }
    /// Whether the client wants `100 Continue` before it sends its body, and has not got it.
    var awaitsContinue: Bool { get }

    /// Queues a response head and settles how its body is framed. Informational heads may come before the final one.
    func queueHead(_ response: inout ResponseHeader) throws(PingoraError)
    func queueBody(_ bytes: Bytes) throws(PingoraError)
    func finishBody(trailers: HeaderMap?) throws(PingoraError)
    /// Whether little enough is queued to add more.
    var canQueue: Bool { get }
    /// Whether what is queued keeps a read buffer of the upstream's session: until it has gone, no other is to be filled for it.
    var holdsBuffer: Bool { get }
    /// Bytes queued and not yet taken by the client.
    var pendingByteCount: Int { get }
    /// Writes what the client takes; true when nothing is left.
    func flush() throws(PingoraError) -> Bool
    /// Lets a head leave that ``flush()`` holds back for the first bytes of its body; false when there is none.
    func letHeadGo() -> Bool
    /// Tells the client of a tunnel that the other side has nothing more to say.
    func closeWrite()

    /// Lends the request's head, which `body` must not ask the session for: to copy it counts references.
    func withRequest(_ body: (borrowing RequestHeader) -> Void)

    /// The status of the final head that was queued; nil before.
    var responseStatus: Int? { get }
    /// Whether the final head and all of its body have been queued.
    var isResponseComplete: Bool { get }
    /// Whether the client has closed its side.
    var isHungUp: Bool { get }
    /// Whether the connection may carry another exchange after this one. Can be turned off, not on.
    var keepsAlive: Bool { get set }
    /// Body bytes received and queued, without framing.
    var bodyBytesReceived: UInt64 { get }
    var bodyBytesSent: UInt64 { get }
    /// Takes back a final head that has not left yet, so that another answer can be given.
    func withdrawHead()
    /// Gives up on the exchange: what was sent must not look complete.
    func abort()
}

extension DownstreamSession {
    /// The options' durations, ready for use.
    package var timeouts: ServerTimeouts { shared.timeouts }
    package var hasRequest: Bool { true }
    package var holdsBuffer: Bool { false }
    package var hasInput: Bool { false }
    package func letHeadGo() -> Bool { false }
}
