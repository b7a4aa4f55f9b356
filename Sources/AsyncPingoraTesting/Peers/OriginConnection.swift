internal import AsyncTransport

/// A connection that a ``ScriptedOrigin`` has accepted: what its script reads from and writes to.
public final class OriginConnection: RawConnection {
    /// The how-manieth connection of its origin this is, counted from 0.
    public let index: Int
    /// The origin that has accepted it.
    public let origin: ScriptedOrigin

    init(stream: any ByteStream, index: Int, origin: ScriptedOrigin) {
        self.index = index
        self.origin = origin
        super.init(stream: stream)
    }

    /// Receives the next request with its body; nil when the peer ends the stream first.
    ///
    /// - Throws: ``TestPeerError`` when the stream ends within the request; `TransportError`.
    public func nextRequest() async throws -> RawMessage? {
        guard var message = try await nextRequestHead() else { return nil }
        try await receiveBody(of: &message, asResponseTo: nil)
        return message
    }

    /// Receives the next request's head and leaves the body unread; nil when the peer ends the stream first.
    ///
    /// - Throws: ``TestPeerError`` when the stream ends within the head; `TransportError`.
    public func nextRequestHead() async throws -> RawMessage? {
        guard let message = try await receiveHeadIfAny() else { return nil }
        origin.note(request: message)
        return message
    }

    /// Receives the next request with its body.
    ///
    /// - Throws: ``TestPeerError`` when the stream ends first; `TransportError`.
    public func expectRequest() async throws -> RawMessage {
        guard let request = try await nextRequest() else {
            throw TestPeerError("expected a request, but the stream ended")
        }
        return request
    }

    /// Reads the rest of a request whose head ``nextRequestHead()`` returned; returns it with its body.
    ///
    /// - Throws: ``TestPeerError`` when the stream ends first; `TransportError`.
    public func receiveBody(of request: RawMessage) async throws -> RawMessage {
        var request = request
        try await receiveBody(of: &request, asResponseTo: nil)
        return request
    }

    /// Does nothing until the peer closes the connection or the origin's scope ends.
    public func stall() async throws {
        timeout = .seconds(3_600)
        try await awaitClose()
    }
}
