/// HTTP/2 (RFC 9113) as a value to be fed with bytes: one connection's frames, streams and flow control.
public enum HTTP2 {
    /// The number of a stream: odd for a request.
    public typealias StreamID = Int32

    /// Which side of the connection a session is.
    public enum Role: Sendable {
        /// Makes requests.
        case client
        /// Answers them.
        case server
    }

    /// Why a stream or a connection ended (RFC 9113 7).
    public struct ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The code as it goes on the wire.
        public let rawValue: UInt32

        /// Makes a code, which may be one that no RFC knows.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// NO_ERROR: nothing is wrong.
        public static let noError = ErrorCode(rawValue: 0x0)
        /// PROTOCOL_ERROR: the peer broke a rule that has no code of its own.
        public static let protocolError = ErrorCode(rawValue: 0x1)
        /// INTERNAL_ERROR: this side failed.
        public static let internalError = ErrorCode(rawValue: 0x2)
        /// FLOW_CONTROL_ERROR: more bytes than the window had room for.
        public static let flowControlError = ErrorCode(rawValue: 0x3)
        /// SETTINGS_TIMEOUT: settings were not acknowledged in time.
        public static let settingsTimeout = ErrorCode(rawValue: 0x4)
        /// STREAM_CLOSED: a frame for a stream that was half-closed.
        public static let streamClosed = ErrorCode(rawValue: 0x5)
        /// FRAME_SIZE_ERROR: a frame of a size that it may not have.
        public static let frameSizeError = ErrorCode(rawValue: 0x6)
        /// REFUSED_STREAM: not processed at all, so it may be tried again.
        public static let refusedStream = ErrorCode(rawValue: 0x7)
        /// CANCEL: no longer needed.
        public static let cancel = ErrorCode(rawValue: 0x8)
        /// COMPRESSION_ERROR: the header compression state is lost.
        public static let compressionError = ErrorCode(rawValue: 0x9)
        /// CONNECT_ERROR: the connection behind a tunnel was reset.
        public static let connectError = ErrorCode(rawValue: 0xA)
        /// ENHANCE_YOUR_CALM: the peer makes too much work.
        public static let enhanceYourCalm = ErrorCode(rawValue: 0xB)
        /// INADEQUATE_SECURITY: the transport is not safe enough.
        public static let inadequateSecurity = ErrorCode(rawValue: 0xC)
        /// HTTP_1_1_REQUIRED: ask again in HTTP/1.1.
        public static let http11Required = ErrorCode(rawValue: 0xD)

        /// The RFC's name of the code; its number when it has none.
        public var description: String {
            rawValue < UInt32(Self.names.count) ? Self.names[Int(rawValue)] : "error \(rawValue)"
        }

        private static let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]
    }

    /// Why a connection must end; the GOAWAY that says so has been queued, unless there was no telling the peer.
    public struct ConnectionError: Error, Hashable, Sendable, CustomStringConvertible {
        /// What the peer is told.
        public let code: ErrorCode
        /// What is wrong, without dynamic parts: fit for a metric's label.
        public let reason: String

        /// What is wrong.
        public var description: String { "\(reason) (\(code))" }
    }

    /// Why something cannot be sent.
    public struct SubmissionError: Error, Hashable, Sendable, CustomStringConvertible {
        /// Why, without dynamic parts: fit for a metric's label.
        public let description: String

        private init(_ description: String) {
            self.description = description
        }

        /// The connection takes no new streams: it is going away, or has run out of stream numbers.
        public static let goingAway = SubmissionError("the connection takes no new streams")
        /// The stream does not exist any more.
        public static let streamGone = SubmissionError("the stream is gone")
        /// The stream has had its final response.
        public static let alreadyAnswered = SubmissionError("the stream has been answered")
        /// The peer does not take extended CONNECT (RFC 8441), which an upgrade would become.
        public static let upgradeNotSupported = SubmissionError("the peer does not support extended CONNECT")
        /// The head cannot be said in HTTP/2: its target or its status.
        public static let invalidHead = SubmissionError("the head cannot be sent in HTTP/2")
    }
}

/// What a session writes its output to.
public protocol HTTP2OutputSink {
    /// Takes bytes of frames: copies them, for they do not outlive the call.
    mutating func append(_ bytes: RawSpan)
    /// Takes the next `count` bytes of what the owner has offered of this stream's body.
    ///
    /// The header of the DATA frame has been appended just before. `count` may be 0.
    mutating func appendBody(of stream: HTTP2.StreamID, count: Int)
}
