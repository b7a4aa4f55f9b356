internal import CNGHTTP2

extension HTTP2 {
    /// What this side tells its peer, and how much it lets the peer do.
    ///
    /// Each has a safe, finite default.
    public struct Settings: Hashable, Sendable {
        /// How many streams the peer may have open.
        ///
        /// Default 128. A client's is 0 on the wire, for it takes no pushed streams.
        public var maximumConcurrentStreams = 128
        /// How many bytes of a stream's body the peer may send before some have been consumed.
        ///
        /// Default 256 KiB.
        public var initialStreamWindow = 262_144
        /// How many bytes of all bodies together the peer may send before some have been consumed; at least 65,535.
        ///
        /// Default 1 MiB.
        public var connectionWindow = 1_048_576
        /// The largest payload of a frame that is taken, 16,384...16,777,215.
        ///
        /// Default 16 KiB.
        public var maximumFrameSize = 16_384
        /// The most bytes of a head: names, values and 32 for each field (RFC 9113 6.5.2).
        ///
        /// Default 64 KiB. Beyond it the stream is reset with ENHANCE_YOUR_CALM.
        public var maximumHeaderListBytes = 65_536
        /// The most fields of a head, crumbs of a cookie counted one by one.
        ///
        /// Default 128. Beyond it the stream is reset with ENHANCE_YOUR_CALM.
        public var maximumFieldCount = 128
        /// The size of the compression tables in both directions.
        ///
        /// Default 4 KiB.
        public var headerTableSize = 4_096
        /// Whether clients may open extended CONNECT streams (RFC 8441); for servers.
        ///
        /// Default true.
        public var enablesConnectProtocol = true
        /// How many streams may end badly in a row by the peer's doing, be it a reset or a malformed message.
        ///
        /// Default 200; each stream that ends well and each second that passes (``Session/advanceClock(toSecond:)``) makes up for some.
        /// Beyond it the connection ends with ENHANCE_YOUR_CALM.
        public var resetBurst = 200
        /// How many such streams each second makes up for.
        ///
        /// Default 33.
        public var resetsPerSecond = 33
        /// The most entries of a SETTINGS frame.
        ///
        /// Default 32.
        public var maximumSettingsEntries = 32
        /// How many frames may wait to be sent in answer to the peer's, which does not read them.
        ///
        /// Default 512. Beyond it the connection ends with ENHANCE_YOUR_CALM.
        public var maximumQueuedFrames = 512
        /// The most CONTINUATION frames of a head; one whose header comes in pieces counts once for each.
        ///
        /// Default 16. Beyond it the connection ends with ENHANCE_YOUR_CALM.
        public var maximumContinuations = 16
        /// How many bytes the peer may send that carry neither heads nor bodies, on top of eight for each byte that does.
        ///
        /// Default 1 MiB. Beyond it the connection ends with ENHANCE_YOUR_CALM.
        public var overheadAllowance = 1_048_576

        /// Makes the defaults.
        public init() {}

        /// Makes nghttp2's options; the caller deletes them.
        func makeOptions() -> OpaquePointer? {
            // SAFETY: the options are used only while they exist, here and by the caller.
            var options: OpaquePointer?
            guard unsafe nghttp2_option_new(&options) == 0 else { return nil }
            unsafe nghttp2_option_set_no_auto_window_update(options, 1)
            unsafe nghttp2_option_set_no_closed_streams(options, 1)
            unsafe nghttp2_option_set_max_reserved_remote_streams(options, 0)
            unsafe nghttp2_option_set_max_deflate_dynamic_table_size(options, max(headerTableSize, 0))
            unsafe nghttp2_option_set_max_send_header_block_length(options, 1 << 20)
            unsafe nghttp2_option_set_max_outbound_ack(options, max(maximumQueuedFrames, 1))
            unsafe nghttp2_option_set_max_settings(options, max(maximumSettingsEntries, 1))
            unsafe nghttp2_option_set_max_continuations(options, max(maximumContinuations, 0))
            unsafe nghttp2_option_set_builtin_recv_extension_type(options, UInt8(NGHTTP2_PRIORITY_UPDATE.rawValue))
            // Resets are counted here, for nghttp2 would end the connection with INTERNAL_ERROR.
            unsafe nghttp2_option_set_stream_reset_rate_limit(options, .max, .max)
            return unsafe options
        }

        /// The entries of the SETTINGS frame.
        func entries(for role: Role) -> [nghttp2_settings_entry] {
            func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
                nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
            }
            var entries = [
                entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, min(max(initialStreamWindow, 0), Int(Int32.max))),
                entry(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, min(max(maximumFrameSize, 16_384), 16_777_215)),
                entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, maximumHeaderListBytes),
            ]
            if headerTableSize != 4_096 { entries.append(entry(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, headerTableSize)) }
            switch role {
            case .client:
                entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
                entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0))
            case .server:
                entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, maximumConcurrentStreams))
                entries.append(entry(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1))
                if enablesConnectProtocol { entries.append(entry(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)) }
            }
            return entries
        }
    }
}
