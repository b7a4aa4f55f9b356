internal import CNGHTTP2

// SAFETY: as said of `Session`; what nghttp2 hands out to be sent lasts until it is called again.
extension HTTP2.Session {
    /// Writes what is to be sent, in order, until about `limit` bytes have been written or there is no more.
    ///
    /// - Parameters:
    ///   - limit: Frames are whole, so up to one frame more may be written.
    ///   - sink: What takes the bytes.
    public func produce(limit: Int, into sink: inout some HTTP2OutputSink) {
        room = limit
        while room > 0 {
            var chunk: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(handle, &chunk)
            let hasFrames = !frames.isEmpty
            if hasFrames { emitFrames(into: &sink) }
            if count < 0 { fail(.internalError, "the connection cannot be written") }
            guard count > 0, let chunk = unsafe chunk else { break }
            unsafe sink.append(RawSpan(_unsafeStart: chunk, byteCount: count))
            room -= count
        }
    }

    private func emitFrames(into sink: inout some HTTP2OutputSink) {
        for frame in frames {
            unsafe sink.append(frame.header.span.bytes)
            sink.appendBody(of: frame.streamID, count: frame.count)
        }
        frames.removeAll(keepingCapacity: true)
    }

    // MARK: - Bodies

    /// Says that the owner has so many more bytes of the stream's body ready.
    ///
    /// They are asked for by ``HTTP2OutputSink/appendBody(of:count:)`` as the peer's windows allow.
    public func offerBody(_ stream: HTTP2.StreamID, byteCount: Int) {
        guard let index = streams.index(of: stream), !streams[index].flags.contains(.isBodyEnded) else { return }
        streams[index].offeredCount += max(byteCount, 0)
        resume(index)
    }

    /// Says that nothing will be offered any more of the stream's body; what has been will still be sent.
    ///
    /// - Parameters:
    ///   - stream: The stream.
    ///   - trailers: What to send behind the body.
    public func endBody(_ stream: HTTP2.StreamID, trailers: HeaderMap? = nil) {
        guard let index = streams.index(of: stream), !streams[index].flags.contains(.isBodyEnded) else { return }
        streams[index].flags.insert(.isBodyEnded)
        if let trailers, !trailers.isEmpty { pendingTrailers[stream] = trailers }
        resume(index)
    }

    private func resume(_ index: Int) {
        guard streams[index].flags.contains(.isDeferred) else { return }
        streams[index].flags.remove(.isDeferred)
        unsafe nghttp2_session_resume_data(handle, streams[index].id)
    }

    /// How many bytes of what has been offered have not been asked for.
    public func unsentByteCount(_ stream: HTTP2.StreamID) -> Int {
        streams.index(of: stream).map { streams[$0].offeredCount } ?? 0
    }

    /// Gives the peer back the credit for bytes of a body that have been dealt with.
    ///
    /// If the stream is gone, the connection's credit.
    public func consume(_ stream: HTTP2.StreamID, byteCount: Int) {
        guard byteCount > 0 else { return }
        unsafe nghttp2_session_consume(handle, stream, byteCount)
    }

    /// Gives the peer back the connection's credit for bytes of streams that are gone.
    public func consume(byteCount: Int) {
        guard byteCount > 0 else { return }
        unsafe nghttp2_session_consume_connection(handle, byteCount)
    }

    /// Puts a stream's next bytes into a frame; nghttp2 says how many it may be.
    func bodyCount(_ id: HTTP2.StreamID, _ length: Int, _ flags: UnsafeMutablePointer<UInt32>) -> Int {
        guard room > 0 else { return Int(NGHTTP2_ERR_PAUSE.rawValue) }
        guard let index = streams.index(of: id) else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let state = streams[index]
        let count = min(length, state.offeredCount)
        let isEnded = state.flags.contains(.isBodyEnded)
        if count == 0, !isEnded {
            streams[index].flags.insert(.isDeferred)
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        streams[index].offeredCount -= count
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if isEnded, count == state.offeredCount {
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if !pendingTrailers.isEmpty, let trailers = pendingTrailers.removeValue(forKey: id), submit(trailers, id) {
                unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            }
        }
        room -= count + 9
        budget.noteUseful(count)
        return count
    }

    func didMakeData(_ id: HTTP2.StreamID, _ header: UnsafePointer<UInt8>, _ count: Int) {
        let copy = InlineArray<9, UInt8> { unsafe header[$0] }
        frames.append(DataFrame(header: copy, streamID: id, count: count))
    }

    func didSend(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0, hasFlag(.isUnread, header.stream_id) {
            resetUnread(header.stream_id)
        }
        switch nghttp2_frame_type(UInt32(header.type)) {
        case NGHTTP2_HEADERS: unsafe budget.noteUseful(frame.pointee.hd.length)
        case NGHTTP2_GOAWAY:
            let code = unsafe HTTP2.ErrorCode(rawValue: frame.pointee.goaway.error_code)
            if code != .noError, ending != .terminated {
                failure = HTTP2.ConnectionError(code: code, reason: Self.brokenProtocol)
            }
        default: break
        }
    }

    private func submit(_ trailers: HeaderMap, _ id: HTTP2.StreamID) -> Bool {
        unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: trailers.count + 1) { buffer in
            var list = unsafe HTTP2.FieldList(buffer)
            unsafe list.append(trailers: trailers)
            let count = unsafe list.count
            return unsafe count > 0 && nghttp2_submit_trailer(handle, id, list.start, count) == 0
        }
    }

    // MARK: - Control frames

    /// Resets a stream.
    ///
    /// Nothing more of it is received, and what has been offered of its body is dropped; ``Event/closed(_:_:byPeer:)`` comes when the
    /// RST_STREAM has been sent.
    public func reset(_ stream: HTTP2.StreamID, _ code: HTTP2.ErrorCode) {
        guard let index = streams.index(of: stream) else { return }
        streams[index].offeredCount = 0
        unsafe nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    /// Ends a stream, once all of this side's message has been sent, whose peer's message nobody reads to its end (RFC 9113 8.1).
    ///
    /// The peer is asked by a reset with NO_ERROR to send no more of it.
    public func endUnread(_ stream: HTTP2.StreamID) {
        guard let index = streams.index(of: stream) else { return }
        streams[index].flags.insert(.isUnread)
        if unsafe nghttp2_session_get_stream_local_close(handle, stream) == 1 { resetUnread(stream) }
    }

    private func resetUnread(_ stream: HTTP2.StreamID) {
        guard unsafe nghttp2_session_get_stream_remote_close(handle, stream) == 0 else { return }
        unsafe nghttp2_submit_rst_stream(
            handle,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            stream,
            HTTP2.ErrorCode.noError.rawValue
        )
    }

    /// Sends a ping; the peer answers with the same number, in ``Event/pong(_:)``.
    public func ping(_ opaque: UInt64) {
        unsafe withUnsafeBytes(of: opaque.bigEndian) { bytes in
            let data = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe nghttp2_submit_ping(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), data)
        }
    }

    /// Returns a PING as it is on the wire (RFC 9113 6.7).
    ///
    /// For a session that has sent its GOAWAY and has no streams left: nghttp2 neither makes nor reads frames for it any more.
    ///
    /// - Parameters:
    ///   - opaque: What the peer answers with.
    ///   - isAnswer: Whether it is the answer.
    /// - Returns: The frame.
    public static func pingFrame(_ opaque: UInt64, isAnswer: Bool = false) -> [UInt8] {
        let head: [UInt8] = [0, 0, 8, UInt8(NGHTTP2_PING.rawValue), isAnswer ? 1 : 0, 0, 0, 0, 0]
        return head + (0..<8).map { UInt8(truncatingIfNeeded: opaque >> (56 - 8 * UInt64($0))) }
    }
}
