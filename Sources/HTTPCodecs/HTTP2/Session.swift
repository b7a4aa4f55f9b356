internal import CNGHTTP2

extension HTTP2 {
    /// One connection's HTTP/2 (RFC 9113), without socket, task or clock: bytes and what is to be sent go in, events and bytes come out.
    ///
    /// Heads are the same as in HTTP/1: `:authority` is `Host`, the crumbs of a cookie are one `Cookie`, and an extended CONNECT for a
    /// WebSocket (RFC 8441) is the upgrade that it stands for, answered with 101. Bodies stay with the owner: the session only says
    /// which bytes of the input are a body's, and where in the output a body's bytes belong.
    ///
    /// Not thread-safe; the task that owns the connection owns its session.
    @safe public final class Session {
        // SAFETY: `handle` is made in `init` and lives as long as self; nghttp2 calls back only while a method of self calls it, on the same
        // thread, so `user`, the unretained self that it is given, is alive then. No property is accessed in a way that spans a call of
        // nghttp2, so accesses do not overlap.
        var handle: OpaquePointer?
        /// Which side this is.
        public let role: Role
        /// What was given to `init`.
        public let settings: Settings
        var streams = StreamTable<StreamState>()
        var reader = HeadReader()
        /// Events that have not been handed over.
        var events: [Event] = []
        /// Trailers to be sent behind a body that has not been sent to its end.
        var pendingTrailers: [StreamID: HeaderMap] = [:]
        /// DATA frames that nghttp2 has made and that have not been given to the sink.
        var frames: [DataFrame] = []
        /// What is left of the bytes that ``produce(limit:into:)`` may write.
        var room = 0
        /// Where the bytes being received begin.
        var inputStart: UnsafePointer<UInt8>?
        var budget: Budget
        /// The last stream that the peer's GOAWAY says it looks at; nil while there was none.
        var peerLastStreamID: StreamID?
        var ending = Ending.none
        /// Why the connection ends, if it does for a fault; also when that was found out while sending.
        public internal(set) var failure: ConnectionError?

        /// What has happened on the connection.
        public enum Event {
            /// A request has come, to a server; `endStream` says that it has no body.
            case request(StreamID, RequestHeader, endStream: Bool)
            /// A response has come, to a client; there may be informational ones before the final one.
            case response(StreamID, ResponseHeader, endStream: Bool)
            /// `count` bytes at `offset` of the bytes given to ``receive(_:events:)`` are the stream's body.
            ///
            /// They count against the peer's windows until they have been consumed.
            case data(StreamID, offset: Int, count: Int)
            /// Trailers have come, and with them the end of the message.
            case trailers(StreamID, HeaderMap)
            /// The message has ended without trailers.
            case end(StreamID)
            /// The stream is gone: complete in both directions (`noError`), or reset.
            ///
            /// A client's stream that the server's GOAWAY leaves out is closed by the peer with `refusedStream`.
            case closed(StreamID, ErrorCode, byPeer: Bool)
            /// The peer takes no new streams, and looks at none beyond `lastStreamID`.
            case goAway(lastStreamID: StreamID, ErrorCode)
            /// The peer has answered a ping.
            case pong(UInt64)
            /// The peer has sent settings.
            case settingsChanged
        }

        /// A DATA frame's header, and how much of its stream's body follows it.
        struct DataFrame {
            var header: InlineArray<9, UInt8>
            var streamID: StreamID
            var count: Int
        }

        /// How far this side has ended the connection by itself.
        enum Ending {
            case none
            /// Open streams are completed.
            case graceful
            case terminated
        }

        static let brokenProtocol = "the peer broke the protocol"

        /// Makes a session that has the preface and its settings to send.
        public init(role: Role, settings: Settings = Settings()) {
            self.role = role
            self.settings = settings
            budget = Budget(settings)
            unsafe handle = makeHandle()
            var entries = settings.entries(for: role)
            unsafe nghttp2_submit_settings(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), &entries, entries.count)
            let window = Int32(clamping: max(settings.connectionWindow, 65_535))
            unsafe nghttp2_session_set_local_window_size(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, window)
        }

        deinit {
            unsafe nghttp2_session_del(handle)
        }

        private func makeHandle() -> OpaquePointer? {
            let user = unsafe Unmanaged.passUnretained(self).toOpaque()
            let options = unsafe settings.makeOptions()
            defer { unsafe nghttp2_option_del(options) }
            var made: OpaquePointer?
            let isServer: Int32 = role == .server ? 1 : 0
            let result = unsafe cng_session_new(&made, isServer, Callbacks.shared.pointer, user, options)
            // There is no memory left, for which Swift has no other answer either.
            guard result == 0 else { fatalError("nghttp2 cannot make a session") }
            return unsafe made
        }

        // MARK: - State

        /// Whether ``produce(limit:into:)`` has something to write.
        public var wantsOutput: Bool { unsafe nghttp2_session_want_write(handle) != 0 }

        /// Whether the session neither reads nor writes any more, so that the connection can be closed.
        public var isFinished: Bool {
            unsafe nghttp2_session_want_read(handle) == 0 && nghttp2_session_want_write(handle) == 0
        }

        /// Whether the connection has been ended for a fault: nothing is written any more but what tells of it.
        public var isTerminated: Bool { ending == .terminated }

        /// How many streams are open.
        public var openStreamCount: Int { streams.count }

        /// Whether the stream is open.
        public func isOpen(_ stream: StreamID) -> Bool { streams.index(of: stream) != nil }

        /// How many streams the peer allows at a time; for a client.
        ///
        /// Until the peer's settings have come, 100.
        public var peerMaximumConcurrentStreams: Int {
            Int(unsafe nghttp2_session_get_remote_settings(handle, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
        }

        /// Whether the peer takes extended CONNECT (RFC 8441); false until its settings have come.
        public var peerAllowsConnectProtocol: Bool {
            unsafe nghttp2_session_get_remote_settings(handle, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
        }

        /// Whether a client may open streams: the connection is not going away and has stream numbers left.
        ///
        /// A stream beyond ``peerMaximumConcurrentStreams`` waits until another has ended.
        public var acceptsRequests: Bool {
            failure == nil && (unsafe nghttp2_session_check_request_allowed(handle) != 0)
                && (unsafe nghttp2_session_get_next_stream_id(handle) < UInt32(Int32.max))
        }

        // MARK: - Ending

        /// Announces that no new streams will be taken soon; for a server (RFC 9113 6.8).
        ///
        /// Streams that the client has opened meanwhile are still served. ``goAway(_:)`` follows when it has had time to notice.
        public func announceShutdown() {
            guard role == .server else { return }
            unsafe nghttp2_submit_shutdown_notice(handle)
        }

        /// Takes no new streams, and tells the peer which was the last one.
        ///
        /// With `noError` the open streams are completed before the session is finished; with any other code it is when the
        /// GOAWAY has been sent.
        public func goAway(_ code: ErrorCode) {
            guard code == .noError else {
                ending = .terminated
                unsafe nghttp2_session_terminate_session(handle, code.rawValue)
                return
            }
            if ending == .none { ending = .graceful }
            let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
            unsafe nghttp2_submit_goaway(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, nil, 0)
        }

        /// Ends the connection for a fault of the peer's.
        func fail(_ code: ErrorCode, _ reason: String) {
            guard failure == nil else { return }
            ending = .terminated
            failure = ConnectionError(code: code, reason: reason)
            unsafe nghttp2_session_terminate_session(handle, code.rawValue)
        }

        /// Tells the session what second it is, by any clock that does not go back.
        ///
        /// By that it forgives what it counts against a peer. Without it, only streams that end well make up for those that do not.
        public func advanceClock(toSecond second: Int) {
            budget.advance(toSecond: second, settings)
        }
    }
}
