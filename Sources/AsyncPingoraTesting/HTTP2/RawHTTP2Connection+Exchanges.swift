public import AsyncTransport
public import HTTPCodecs
internal import HTTPTypes

extension RawHTTP2Connection {
    // MARK: - As a client

    /// Connects to `address` in the clear, to speak HTTP/2 with prior knowledge.
    ///
    /// - Parameters:
    ///   - address: Where the server listens.
    ///   - settings: What the server is told; a small window lets it send little.
    ///   - options: Options of the socket.
    /// - Returns: The client, which has sent nothing yet.
    /// - Throws: `TransportError`.
    public static func connect(
        to address: SocketAddress,
        settings: HTTP2.Settings = HTTP2.Settings(),
        options: SocketOptions = SocketOptions()
    ) async throws -> RawHTTP2Connection {
        let client = try await RawClient.connect(to: address, options: options)
        return RawHTTP2Connection(on: client, role: .client, settings: settings)
    }

    /// Sends a request's head, and its body if it is all there.
    ///
    /// - Parameters:
    ///   - method: The method.
    ///   - target: The target.
    ///   - fields: The fields, written as `name: value`; without a `host`, `a.example` is asked.
    ///   - body: The body; nil lets ``send(_:on:end:trailers:)`` follow.
    /// - Returns: The stream.
    /// - Throws: `HTTP2.SubmissionError`; `TransportError` when the peer has gone.
    public func request(
        _ method: String,
        _ target: String,
        _ fields: [String] = [],
        body: [UInt8]? = []
    ) async throws -> HTTP2.StreamID {
        guard let name = HTTPRequest.Method(method) else { throw TestPeerError("no method: \(method)") }
        var head = try RequestHeader(method: name, target: target)
        head.headers = try HeaderMap(lines: fields)
        if !head.headers.contains(.host) { try head.headers.set(.host, "a.example") }
        let id = try session.submitRequest(head, scheme: .http, endStream: body?.isEmpty == true)
        if let body, !body.isEmpty { try await send(body, on: id, end: true) } else { try await flush() }
        return id
    }

    /// Receives until the stream's message is complete or the stream is gone; returns what has come.
    ///
    /// - Throws: as ``pump(until:)`` does.
    @discardableResult
    public func finish(_ stream: HTTP2.StreamID) async throws -> Exchange {
        try await pump { $0.exchanges[stream]?.isOver == true }
        return exchanges[stream] ?? Exchange()
    }

    /// Receives until the stream's final head has come, or the stream is gone; returns what has come.
    ///
    /// - Throws: as ``pump(until:)`` does.
    @discardableResult
    public func head(of stream: HTTP2.StreamID) async throws -> Exchange {
        try await pump { $0.exchanges[stream].map { $0.isOver || $0.response != nil } ?? false }
        return exchanges[stream] ?? Exchange()
    }

    /// Sends a request without body and receives the whole answer.
    ///
    /// - Throws: as ``request(_:_:_:body:)`` and ``finish(_:)`` do.
    public func get(_ target: String = "/", _ fields: [String] = []) async throws -> Exchange {
        try await finish(try await request("GET", target, fields))
    }

    // MARK: - As a server

    /// Answers a stream.
    ///
    /// - Parameters:
    ///   - stream: The request's stream.
    ///   - status: The status; 1xx but 101 may come before another answer.
    ///   - fields: The fields, written as `name: value`.
    ///   - body: The body; nil lets ``send(_:on:end:trailers:)`` follow.
    /// - Throws: `HTTP2.SubmissionError`; `TransportError` when the peer has gone.
    public func respond(
        to stream: HTTP2.StreamID,
        _ status: Int = 200,
        _ fields: [String] = [],
        body: [UInt8]? = []
    ) async throws {
        var head = ResponseHeader(statusCode: status)
        head.headers = try HeaderMap(lines: fields)
        if head.isInformational, status != 101 {
            try session.submitInformational(stream, head)
            return try await flush()
        }
        try session.submitResponse(stream, head, endStream: body?.isEmpty == true)
        if let body, !body.isEmpty { try await send(body, on: stream, end: true) } else { try await flush() }
    }

    /// Answers every request, once it has come whole, with 200 and `body`, until the peer ends the connection.
    ///
    /// - Throws: as ``pump(until:)`` does.
    public func answerAll(_ body: String = "ok") async throws {
        var open: Set<HTTP2.StreamID> = []
        repeat {
            while waitingRequestCount > 0 { open.insert(try await nextRequest()) }
            for id in open where exchanges[id]?.isOver == true {
                open.remove(id)
                // One that the peer has reset wants no answer.
                if session.isOpen(id) { try await respond(to: id, body: Array(body.utf8)) }
            }
        } while try await pump()
    }

    // MARK: - Either

    /// Resets a stream.
    ///
    /// - Throws: `TransportError` when the peer has gone.
    public func reset(_ stream: HTTP2.StreamID, _ code: HTTP2.ErrorCode) async throws {
        session.reset(stream, code)
        try await flush()
    }

    /// Closes the connection.
    public func close() {
        connection.close()
    }
}
