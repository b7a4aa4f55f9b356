internal import CNGHTTP2

// SAFETY: as said of `Session`; frames that nghttp2 shows are read only during the callback.
extension HTTP2.Session {
    /// Takes bytes from the peer: all of them, in pieces as they come.
    ///
    /// May be called with no bytes, to fetch events that came up while sending.
    ///
    /// - Parameters:
    ///   - bytes: What has come.
    ///   - output: Where what has happened is appended, in order.
    /// - Throws: When the connection must end. What is queued, last a GOAWAY, should still be sent. Some faults are known only when
    ///   the GOAWAY is being sent, and their codes always: then ``failure`` is set, and ``isFinished`` becomes true.
    public func receive(_ bytes: RawSpan, events output: inout [Event]) throws(HTTP2.ConnectionError) {
        if let failure { throw failure }
        takeEvents(into: &output)
        // nghttp2 would count it as another piece of what it is reading.
        if bytes.byteCount == 0 { return }
        // Events go straight into the owner's array.
        swap(&output, &events)
        let result = unsafe bytes.withUnsafeBytes { buffer in
            unsafe inputStart = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe nghttp2_session_mem_recv(handle, inputStart, buffer.count)
        }
        unsafe inputStart = nil
        swap(&output, &events)
        if result < 0 { failToReceive(Int32(truncatingIfNeeded: result)) }
        if !budget.noteReceived(bytes.byteCount, settings) { fail(.enhanceYourCalm, "too many frames of no use") }
        if unsafe nghttp2_session_get_outbound_queue_size(handle) > settings.maximumQueuedFrames + streams.count * 2 {
            fail(.enhanceYourCalm, "too many frames to answer")
        }
        noticeTermination()
        if let failure { throw failure }
    }

    /// Takes the memory of a request head that is used no more, for one that will come.
    public func reuse(_ head: consuming RequestHeader) {
        reader.reuse(head)
    }

    /// Takes the memory of a response head that is used no more, for one that will come.
    public func reuse(_ head: consuming ResponseHeader) {
        reader.reuse(head)
    }

    /// Hands over what has happened while sending or submitting: streams that have been closed.
    ///
    /// - Parameter sink: Where events are appended; ``receive(_:events:)`` does the same with what is still here then.
    public func takeEvents(into sink: inout [Event]) {
        guard !events.isEmpty else { return }
        sink.append(contentsOf: events)
        events.removeAll(keepingCapacity: true)
    }

    /// Whether ``takeEvents(into:)`` has any.
    public var hasEvents: Bool { !events.isEmpty }

    /// Finds out whether nghttp2 has ended the connection, for which it has no word until the GOAWAY is sent.
    ///
    /// A client that may make no requests, though its server has not gone away, has found a fault; so it can ask elsewhere at once.
    private func noticeTermination() {
        guard role == .client, ending == .none, peerLastStreamID == nil else { return }
        guard unsafe nghttp2_session_check_request_allowed(handle) == 0 else { return }
        failure = HTTP2.ConnectionError(code: .protocolError, reason: Self.brokenProtocol)
    }

    private func failToReceive(_ result: Int32) {
        switch result {
        case NGHTTP2_ERR_FLOODED.rawValue: fail(.enhanceYourCalm, "too many frames to answer")
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: fail(.enhanceYourCalm, "too many continuations")
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: fail(.protocolError, "no client preface")
        default: fail(.internalError, "the connection cannot be read")
        }
    }

    // MARK: - What nghttp2 tells

    func didBeginHeaders(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        guard unsafe frame.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue) else { return 0 }
        let id = unsafe frame.pointee.hd.stream_id
        let kind: HTTP2.HeadReader.Kind =
            switch unsafe frame.pointee.headers.cat {
            case NGHTTP2_HCAT_REQUEST: .request
            case NGHTTP2_HCAT_RESPONSE: .response
            default: role == .client && !hasFlag(.hasFinalHead, id) ? .response : .trailers
            }
        reader.begin(kind, stream: id)
        return 0
    }

    func didReceiveField(
        _ name: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        isSensitive: Bool
    ) -> Int32 {
        let code = unsafe reader.add(name, value, isSensitive: isSensitive, limits: settings)
        guard let code else { return 0 }
        refuse(reader.streamID, code)
        // The rest of the fields is decoded, for the sake of the table, and not shown.
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
    }

    func didReceive(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        let hasEnded = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch nghttp2_frame_type(UInt32(header.type)) {
        case NGHTTP2_DATA:
            if hasEnded { events.append(.end(header.stream_id)) }
        case NGHTTP2_HEADERS:
            budget.noteUseful(header.length)
            didReceiveHead(header.stream_id, hasEnded: hasEnded)
        case NGHTTP2_RST_STREAM:
            guard let index = streams.index(of: header.stream_id) else { break }
            streams[index].flags.insert(.isResetByPeer)
            noteBadEnd()
        case NGHTTP2_SETTINGS where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0:
            events.append(.settingsChanged)
        case NGHTTP2_PING where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
            let opaque = unsafe withUnsafeBytes(of: frame.pointee.ping.opaque_data) { bytes in
                unsafe bytes.loadUnaligned(as: UInt64.self)
            }
            events.append(.pong(UInt64(bigEndian: opaque)))
        case NGHTTP2_GOAWAY:
            let goAway = unsafe frame.pointee.goaway
            let last = unsafe goAway.last_stream_id
            peerLastStreamID = last
            let code = unsafe HTTP2.ErrorCode(rawValue: goAway.error_code)
            events.append(.goAway(lastStreamID: last, code))
        default: break
        }
    }

    private func didReceiveHead(_ id: HTTP2.StreamID, hasEnded: Bool) {
        switch reader.kind {
        case .request:
            guard let request = reader.finishRequest() else { return refuse(id, .protocolError) }
            var state = HTTP2.StreamState(id: id)
            if request.isExtendedConnect { state.flags.insert(.isExtendedConnect) }
            if request.methodKind == .connect { state.flags.insert(.isConnect) }
            streams.insert(state, for: id)
            if !request.headers.mayContain(.priority) { shareFairly(id) }
            events.append(.request(id, request, endStream: hasEnded))
        case .response:
            if !reader.isInformational, let index = streams.index(of: id) { streams[index].flags.insert(.hasFinalHead) }
            let response = reader.finishResponse(switchesProtocols: hasFlag(.isExtendedConnect, id))
            events.append(.response(id, response, endStream: hasEnded))
        case .trailers:
            let trailers = reader.takeFields()
            events.append(trailers.isEmpty ? .end(id) : .trailers(id, trailers))
        }
    }

    /// Lets a stream share the connection with others of its urgency (RFC 9218 4.2), unless the client asks for one after another.
    private func shareFairly(_ id: HTTP2.StreamID) {
        var priority = nghttp2_extpri(urgency: UInt32(NGHTTP2_EXTPRI_DEFAULT_URGENCY), inc: 1)
        unsafe nghttp2_session_change_extpri_stream_priority(handle, id, &priority, 0)
    }

    func didReceiveInvalidFrame() {
        // nghttp2 resets the stream or ends the connection; the former must not go on for ever (CVE-2025-8671).
        noteBadEnd()
    }

    func didReceiveData(_ id: HTTP2.StreamID, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard let start = unsafe inputStart else { return }
        // With its frame's header: who types into a tunnel byte by byte does no harm.
        budget.noteUseful(count + 9)
        events.append(.data(id, offset: unsafe bytes - start, count: count))
    }

    func didClose(_ id: HTTP2.StreamID, _ code: HTTP2.ErrorCode) {
        // What was malformed from the start has not been shown.
        guard let state = streams.remove(id) else { return }
        if !pendingTrailers.isEmpty { pendingTrailers[id] = nil }
        if code == .noError, !state.flags.contains(.isResetByPeer) { budget.noteGoodEnd(settings) }
        let isLeftOut = role == .client && code == .refusedStream && id > peerLastStreamID ?? .max
        events.append(.closed(id, code, byPeer: state.flags.contains(.isResetByPeer) || isLeftOut))
    }

    // MARK: - Refusing

    private func refuse(_ id: HTTP2.StreamID, _ code: HTTP2.ErrorCode) {
        unsafe nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code.rawValue)
        noteBadEnd()
    }

    private func noteBadEnd() {
        // A client has asked for what it gets.
        guard role == .server, !budget.noteBadEnd() else { return }
        fail(.enhanceYourCalm, "too many streams reset")
    }

    func hasFlag(_ flag: HTTP2.StreamFlags, _ id: HTTP2.StreamID) -> Bool {
        streams.index(of: id).map { streams[$0].flags.contains(flag) } ?? false
    }
}
