public import AsyncTransport

/// A client that sends exactly the bytes it is given, over TCP or a Unix-domain socket, in the clear or encrypted.
///
///     let client = try await RawClient.connect(to: address)
///     try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
///     let response = try await client.receiveResponse()
///     #expect(response.status == 200)
public final class RawClient: RawConnection {
    /// Connects to `address`.
    ///
    /// - Parameters:
    ///   - address: where the server listens.
    ///   - options: socket options, such as a small receive buffer.
    ///   - tls: how the connection is encrypted; nil leaves it in the clear.
    ///   - timeout: how long this and each later operation may take.
    /// - Returns: the connected client.
    /// - Throws: `TransportError`; ``TestPeerError`` when the calling task is not on a worker.
    public static func connect(
        to address: SocketAddress,
        options: SocketOptions = SocketOptions(),
        tls: TLSClientOptions? = nil,
        timeout: Duration = .seconds(120)
    ) async throws -> RawClient {
        try requireWorker()
        let stream = try await withParker { parker in
            var stream: any ByteStream = try await SocketStream.connect(
                to: address,
                options: SocketStream.ConnectOptions(socket: options),
                deadline: .after(timeout),
                parker: parker
            )
            if let tls {
                stream = try await TLSConnector().connect(
                    over: stream,
                    options: tls,
                    protocols: [.http11],
                    deadline: .after(timeout)
                )
            }
            stream.attach(to: nil)
            return stream
        }
        let client = RawClient(stream: stream)
        client.timeout = timeout
        return client
    }

    /// Connects, runs `body` with the client, and closes whatever happens.
    ///
    /// - Throws: `TransportError` from connecting; else what `body` throws.
    public static func withConnection<Result>(
        to address: SocketAddress,
        options: SocketOptions = SocketOptions(),
        tls: TLSClientOptions? = nil,
        timeout: Duration = .seconds(120),
        _ body: nonisolated(nonsending) (RawClient) async throws -> Result
    ) async throws -> Result {
        let client = try await connect(to: address, options: options, tls: tls, timeout: timeout)
        defer { client.close() }
        return try await body(client)
    }

    /// Receives the final response to a request, body included.
    ///
    /// - Parameters:
    ///   - method: the request's method, for a response to HEAD has no body.
    ///   - skipsInformational: whether 1xx responses (but 101) are dropped; false returns the first as it is.
    /// - Returns: the response.
    /// - Throws: ``TestPeerError`` when the peer ends the stream first or sends broken chunks; `TransportError`.
    public func receiveResponse(to method: String = "GET", skipsInformational: Bool = true) async throws -> RawMessage {
        while true {
            guard var message = try await receiveHeadIfAny() else {
                throw TestPeerError("expected a response, but the stream ended")
            }
            guard let status = message.status else {
                throw TestPeerError("expected a status line, but got \(message.startLine.debugDescription)")
            }
            if skipsInformational, (100..<200).contains(status), status != 101 { continue }
            try await receiveBody(of: &message, asResponseTo: method)
            return message
        }
    }

    /// Sends a request and receives the final response to it.
    ///
    /// - Throws: as ``RawConnection/send(_:)-(String)`` and ``receiveResponse(to:skipsInformational:)`` do.
    public func exchange(_ request: String) async throws -> RawMessage {
        try await send(request)
        return try await receiveResponse(to: String(request.prefix { $0 != " " }))
    }

    /// This end's address; nil when the kernel does not tell.
    public var localAddress: SocketAddress? { isClosed ? nil : stream.localAddress }
}
