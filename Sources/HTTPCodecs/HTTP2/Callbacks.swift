internal import CNGHTTP2

extension HTTP2 {
    /// What nghttp2 calls; the same for all sessions, which are told apart by their user data.
    @safe final class Callbacks: @unchecked Sendable {
        // SAFETY: made once, never changed or freed; nghttp2 copies it into each session. `user` is the session that is calling nghttp2
        // just now, so it is alive, and the pointers to frames and bytes last as long as the callback.
        let pointer: OpaquePointer?

        static let shared = Callbacks()

        private init() {
            var made: OpaquePointer?
            guard unsafe nghttp2_session_callbacks_new(&made) == 0 else { fatalError("nghttp2 has no memory") }
            unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(made) { _, frame, user in
                guard let user = unsafe user, let frame = unsafe frame else { return 0 }
                return unsafe withSession(user) { unsafe $0.didBeginHeaders(frame) }
            }
            unsafe nghttp2_session_callbacks_set_on_header_callback(made) {
                _,
                _,
                name,
                size,
                value,
                count,
                flags,
                user in
                guard let user = unsafe user else { return 0 }
                let name = unsafe UnsafeRawBufferPointer(start: name, count: size)
                let value = unsafe UnsafeRawBufferPointer(start: value, count: count)
                let isSensitive = flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0
                return unsafe withSession(user) { unsafe $0.didReceiveField(name, value, isSensitive: isSensitive) }
            }
            unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(made) { _, _, _, _, _, _, _, _ in
                // nghttp2 would leave the field out; a message that holds one is malformed as a whole (RFC 9113 8.1.1).
                NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
            }
            unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(made) { _, frame, user in
                guard let user = unsafe user, let frame = unsafe frame else { return 0 }
                unsafe withSession(user) { unsafe $0.didReceive(frame) }
                return 0
            }
            unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made) { _, _, _, user in
                guard let user = unsafe user else { return 0 }
                unsafe withSession(user) { $0.didReceiveInvalidFrame() }
                return 0
            }
            unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made) { _, _, id, bytes, count, user in
                guard let user = unsafe user, let bytes = unsafe bytes else { return 0 }
                unsafe withSession(user) { unsafe $0.didReceiveData(id, bytes, count) }
                return 0
            }
            unsafe nghttp2_session_callbacks_set_on_stream_close_callback(made) { _, id, code, user in
                guard let user = unsafe user else { return 0 }
                unsafe withSession(user) { $0.didClose(id, ErrorCode(rawValue: code)) }
                return 0
            }
            unsafe nghttp2_session_callbacks_set_send_data_callback(made) { _, frame, header, count, _, user in
                guard let user = unsafe user, let frame = unsafe frame, let header = unsafe header else { return 0 }
                unsafe withSession(user) { unsafe $0.didMakeData(frame.pointee.hd.stream_id, header, count) }
                return 0
            }
            unsafe nghttp2_session_callbacks_set_on_frame_send_callback(made) { _, frame, user in
                guard let user = unsafe user, let frame = unsafe frame else { return 0 }
                unsafe withSession(user) { unsafe $0.didSend(frame) }
                return 0
            }
            unsafe pointer = unsafe made
        }
    }
}

/// Calls `body` with the session that nghttp2 was given as its user data, which the caller of nghttp2 holds.
@inline(__always)
func withSession<Result>(_ user: UnsafeMutableRawPointer, _ body: (HTTP2.Session) -> Result) -> Result {
    // SAFETY: as said of the callbacks. Counting references in every one of them would cost more than most of them do.
    unsafe Unmanaged<HTTP2.Session>.fromOpaque(user)._withUnsafeGuaranteedRef(body)
}
