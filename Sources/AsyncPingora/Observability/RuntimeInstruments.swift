internal import AsyncConnectors
internal import CoreMetrics

/// What is looked at now and then: pools, queues, and how late the event loops are.
struct RuntimeInstruments: Sendable {
    let queueDepth: Meter
    let lag: Timer
    private let open: Meter
    private let idle: Meter
    private let inUse: Meter
    private let created: Counter
    private let reused: Counter
    private let evicted: Counter
    private let pingFailures: Counter

    init(_ maker: InstrumentMaker) {
        func connections(_ state: String) -> Meter {
            maker.meter("pingora_pool_connections", [("state", state)])
        }
        queueDepth = maker.meter("pingora_executor_queue_depth")
        lag = maker.timer("pingora_event_loop_lag_seconds")
        open = connections("open")
        idle = connections("idle")
        inUse = connections("in_use")
        created = maker.counter("pingora_pool_created_total")
        reused = maker.counter("pingora_pool_reused_total")
        evicted = maker.counter("pingora_pool_evicted_total")
        pingFailures = maker.counter("pingora_h2_ping_failures_total")
    }

    /// Shows how pools are, and counts what has happened beyond what `counted` says.
    func show(_ facts: PoolFacts, counted: inout PoolFacts) {
        open.set(Int64(facts.open))
        idle.set(Int64(facts.idle))
        inUse.set(Int64(facts.inUse))
        raise(created, to: facts.created, &counted.created)
        raise(reused, to: facts.reused, &counted.reused)
        raise(evicted, to: facts.evicted, &counted.evicted)
        raise(pingFailures, to: facts.pingFailures, &counted.pingFailures)
    }

    private func raise(_ counter: Counter, to total: Int, _ counted: inout Int) {
        // While a pool is being forgotten the sum may lack it.
        guard total > counted else { return }
        counter.increment(by: Int64(total - counted))
        counted = total
    }
}
