internal import AsyncTransport

// New connections: opened one by one for HTTP/1.1, shared by those who wait for HTTP/2.

extension Connector {
    /// Makes an HTTP/2 connection, or waits for one that is being made; nil when the server chose HTTP/1.1 for somebody else.
    func connectHTTP2(
        _ peer: any Peer,
        pool: ConnectionPool,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(PingoraError) -> Lease? {
        let worker = (ThreadContext.currentIndex ?? 0) % workerCount
        while true {
            if let lease = leaseStream(in: pool, worker: worker, parker: parker) { return lease }
            switch pool.http2.join(limit: peer.options.maximumH2Streams) {
            case .looksAgain: continue
            case .dials(let dial):
                return try await self.dial(dial, peer, pool: pool, parker: parker, isAbandoned: isAbandoned)
            case .waits(let dial):
                switch try await outcome(of: dial, peer, parker: parker, isAbandoned: isAbandoned) {
                case .settled: continue
                case .http1: return nil
                case .failed(let error): throw error
                }
            }
        }
    }

    private func dial(
        _ dial: HTTP2Front.Dial,
        _ peer: any Peer,
        pool: ConnectionPool,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(PingoraError) -> Lease? {
        do throws(PingoraError) {
            let stream = try await open(peer, offersHTTP2: true, parker: parker, isAbandoned: isAbandoned)
            pool.noteCreated()
            guard peer.speaksHTTP2(on: stream) else {
                guard peer.options.httpVersions == .negotiated else {
                    stream.close(reset: false)
                    throw PingoraError(.invalidH2, source: .upstream, context: "the server did not choose HTTP/2")
                }
                pool.http2.finish(dial, .http1)
                let session = HTTP1ClientSession(stream: stream, peer: peer)
                return Lease(carrier: .http1(session), pool: pool, isReused: false)
            }
            let connection = HTTP2ClientConnection(stream: stream, peer: peer)
            let reservation = connection.reserve()
            pool.http2.add(connection, by: dial)
            start(connection, of: pool)
            guard let reservation else {
                throw PingoraError(.internalError, context: "a new HTTP/2 connection has no room")
            }
            let session = HTTP2ClientSession(reservation, parker: parker)
            return Lease(carrier: .http2(session), pool: pool, isReused: false)
        } catch {
            // That this request is given up says nothing of the peer: one of those that wait dials in its place.
            pool.http2.finish(dial, error.kind == .cancelled ? .settled : .failed(error))
            throw error
        }
    }

    private func outcome(
        of dial: HTTP2Front.Dial,
        _ peer: any Peer,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(PingoraError) -> HTTP2Front.Dial.Outcome {
        let deadline = Deadline.after(peer.options.connectionTimeout)
        dial.add(parker)
        while true {
            if let outcome = dial.outcome { return outcome }
            await parker.park(until: deadline)
            if parker.isCancelled || isAbandoned() { throw PingoraError(.cancelled, source: .upstream) }
            if deadline.hasPassed, dial.outcome == nil {
                throw PingoraError(.connectTimedOut, source: .upstream, context: "waiting for an HTTP/2 connection")
            }
        }
    }

    /// Makes the bytes' way to `peer`: a socket, and what is stacked on it.
    ///
    /// - Parameters:
    ///   - peer: where to connect, and how.
    ///   - offersHTTP2: whether the peer may choose HTTP/2 by ALPN.
    ///   - parker: what to wake when the connection has news.
    ///   - isAbandoned: asked at each wake-up whether the connection is still wanted.
    /// - Returns: the stream, attached to `parker`.
    /// - Throws: ``PingoraError`` with source upstream.
    func open(
        _ peer: any Peer,
        offersHTTP2: Bool,
        parker: Parker,
        isAbandoned: () -> Bool
    ) async throws(PingoraError) -> any ByteStream {
        let end = Deadline.after(peer.options.totalConnectionTimeout)
        do throws(TransportError) {
            let socket = try await SocketStream.connect(
                to: peer.address,
                options: SocketStream.ConnectOptions(
                    socket: peer.options.socket,
                    source: peer.options.source,
                    usesFastOpen: peer.options.usesFastOpen
                ),
                deadline: min(.after(peer.options.connectionTimeout), end),
                parker: parker,
                isAbandoned: isAbandoned
            )
            guard let tls = peer.tls else { return socket }
            return try await tlsConnector.connect(
                over: socket,
                options: tls,
                protocols: peer.offeredProtocols(offersHTTP2: offersHTTP2),
                deadline: min(.after(peer.options.tlsHandshakeTimeout), end),
                isAbandoned: isAbandoned
            )
        } catch {
            throw PingoraError(error, source: .upstream)
        }
    }
}

extension Peer {
    /// Whether HTTP/2 may come of a connection to this peer.
    var canSpeakHTTP2: Bool {
        switch options.httpVersions {
        case .http1: false
        case .http2: true
        case .negotiated: tls != nil
        }
    }

    /// Whether HTTP/2 has come of this connection: by ALPN over TLS, by prior knowledge without.
    func speaksHTTP2(on stream: any ByteStream) -> Bool {
        guard tls != nil else { return options.httpVersions == .http2 }
        return stream.tls?.applicationProtocol == .http2
    }

    /// What is offered by ALPN, most wanted first.
    func offeredProtocols(offersHTTP2: Bool) -> [ApplicationProtocol] {
        switch options.httpVersions {
        case .http2: [.http2]
        case .negotiated where offersHTTP2: [.http2, .http11]
        case .negotiated, .http1: [.http11]
        }
    }
}
