/// Makes TLS connections of those that are opened to upstreams.
///
/// Each worker has OpenSSL objects of its own per set of trusted files; sessions to be resumed are shared. The files are read when the
/// first connection needs them.
package final class TLSConnector: Sendable {
    private struct Place: Hashable {
        var worker: Int
        var key: TLSClientOptions.ContextKey
    }

    private let contexts = Lock<[Place: TLSClientContext]>([:])
    private let sessions = TLSClientSessions()
    /// Beyond this, contexts of others are forgotten: they are made again when they are needed.
    private static let contextLimit = 256

    package init() {}

    /// Goes through the client's side of a handshake on `stream`, which is attached to the calling task's parker.
    ///
    /// - Parameters:
    ///   - stream: a connection to the upstream, which the result takes over.
    ///   - options: what is asked for and trusted.
    ///   - protocols: what is offered by ALPN, most wanted first; none offers nothing.
    ///   - deadline: when to give up.
    ///   - isAbandoned: asked at each wake-up whether the connection is still wanted.
    /// - Returns: the encrypted stream; its ``ByteStream/tls`` says what was agreed on.
    /// - Throws: ``TransportError`` with the operation `tls`; `stream` is then closed.
    package func connect(
        over stream: any ByteStream,
        options: TLSClientOptions,
        protocols: [ApplicationProtocol],
        deadline: Deadline,
        isAbandoned: () -> Bool = { false }
    ) async throws(TransportError) -> any ByteStream {
        do throws(TransportError) {
            let key = TLSClientSessions.Key(options: options, address: stream.peerAddress, protocols: protocols)
            let engine = try context(for: options.contextKey).makeEngine(key, sessions: sessions)
            let encrypted = TLSStream(over: stream, engine: engine)
            try await encrypted.shakeHands(
                until: deadline,
                isWantedUntil: { isAbandoned() ? Deadline(nanoseconds: 0) : .never },
                chooseCertificate: { _ in nil },
                complete: { _ in nil }
            )
            return encrypted
        } catch {
            stream.close(reset: false)
            throw error
        }
    }

    private func context(for key: TLSClientOptions.ContextKey) throws(TransportError) -> TLSClientContext {
        let place = Place(worker: ThreadContext.currentIndex ?? 0, key: key)
        if let known = contexts.withLock({ $0[place] }) { return known }
        do throws(TLSConfigurationError) {
            let made = try TLSClientContext(key)
            contexts.withLock { (contexts: inout [Place: TLSClientContext]) in
                if contexts.count >= Self.contextLimit, let other = contexts.keys.first { contexts[other] = nil }
                contexts[place] = made
            }
            return made
        } catch {
            throw .tls(.configuration, error.description)
        }
    }
}
