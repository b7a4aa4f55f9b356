/// What went on between two readings of the same service, or of all together.
struct Traffic: Sendable {
    /// How long apart the readings are, in seconds; 0 for one reading alone, of which rates are not known.
    let seconds: Double
    private let now: ServiceReading
    private let before: ServiceReading
    /// How long the requests took that ended in between.
    let duration: Histogram?
    /// How late the event loops were in between.
    let lag: Histogram?

    /// Compares two readings; without an earlier one only what is true of this moment is known.
    init(_ now: ServiceReading, since before: ServiceReading?, seconds: Double) {
        self.now = now
        self.before = before ?? ServiceReading()
        self.seconds = before == nil ? 0 : seconds
        duration = before == nil ? nil : now.duration?.since(before?.duration)
        lag = before == nil ? nil : now.lag?.since(before?.lag)
    }

    /// Requests per second; nil when they are not counted.
    var requestRate: Double? {
        now.requests.isEmpty ? nil : rate(now.requests.values.reduce(0, +), before.requests.values.reduce(0, +))
    }

    /// Requests per second that were answered with a status of this class.
    func requestRate(_ status: String) -> Double? {
        now.requests.isEmpty ? nil : rate(now.requests[status] ?? 0, before.requests[status] ?? 0)
    }

    /// Failed exchanges per second.
    var errorRate: Double? {
        now.requests.isEmpty ? nil : rate(now.errors.values.reduce(0, +), before.errors.values.reduce(0, +))
    }

    /// Failed exchanges per second of the kinds that are asked for.
    func errorRate(_ isIncluded: (ErrorKind) -> Bool) -> Double? {
        func sum(_ errors: [ErrorKind: Double]) -> Double {
            errors.reduce(0) { isIncluded($1.key) ? $0 + $1.value : $0 }
        }
        return now.requests.isEmpty ? nil : rate(sum(now.errors), sum(before.errors))
    }

    /// Bytes per second that clients sent.
    var receivedRate: Double? { now.bytesReceived.flatMap { rate($0, before.bytesReceived ?? 0) } }
    /// Bytes per second that clients were sent.
    var sentRate: Double? { now.bytesSent.flatMap { rate($0, before.bytesSent ?? 0) } }

    private func rate(_ now: Double, _ before: Double) -> Double? {
        seconds > 0 ? max(now - before, 0) / seconds : nil
    }
}

/// What is known of the process at a moment, whether or not there are metrics.
struct ProcessMoment: Sendable {
    /// Connections of clients, to all services that are shown.
    var connections: Int?
    /// In bytes.
    var memory: Double?
    /// In cores.
    var cpu: Double?
}

/// One moment of the process, as charts show it.
///
/// Rates and percentiles are those of the second before.
struct Sample: Sendable {
    /// The number of the sample, from 1.
    var sequence: Int
    /// Seconds since the process, or the admin service, started.
    var uptime: Double
    /// What the charts show, in the order of ``columns``.
    var values: [Double?]

    /// The names of the values.
    static let columns = [
        "requests", "s2", "s3", "s4", "s5", "p50", "p90", "p99", "errorsUpstream", "errorsDownstream", "errorsInternal",
        "connections", "upstreamOpen", "upstreamInUse", "received", "sent", "memory", "cpu", "queue", "lag50", "lag99",
    ]

    /// Makes a sample of what went on since the last.
    init(sequence: Int, uptime: Double, traffic: Traffic, now: ServiceReading, process: ProcessMoment) {
        self.sequence = sequence
        self.uptime = uptime
        values = [traffic.requestRate]
        values += ["2xx", "3xx", "4xx", "5xx"].map { traffic.requestRate($0) }
        values += [0.5, 0.9, 0.99].map { traffic.duration?.quantile($0) }
        values += [
            traffic.errorRate { $0.source == "upstream" },
            traffic.errorRate { $0.source == "downstream" },
            traffic.errorRate { $0.source != "upstream" && $0.source != "downstream" },
            process.connections.map(Double.init), now.upstreamOpen, now.upstreamInUse,
            traffic.receivedRate, traffic.sentRate, process.memory, process.cpu,
            now.queueDepth, traffic.lag?.quantile(0.5), traffic.lag?.quantile(0.99),
        ]
    }
}
