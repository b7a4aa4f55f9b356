internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs

// One attempt on one connection: both directions at once, in one task.
//
// Nothing waits inside a step. Each round moves what can be moved: request bytes towards the upstream, the response towards the
// client; when neither direction can go on the task parks, and any of the two sockets, a deadline or cancellation wakes it. So
// callbacks of the two directions never run at the same time, and share the context by plain `inout`.

extension HttpProxy {
    func exchange(
        _ session: Session,
        lease: Connector.Lease,
        peer: HttpPeer,
        context: inout Proxy.Context
    ) async throws(PingoraError) {
        let upstream = lease.session
        noteTLS(session, upstream, peer: peer)
        let filters = ActiveFilters(session)
        var state = ExchangeState()
        if filters.seesUpstreamRequest {
            try await filterAndSendHead(session, lease: lease, peer: peer, context: &context)
        } else {
            try sendHead(session, upstream)
        }
        while true {
            var hasMoved = false
            while let event = try nextRequestEvent(session, upstream, &state) {
                hasMoved = true
                if filters.seesRequestBody {
                    try await filterAndForward(request: event, session, upstream, &state, &context)
                } else {
                    try forward(request: event, session, upstream, &state)
                }
            }
            try flushUpstream(upstream, state: &state)
            while let event = try nextResponseEvent(session, upstream, &state) {
                hasMoved = true
                if filters.sees(event) {
                    try await filterAndForward(response: event, session, upstream, &state, &context)
                } else {
                    try forward(response: event, session, upstream, &state)
                }
            }
            try flushDownstream(session, state: &state)
            if state.isFinished { break }
            if hasMoved || state.canGoOn || session.downstream.letHeadGo() { continue }
            let deadline = try state.beginWait(session, peer: peer)
            await session.downstream.parker.park(until: deadline)
            try state.endWait(session, upstream)
        }
        session.upstreamBodyBytesReceived = upstream.bodyBytesReceived
    }

    @inline(never)  // what it copies would otherwise stay in the exchange's frame
    private func noteTLS(_ session: Session, _ upstream: any UpstreamSession, peer: HttpPeer) {
        session.upstreamTLS = peer.tls == nil ? nil : upstream.tls
    }

    // MARK: - The request head

    @inline(never)  // docs/workarounds.md, 1
    private func sendHead(_ session: Session, _ upstream: any UpstreamSession) throws(PingoraError) {
        var request = HeadPool.takeRequest()
        try prepare(&request, for: session, upstream)
        try begin(request: &request, session, upstream)
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterAndSendHead(
        _ session: Session,
        lease: Connector.Lease,
        peer: HttpPeer,
        context: inout Proxy.Context
    ) async throws(PingoraError) {
        var request = HeadPool.takeRequest()
        do {
            try await proxy.connectedToUpstream(session, peer: peer, isReused: lease.isReused, context: &context)
            try prepare(&request, for: session, lease.session)
            try await proxy.upstreamRequestFilter(session, request: &request, context: &context)
        } catch {
            throw PingoraError(callback: error)
        }
        try begin(request: &request, session, lease.session)
    }

    @inline(never)  // docs/workarounds.md, 1
    private func prepare(
        _ request: inout RequestHeader,
        for session: Session,
        _ upstream: any UpstreamSession
    ) throws(PingoraError) {
        do throws(HTTP1.ParseError) {
            session.downstream.withRequest { request.copy(from: $0) }
            let clientVersion = request.version
            try UpstreamRequest.prepare(
                &request,
                framing: session.downstream.requestFraming,
                awaitsContinue: session.downstream.awaitsContinue,
                upgrades: upgrades,
                peer: session.upstreamPeer,
                upstreamVersion: upstream.version
            )
            session.webSocketNonce = WebSocketHandshake.convert(
                request: &request,
                client: clientVersion,
                upstream: upstream.version
            )
            session.trace?.inject(into: &request, upstreamVersion: upstream.version)
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), source: .downstream, context: "request head")
        }
    }

    @inline(never)  // docs/workarounds.md, 1
    private func begin(
        request: inout RequestHeader,
        _ session: Session,
        _ upstream: any UpstreamSession
    ) throws(PingoraError) {
        let framing = try UpstreamRequest.framing(of: &request, hasBody: session.downstream.requestFraming != .none)
        try upstream.begin(request, framing: framing)
        HeadPool.give(&request)
    }

    // MARK: - Towards the upstream

    /// The next piece of the request body, if the client has sent it and the upstream has room; nil otherwise.
    @inline(never)  // docs/workarounds.md, 1
    private func nextRequestEvent(
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState
    ) throws(PingoraError) -> BodyEvent? {
        // A piece that waits keeps its buffer: what has been read goes with it, but nothing more is read till then, so that a peer that
        // does not take what it is sent holds one buffer and not several.
        if state.isRequestDone { return nil }
        guard upstream.canQueueBody, !upstream.holdsBuffer || session.downstream.hasInput else {
            state.awaitsUpstreamRoom()
            return nil
        }
        let event =
            try state.isTunnel
            ? session.downstream.pollRequestBody() : session.pollRequestBody(from: &state.bodyCursor)
        if case .wouldBlock = event {
            state.isReadingClient = true
            return nil
        }
        state.clientHasSent()
        return event
    }

    @inline(never)  // docs/workarounds.md, 1
    private func forward(
        request event: BodyEvent,
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState
    ) throws(PingoraError) {
        switch event {
        case .wouldBlock:
            break
        case .chunk(let bytes):
            session.upstreamBodyBytesSent += UInt64(bytes.count)
            try upstream.queueBody(bytes)
        case .end(let trailers):
            state.isRequestDone = true
            if state.isTunnel {
                state.closesUpstreamWhenFlushed = true
            } else {
                try upstream.finishBody(trailers: trailers)
                // HTTP/2 has an end without a byte of its own: it must be flushed all the same.
                state.isUpstreamFlushed = false
            }
        }
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterAndForward(
        request event: BodyEvent,
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState,
        _ context: inout Proxy.Context
    ) async throws(PingoraError) {
        var body: Bytes?
        var endOfStream = true
        if case .chunk(let bytes) = event {
            body = bytes
            endOfStream = false
        }
        do {
            if !session.modules.isEmpty { try await session.modules.filterRequestBody(&body, endOfStream: endOfStream) }
            try await proxy.requestBodyFilter(session, body: &body, endOfStream: endOfStream, context: &context)
        } catch {
            throw PingoraError(callback: error)
        }
        if let body {
            session.upstreamBodyBytesSent += UInt64(body.count)
            try upstream.queueBody(body)
        }
        if endOfStream { try forward(request: event, session, upstream, &state) }
    }

    /// Writes what the upstream takes.
    ///
    /// If it takes nothing more, a response may still be on its way: only if none comes is the error thrown.
    @inline(never)  // docs/workarounds.md, 1
    private func flushUpstream(_ upstream: any UpstreamSession, state: inout ExchangeState) throws(PingoraError) {
        let hasWork = !state.isUpstreamFlushed || upstream.pendingByteCount > 0 || state.closesUpstreamWhenFlushed
        guard state.sendError == nil, hasWork else { return }
        do throws(PingoraError) {
            let before = upstream.pendingByteCount
            state.isUpstreamFlushed = try upstream.flush()
            if upstream.pendingByteCount < before { state.upstreamHasTaken() }
            if state.isUpstreamFlushed, state.closesUpstreamWhenFlushed {
                state.closesUpstreamWhenFlushed = false
                upstream.closeWrite()
            }
        } catch {
            state.sendError = error
            state.isRequestDone = true
            state.isUpstreamFlushed = true
        }
    }

    // MARK: - Towards the client

    /// The next piece of the response, if the upstream has sent it and the client has room; nil otherwise.
    @inline(never)  // docs/workarounds.md, 1
    private func nextResponseEvent(
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState
    ) throws(PingoraError) -> ResponseEvent? {
        do throws(PingoraError) {
            if state.isResponseDone { return nil }
            if !state.hasHead {
                guard try upstream.pollHead() else { return nil }
                state.upstreamHasSent()
                return .head
            }
            let client = session.downstream
            state.isWaitingForRoom = !client.canQueue || (client.holdsBuffer && !upstream.hasInput)
            if state.isWaitingForRoom { return nil }
            let event = try upstream.pollBody()
            if case .wouldBlock = event {
                // An HTTP/2 upstream may be late with the end of a body that has been announced and is there.
                return upstream.version == .http2 && client.isResponseComplete ? .body(.end(trailers: nil)) : nil
            }
            state.upstreamHasSent()
            return .body(event)
        } catch {
            throw error.source == .upstream ? state.sendError ?? error : error
        }
    }

    @inline(never)  // docs/workarounds.md, 1
    private func forward(
        response event: ResponseEvent,
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState
    ) throws(PingoraError) {
        switch event {
        case .head:
            var response = upstream.takeResponse()
            let status = response.statusCode
            try strip(&response, session, upstream)
            try send(&response, status: status, session, upstream, &state)
        case .body(.chunk(let bytes)):
            try session.downstream.queueBody(bytes)
        case .body(.end(let trailers)):
            state.isResponseDone = true
            if state.isTunnel {
                // The upstream has said its last; the client may go on.
                state.closesClientWhenFlushed = true
            } else {
                try session.downstream.finishBody(trailers: trailers)
            }
        case .body(.wouldBlock):
            break
        }
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterAndForward(
        response event: ResponseEvent,
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState,
        _ context: inout Proxy.Context
    ) async throws(PingoraError) {
        switch event {
        case .head:
            try await filterHead(session, upstream, &state, &context)
        case .body(.chunk(let bytes)):
            try await filterBody(bytes, endOfStream: false, session, &context)
        case .body(.end(let trailers)) where !state.isTunnel:
            state.isResponseDone = true
            try await filterEnd(trailers, session, &context)
        default:
            try forward(response: event, session, upstream, &state)
        }
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterHead(
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState,
        _ context: inout Proxy.Context
    ) async throws(PingoraError) {
        var response = upstream.takeResponse()
        let status = response.statusCode
        do {
            try await proxy.upstreamResponseFilter(session, response: &response, context: &context)
            try strip(&response, session, upstream)
            try await proxy.responseFilter(session, response: &response, context: &context)
            if !session.modules.isEmpty { try await session.modules.filterResponseHeader(&response) }
        } catch {
            throw PingoraError(callback: error)
        }
        try send(&response, status: status, session, upstream, &state)
    }

    /// Removes the fields of the upstream's connection; what framing and upgrade need is set again by the client's session.
    @inline(never)  // docs/workarounds.md, 1
    private func strip(
        _ response: inout ResponseHeader,
        _ session: Session,
        _ upstream: any UpstreamSession
    ) throws(PingoraError) {
        let upgrade = response.statusCode == 101 ? response.headers[.upgrade] : nil
        HopByHop.strip(response: &response.headers)
        if response.statusCode == 101 {
            response.headers.set(.connection, staticBytes: "Upgrade")
            // It came as a valid value, so it is one.
            if let upgrade { try? response.headers.set(.upgrade, upgrade) }
            try WebSocketHandshake.convert(
                response: &response,
                request: session.downstream.request,
                nonce: session.webSocketNonce,
                upstream: upstream.version
            )
        } else if !response.isInformational {
            announceBody(of: &response, session, upstream)
        }
    }

    /// Says how long the body is, where only the upstream's framing did.
    private func announceBody(of response: inout ResponseHeader, _ session: Session, _ upstream: any UpstreamSession) {
        switch upstream.responseFraming {
        case .tunnel:
            // What follows 2xx to CONNECT has no length (RFC 9110 9.3.6).
            response.headers.remove(.contentLength)
        case .chunked:
            response.headers.set(.transferEncoding, staticBytes: "chunked")
        case .none where upstream.version == .http2 && !response.headers.contains(.contentLength):
            // The end of the stream came with the head.
            let hasNoBody = session.request.methodKind == .head || [204, 304].contains(response.statusCode)
            if !hasNoBody { response.headers.set(.contentLength, staticBytes: "0") }
        default:
            break
        }
    }

    /// Sends on a head that the upstream gave the status `status`.
    @inline(never)  // docs/workarounds.md, 1
    private func send(
        _ response: inout ResponseHeader,
        status: Int,
        _ session: Session,
        _ upstream: any UpstreamSession,
        _ state: inout ExchangeState
    ) throws(PingoraError) {
        let isFinal = status >= 200 || upstream.isTunnel
        if isFinal {
            session.upstreamStatus = status
            session.timings.note(.upstreamHead)
        }
        try session.send(&response)
        HeadPool.give(&response)
        guard isFinal else { return }
        state.hasHead = true
        if upstream.isTunnel {
            state.isTunnel = true
            state.isRequestDone = false
        }
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterBody(
        _ bytes: Bytes?,
        endOfStream: Bool,
        _ session: Session,
        _ context: inout Proxy.Context
    ) async throws(PingoraError) {
        var body = bytes
        var delay: Duration?
        do {
            delay = try await proxy.upstreamResponseBodyFilter(
                session,
                body: &body,
                endOfStream: endOfStream,
                context: &context
            )
            let more = try await proxy.responseBodyFilter(
                session,
                body: &body,
                endOfStream: endOfStream,
                context: &context
            )
            if let more { delay = (delay ?? .zero) + more }
            if !session.modules.isEmpty {
                try await session.modules.filterResponseBody(&body, endOfStream: endOfStream)
            }
        } catch {
            throw PingoraError(callback: error)
        }
        if let body { try session.downstream.queueBody(body) }
        guard let delay else { return }
        _ = session.downstream.letHeadGo()
        try await session.flush()
        try await session.pause(for: delay)
    }

    @inline(never)  // a frame of its own: the exchange's stays as small as it is without filters
    private func filterEnd(
        _ trailers: HeaderMap?,
        _ session: Session,
        _ context: inout Proxy.Context
    ) async throws(PingoraError) {
        try await filterBody(nil, endOfStream: true, session, &context)
        var trailers = trailers
        do {
            if var map = trailers {
                try await proxy.upstreamResponseTrailerFilter(session, trailers: &map, context: &context)
                if let extra = try await proxy.responseTrailerFilter(session, trailers: &map, context: &context) {
                    try session.downstream.queueBody(extra)
                }
                trailers = map
            }
            try await session.endResponse(trailers: trailers)
        } catch {
            throw PingoraError(callback: error)
        }
    }

    @inline(never)  // docs/workarounds.md, 1
    private func flushDownstream(_ session: Session, state: inout ExchangeState) throws(PingoraError) {
        let before = session.downstream.pendingByteCount
        state.isFlushed = try session.downstream.flush()
        let after = session.downstream.pendingByteCount
        if after < before { state.clientHasTaken(before - after) }
        if state.isFlushed, state.closesClientWhenFlushed {
            state.closesClientWhenFlushed = false
            session.downstream.closeWrite()
        }
    }
}

/// The next piece of a response.
private enum ResponseEvent {
    /// A head, which may be informational.
    case head
    /// Of the body.
    case body(BodyEvent)
}

/// Which steps of an exchange somebody wants to see: the others need no asynchronous call.
private struct ActiveFilters {
    let seesUpstreamRequest: Bool
    let seesRequestBody: Bool
    private let seesResponseHead: Bool
    private let seesResponseBody: Bool

    init(_ session: Session) {
        let defaults = session.defaults
        let hasModules = !session.modules.isEmpty
        seesUpstreamRequest = !defaults.isSuperset(of: [.connectedToUpstream, .upstreamRequestFilter])
        seesRequestBody = hasModules || !defaults.contains(.requestBodyFilter)
        seesResponseHead = hasModules || !defaults.isSuperset(of: [.upstreamResponseFilter, .responseFilter])
        seesResponseBody = hasModules || !defaults.isSuperset(of: [.upstreamResponseBodyFilter, .responseBodyFilter])
    }

    func sees(_ event: ResponseEvent) -> Bool {
        switch event {
        case .head: seesResponseHead
        case .body(.end(trailers: .some)): true
        case .body: seesResponseBody
        }
    }
}
