internal import AsyncTransport

/// When an exchange reached each of its stages; nothing is recorded unless the service has an ``ExchangeObserver``.
///
/// Moments are nanoseconds on the monotonic clock, and 0 for stages that were not reached. With several attempts, those from
/// ``attempt`` on are the last one's.
public struct ExchangeTimings: Sendable {
    /// The request head is complete.
    public private(set) var start: UInt64 = 0
    /// The callbacks before `upstreamPeer` have let the request through.
    public private(set) var filtered: UInt64 = 0
    /// The last attempt to ask an upstream began.
    ///
    /// The first begins when the request has been let through.
    public private(set) var attempt: UInt64 = 0
    /// `upstreamPeer` has answered.
    public private(set) var peerChosen: UInt64 = 0
    /// There is a connection to the upstream, pooled or new.
    public private(set) var connected: UInt64 = 0
    /// The final head of the upstream's response is here.
    public private(set) var upstreamHead: UInt64 = 0
    /// The exchange is over.
    public private(set) var end: UInt64 = 0

    /// Whether the exchange is measured.
    public var isRecorded: Bool { start != 0 }

    /// What can be noted after the start.
    enum Stage {
        case filtered, peerChosen, connected, upstreamHead, end
    }

    init() {}

    mutating func begin() {
        start = SystemClock.monotonicNanoseconds
    }

    /// Begins anew with the stages of an attempt, if the exchange is measured: those of the one that failed are past.
    @inline(never)  // few requests are tried again
    mutating func beginAnotherAttempt() {
        guard start != 0 else { return }
        attempt = SystemClock.monotonicNanoseconds
        peerChosen = 0
        connected = 0
        upstreamHead = 0
    }

    /// Notes that a stage has been reached now, if the exchange is measured.
    mutating func note(_ stage: Stage) {
        if start != 0 { record(stage) }
    }

    /// There was nothing that could have kept the request: no time has passed, and the clock need not be asked.
    mutating func filterNothing() {
        filtered = start
        attempt = start
    }

    /// A pooled connection was there: no time has passed, and the clock need not be asked.
    mutating func takePooled() {
        connected = peerChosen
    }

    @inline(never)  // not needed without observers
    private mutating func record(_ stage: Stage) {
        let now = SystemClock.monotonicNanoseconds
        switch stage {
        case .filtered:
            filtered = now
            attempt = now
        case .peerChosen: peerChosen = now
        case .connected: connected = now
        case .upstreamHead: upstreamHead = now
        case .end: end = now
        }
    }
}
