internal import AsyncConnectors
internal import AsyncPingora
internal import AsyncTransport
internal import PrometheusMetrics

extension ServerFacts {
    /// Connections of clients to all services but one.
    fileprivate func connectionCount(without name: String) -> Int {
        services.reduce(0) { $0 + ($1.name == name ? 0 : $1.listening?.openConnections ?? 0) }
    }
}

/// The pool of one peer, and whose it is.
struct ServicePool: Sendable {
    var service: String
    var facts: PeerPoolFacts
}

/// Looks at the server once a second, and keeps the last five minutes.
///
/// Whoever asks gets what was seen last: asking often costs the services nothing.
final class Sampler: Sendable {
    /// Between two looks.
    static let interval = Duration.seconds(1)
    /// How many samples are kept: five minutes.
    static let sampleCount = 300
    /// At most so many pools are kept, those first of each service that have most to do.
    static let poolLimit = 200
    /// Over how many seconds the rates and percentiles of services are taken.
    static let windowSeconds = 10

    struct State {
        var readings = Ring<Reading>(capacity: Sampler.windowSeconds + 1)
        var samples = Ring<Sample>(capacity: Sampler.sampleCount)
        var sequence = 0
        var facts: ServerFacts?
        var pools: [ServicePool] = []
        var poolCount = 0
        var usage: ProcessUsage?
    }

    /// Tells this run of the process from others, so that a page notices a restart.
    let instance: String
    private let started = SystemClock.monotonicNanoseconds
    // The server owns the service that owns this.
    private weak let server: Server?
    let registry: MetricsRegistry?
    private let ownName: String
    let state = Lock(State())

    /// Makes a sampler for the admin service that is called `ownName`.
    init(server: Server, registry: MetricsRegistry?, ownName: String) {
        self.server = server
        self.registry = registry
        self.ownName = ownName
        instance = String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// Samples until the task is cancelled.
    func run() async {
        await withParker { parker in
            var next = Deadline.after(Self.interval)
            while true {
                while !parker.isCancelled, !next.hasPassed { await parker.park(until: next) }
                if parker.isCancelled { return }
                await sample()
                next = .after(Self.interval)
            }
        }
    }

    /// Looks at the server once.
    func sample() async {
        let facts = await server?.facts()
        let connectors = await server?.connectors() ?? []
        var pools: [ServicePool] = []
        var poolCount = 0
        for (service, connector) in connectors {
            let (found, count) = await connector.poolFactsByPeer(limit: Self.poolLimit)
            pools += found.map { ServicePool(service: service, facts: $0) }
            poolCount += count
        }
        var reading = Reading(nanoseconds: SystemClock.monotonicNanoseconds)
        let usage = ProcessUsage.current()
        reading.cpuSeconds = usage.cpuSeconds
        if let registry { reading.take(registry.snapshot()) }
        record(reading, facts: facts, usage: usage, pools: Array(pools.prefix(Self.poolLimit)), poolCount: poolCount)
    }

    /// Keeps what was seen.
    func record(
        _ reading: Reading,
        facts: ServerFacts?,
        usage: ProcessUsage? = nil,
        pools: [ServicePool] = [],
        poolCount: Int = 0
    ) {
        state.withLock { (state: inout State) in
            state.sequence += 1
            let before = state.readings.last
            let seconds = before.map { reading.seconds(since: $0) } ?? 0
            let total = reading.total
            state.samples.append(
                Sample(
                    sequence: state.sequence,
                    uptime: uptime(at: reading.nanoseconds),
                    traffic: Traffic(total, since: before?.total, seconds: seconds),
                    now: total,
                    process: ProcessMoment(
                        connections: facts?.connectionCount(without: ownName),
                        memory: usage?.residentBytes,
                        cpu: before.flatMap { reading.cpuShare(since: $0) }
                    )
                )
            )
            state.readings.append(reading)
            state.facts = facts
            state.usage = usage
            state.pools = pools
            state.poolCount = poolCount
        }
    }

    func uptime(at nanoseconds: UInt64) -> Double {
        nanoseconds > started ? Double(nanoseconds - started) / 1e9 : 0
    }
}
