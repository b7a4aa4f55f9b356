import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

/// A client's and a server's end of one TLS connection in memory, after their handshakes.
struct TLSPair {
    let client: any ByteStream
    let server: any ByteStream
    /// The stream under the client's.
    let clientWire: MemoryStream
    let serverWire: MemoryStream
}

/// How one side's handshake ended.
enum Side {
    case client(Result<Handover<any ByteStream>, TransportError>)
    case server(Result<Handover<any ByteStream>, TransportError>)
}

/// Shakes hands over memory in two child tasks; both results.
func shakeHands(
    _ acceptor: TLSAcceptor,
    _ connector: TLSConnector,
    _ options: TLSClientOptions,
    protocols: [ApplicationProtocol] = [.http11],
    capacity: Int = 65_536,
    address: String = "127.0.0.1",
    wrap: @escaping @Sendable (MemoryStream) -> any ByteStream = { $0 }
) async throws -> (client: Result<TLSPair, TransportError>, server: TransportError?) {
    let peer = try #require(SocketAddress(host: address, port: 443))
    let (near, far) = MemoryStream.makePair(capacity: capacity, addresses: (nil, peer))
    return try await withThrowingTaskGroup(of: Side.self) { group in
        group.addTask {
            await withParker { parker in
                near.attach(to: parker)
                do throws(TransportError) {
                    let stream = try await connector.connect(
                        over: wrap(near),
                        options: options,
                        protocols: protocols,
                        deadline: .after(patience)
                    )
                    return .client(.success(Handover(stream)))
                } catch {
                    return .client(.failure(error))
                }
            }
        }
        group.addTask {
            await withParker { parker in
                far.attach(to: parker)
                do throws(TransportError) {
                    return .server(.success(Handover(try await acceptor.accept(far))))
                } catch {
                    return .server(.failure(error))
                }
            }
        }
        var client: Result<Handover<any ByteStream>, TransportError>?
        var server: Result<Handover<any ByteStream>, TransportError>?
        for try await side in group {
            switch side {
            case .client(let result): client = result
            case .server(let result): server = result
            }
        }
        switch (try #require(client), try #require(server)) {
        case (.success(let client), .success(let server)):
            return (
                .success(TLSPair(client: client.value, server: server.value, clientWire: near, serverWire: far)), nil
            )
        case (.failure(let error), .success): return (.failure(error), nil)
        case (.success(let client), .failure(let error)):
            // The client may learn of it only when it reads.
            return (.failure(await failure(of: client.value)), error)
        case (.failure(let error), .failure(let other)): return (.failure(error), other)
        }
    }
}

private func failure(of stream: any ByteStream) async -> TransportError {
    await withParker { parker in
        stream.attach(to: parker)
        do throws(TransportError) {
            let buffer = IOBuffer()
            _ = try await stream.read(into: buffer, deadline: .after(patience))
            return TransportError(.read, errno: 0, detail: "no error")
        } catch {
            return error
        }
    }
}

extension TLSServerSettings {
    init(_ certificates: TestAuthority.Certificate...) {
        self.init(
            certificates: certificates.map { TLSCertificateSource(chainFile: $0.chainFile, keyFile: $0.keyFile) }
        )
    }
}

extension TLSClientOptions {
    /// Options that trust `authority` alone.
    init(serverName: String?, trusting authority: TestAuthority) {
        self.init(serverName: serverName)
        authorityFiles = [authority.authorityFile]
    }
}

extension ByteStream {
    /// Reads once, lets pass what is not data; nil at the end.
    func tryReadText() throws(TransportError) -> String? {
        let buffer = IOBuffer()
        guard case .moved = try tryRead(into: buffer, limit: buffer.freeCapacity) else { return nil }
        return Bytes(of: buffer, 0..<buffer.count).description
    }
}

/// Writes all of `bytes` into one stream and reads as many from the other, in one task.
func transfer(
    _ bytes: Bytes,
    from sender: any ByteStream,
    to receiver: any ByteStream
) async throws -> [UInt8] {
    try await withParker { parker in
        sender.attach(to: parker)
        receiver.attach(to: parker)
        var queue = OutputQueue()
        queue.append(bytes)
        var received: [UInt8] = []
        let deadline = Deadline.after(patience)
        while received.count < bytes.count || !queue.isEmpty {
            _ = try sender.tryWrite(&queue)
            let buffer = IOBuffer()
            if case .moved = try receiver.tryRead(into: buffer, limit: buffer.freeCapacity) {
                received += Array(Bytes(of: buffer, 0..<buffer.count))
            } else if !queue.isEmpty || received.count < bytes.count {
                try parker.check(.read, deadline: deadline)
                await parker.park(until: deadline)
            }
        }
        return received
    }
}

/// What `body` throws; nil when it does not, or throws something else.
func failure(of body: () async throws -> Void) async -> TransportError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? TransportError
    }
}
