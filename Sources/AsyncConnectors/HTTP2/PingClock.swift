internal import AsyncTransport
internal import HTTPCodecs

/// What the owner of an HTTP/2 connection needs of its peer's options, its durations in nanoseconds.
struct HTTP2PeerOptions: Sendable {
    let settings: HTTP2.Settings
    let maximumStreams: Int
    let pingInterval: UInt64
    let pingTimeout: UInt64

    init(_ options: PeerOptions) {
        var settings = HTTP2.Settings()
        settings.initialStreamWindow = options.h2StreamWindow
        settings.connectionWindow = options.h2ConnectionWindow
        settings.maximumHeaderListBytes = options.maximumResponseHeadBytes
        settings.maximumFieldCount = options.maximumResponseFieldCount
        self.settings = settings
        maximumStreams = max(options.maximumH2Streams, 1)
        pingInterval = options.h2PingInterval?.wholeNanoseconds ?? .max
        pingTimeout = options.h2PingTimeout.wholeNanoseconds
    }
}

/// When an HTTP/2 connection is pinged, and until when it must have answered.
struct PingClock {
    private let interval: UInt64
    private let timeout: UInt64
    private var pingsAt: Deadline
    private var pongDue = Deadline.never
    private var lastPing: UInt64 = 0
    /// Whether a ping was not answered in time.
    private(set) var hasFailed = false

    init(_ options: HTTP2PeerOptions) {
        interval = options.pingInterval
        timeout = options.pingTimeout
        pingsAt = .after(nanoseconds: options.pingInterval)
    }

    /// When to look again.
    var deadline: Deadline { min(pingsAt, pongDue) }

    /// Something has come; a pong counts if it answers the last ping.
    mutating func received(_ pong: UInt64?) {
        guard let pong, pong == lastPing, pongDue != .never else { return }
        pongDue = .never
        pingsAt = .after(nanoseconds: interval)
    }

    /// Sends a ping if it is time; whether it did.
    ///
    /// - Throws: when the last one was not answered in time.
    mutating func beat(_ session: HTTP2.Session) throws(PingoraError) -> Bool {
        if pongDue.hasPassed {
            hasFailed = true
            throw PingoraError(
                .pingTimedOut,
                source: .upstream,
                context: "the HTTP/2 connection does not answer a ping"
            )
        }
        guard pingsAt.hasPassed else { return false }
        lastPing += 1
        session.ping(lastPing)
        pingsAt = .never
        pongDue = .after(nanoseconds: timeout)
        return true
    }
}
