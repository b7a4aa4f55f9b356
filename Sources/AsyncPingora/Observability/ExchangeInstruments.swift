internal import AsyncConnectors
internal import CoreMetrics

/// What is counted and timed of each exchange, when it has ended.
struct ExchangeInstruments: Sendable {
    /// By the status's first digit; 0 are those that got no answer, and the last is for what is no HTTP status.
    private let requests: [Counter]
    private let duration: Timer
    private let retries: Counter
    private let errors: ErrorCounters
    private let received: SideCounters
    private let sent: SideCounters
    private let filters: Timer
    private let peer: Timer
    private let connect: Timer
    private let upstream: Timer
    private let response: Timer

    /// Body bytes by the side of the proxy they passed.
    private struct SideCounters: Sendable {
        let downstream: Counter
        let upstream: Counter

        init(_ name: String, _ maker: InstrumentMaker) {
            downstream = maker.counter(name, [("side", "downstream")])
            upstream = maker.counter(name, [("side", "upstream")])
        }

        func add(downstream bytes: UInt64, upstream upstreamBytes: UInt64) {
            if bytes > 0 { downstream.increment(by: Int64(clamping: bytes)) }
            if upstreamBytes > 0 { upstream.increment(by: Int64(clamping: upstreamBytes)) }
        }
    }

    init(_ maker: InstrumentMaker) {
        requests = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"].map {
            maker.counter("pingora_requests_total", [("status", $0)])
        }
        duration = maker.timer("pingora_request_duration_seconds")
        retries = maker.counter("pingora_retries_total")
        errors = ErrorCounters(maker)
        received = SideCounters("pingora_received_bytes_total", maker)
        sent = SideCounters("pingora_sent_bytes_total", maker)
        func phase(_ name: String) -> Timer { maker.timer("pingora_phase_duration_seconds", [("phase", name)]) }
        filters = phase("filters")
        peer = phase("peer")
        connect = phase("connect")
        upstream = phase("upstream")
        response = phase("response")
    }

    func record(_ session: Session) {
        requests[min((session.responseStatus ?? 0) / 100, requests.count - 1)].increment(by: 1 as Int64)
        record(session.timings)
        received.add(downstream: session.bodyBytesReceived, upstream: session.upstreamBodyBytesReceived)
        sent.add(downstream: session.bodyBytesSent, upstream: session.upstreamBodyBytesSent)
        if session.attemptCount > 1 { retries.increment(by: Int64(session.attemptCount - 1)) }
        for error in session.attemptFailures { errors.count(error) }
        if let failure = session.failure { errors.count(failure) }
    }

    /// Each phase is timed if the exchange got to its end.
    private func record(_ timings: ExchangeTimings) {
        duration.record(from: timings.start, to: timings.end)
        guard timings.filtered > 0 else { return }
        filters.record(from: timings.start, to: timings.filtered)
        guard timings.peerChosen > 0 else { return }
        peer.record(from: timings.attempt, to: timings.peerChosen)
        guard timings.connected > 0 else { return }
        connect.record(from: timings.peerChosen, to: timings.connected)
        guard timings.upstreamHead > 0 else { return }
        upstream.record(from: timings.connected, to: timings.upstreamHead)
        response.record(from: timings.upstreamHead, to: timings.end)
    }
}

extension Timer {
    /// Records the time between two moments on the monotonic clock, in nanoseconds.
    func record(from start: UInt64, to end: UInt64) {
        recordNanoseconds(Int64(clamping: end &- min(start, end)))
    }
}
