internal import CoreMetrics
internal import Synchronization

/// What is counted of clients' connections as they come and go.
final class ConnectionInstruments: Sendable {
    private let acceptedCount: Counter
    private let open: Meter
    private let fullHandshakes: Counter
    private let resumedHandshakes: Counter
    private let failedHandshakes: Counter
    private let streams: Meter
    /// HTTP/2 streams that are being served, shown by ``showStreams()``: they come and go with each request.
    private let streamCount = Atomic<Int>(0)

    init(_ maker: InstrumentMaker) {
        func handshakes(_ result: String) -> Counter {
            maker.counter("pingora_tls_handshakes_total", [("result", result)])
        }
        acceptedCount = maker.counter("pingora_connections_accepted_total")
        open = maker.meter("pingora_connections_open")
        fullHandshakes = handshakes("full")
        resumedHandshakes = handshakes("resumed")
        failedHandshakes = handshakes("failed")
        streams = maker.meter("pingora_h2_streams_open")
        // Seen from the start, not only once there was one.
        open.set(0 as Int64)
    }

    func accepted() {
        acceptedCount.increment(by: 1 as Int64)
        open.increment(by: 1.0)
    }

    func ended() {
        open.decrement(by: 1.0)
    }

    func handshakeSucceeded(isResumed: Bool) {
        (isResumed ? resumedHandshakes : fullHandshakes).increment(by: 1 as Int64)
    }

    func handshakeFailed() {
        failedHandshakes.increment(by: 1 as Int64)
    }

    func streamBegan() {
        streamCount.add(1, ordering: .relaxed)
    }

    func streamEnded() {
        streamCount.subtract(1, ordering: .relaxed)
    }

    func showStreams() {
        streams.set(Int64(streamCount.load(ordering: .relaxed)))
    }
}
