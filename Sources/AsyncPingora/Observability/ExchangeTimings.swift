internal import AsyncTransport

/// When an exchange reached each of its stages; nothing is recorded unless the service has an ``ExchangeObserver``.
///
/// Moments are nanoseconds on the monotonic clock, and 0 for stages that were not reached. With several attempts those of the last
/// count.
public struct ExchangeTimings: Sendable {
    /// The request head is complete.
    public private(set) var start: UInt64 = 0
    /// The callbacks before `upstreamPeer` have let the request through.
    public private(set) var filtered: UInt64 = 0
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

    /// Notes that a stage has been reached now, if the exchange is measured.
    mutating func note(_ stage: Stage) {
        if start != 0 { record(stage) }
    }

    @inline(never)  // not needed without observers
    private mutating func record(_ stage: Stage) {
        let now = SystemClock.monotonicNanoseconds
        switch stage {
        case .filtered: filtered = now
        case .peerChosen: peerChosen = now
        case .connected: connected = now
        case .upstreamHead: upstreamHead = now
        case .end: end = now
        }
    }
}
