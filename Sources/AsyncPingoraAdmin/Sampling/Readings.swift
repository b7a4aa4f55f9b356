internal import PrometheusMetrics

/// What has failed, and by whose fault.
struct ErrorKind: Hashable, Sendable, Comparable {
    var type: String
    var source: String

    static func < (left: ErrorKind, right: ErrorKind) -> Bool {
        (left.type, left.source) < (right.type, right.source)
    }
}

/// What the metrics say of one service at one moment.
///
/// Counters count from the start; what is not measured is nil.
struct ServiceReading: Sendable, Equatable {
    /// Requests by class of status, `2xx`.
    var requests: [String: Double] = [:]
    var duration: Histogram?
    var errors: [ErrorKind: Double] = [:]
    var bytesReceived: Double?
    var bytesSent: Double?
    var upstreamOpen: Double?
    var upstreamInUse: Double?
    var queueDepth: Double?
    var lag: Histogram?

    /// Adds what another service counts.
    mutating func add(_ other: ServiceReading) {
        requests.merge(other.requests, uniquingKeysWith: +)
        errors.merge(other.errors, uniquingKeysWith: +)
        duration = Self.sum(duration, other.duration)
        lag = Self.sum(lag, other.lag)
        let numbers: [WritableKeyPath<ServiceReading, Double?>] = [
            \.bytesReceived, \.bytesSent, \.upstreamOpen, \.upstreamInUse, \.queueDepth,
        ]
        for number in numbers {
            guard let more = other[keyPath: number] else { continue }
            self[keyPath: number] = (self[keyPath: number] ?? 0) + more
        }
    }

    private static func sum(_ left: Histogram?, _ right: Histogram?) -> Histogram? {
        guard var sum = left else { return right }
        if let right { sum.add(right) }
        return sum
    }
}

/// What the metrics say of all services at one moment.
struct Reading: Sendable {
    /// On the monotonic clock.
    var nanoseconds: UInt64
    var services: [String: ServiceReading] = [:]
    /// CPU time of the process so far, in seconds.
    var cpuSeconds: Double?

    /// More services than this are not looked at.
    static let serviceLimit = 256

    /// All services together.
    var total: ServiceReading {
        var total = ServiceReading()
        for service in services.values { total.add(service) }
        return total
    }

    /// How much later this is than another reading.
    func seconds(since other: Reading) -> Double {
        nanoseconds > other.nanoseconds ? Double(nanoseconds - other.nanoseconds) / 1e9 : 0
    }

    /// How many cores the process kept busy since another reading; nil when the kernel does not tell.
    func cpuShare(since other: Reading) -> Double? {
        let seconds = seconds(since: other)
        guard let now = cpuSeconds, let before = other.cpuSeconds, seconds > 0 else { return nil }
        return max(now - before, 0) / seconds
    }

    /// Takes what is shown out of a registry's families; others are not ours.
    mutating func take(_ families: [MetricFamily]) {
        for family in families {
            guard let take = Self.takers[family.name] else { continue }
            for series in family.series {
                guard let service = series.label("service") else { continue }
                guard services[service] != nil || services.count < Self.serviceLimit else { continue }
                take(&services[service, default: ServiceReading()], series)
            }
        }
    }

    private typealias Taker = @Sendable (inout ServiceReading, MetricSeries) -> Void

    private static let takers: [String: Taker] = [
        "pingora_requests_total": { reading, series in
            guard let status = series.label("status"), let count = series.number else { return }
            reading.requests[status, default: 0] += count
        },
        "pingora_errors_total": { reading, series in
            guard let type = series.label("type"), let source = series.label("source"), let count = series.number else {
                return
            }
            reading.errors[ErrorKind(type: type, source: source), default: 0] += count
        },
        "pingora_request_duration_seconds": { $0.duration = $1.histogram },
        "pingora_event_loop_lag_seconds": { $0.lag = $1.histogram },
        "pingora_executor_queue_depth": { $0.queueDepth = $1.number },
        "pingora_received_bytes_total": { reading, series in
            if series.label("side") == "downstream" { reading.bytesReceived = series.number }
        },
        "pingora_sent_bytes_total": { reading, series in
            if series.label("side") == "downstream" { reading.bytesSent = series.number }
        },
        "pingora_pool_connections": { reading, series in
            switch series.label("state") {
            case "open": reading.upstreamOpen = series.number
            case "in_use": reading.upstreamInUse = series.number
            default: break
            }
        },
    ]
}

extension MetricSeries {
    fileprivate var number: Double? {
        if case .number(let value) = value { value } else { nil }
    }

    fileprivate var histogram: Histogram? {
        guard case .histogram(let bounds, let counts, let sum, let count) = value else { return nil }
        return Histogram(bounds: bounds, counts: counts, sum: sum, count: count)
    }
}
