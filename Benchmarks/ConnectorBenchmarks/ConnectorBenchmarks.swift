import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import Benchmark
import HTTPCodecs

/// What the pool costs a request: a round is a lease taken and given back.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration.metrics = [.wallClock, .throughput]
    Benchmark.defaultConfiguration.maxDuration = .seconds(2)
    for (threads, title) in [(1, "one worker"), (2, "two workers, one of which leases")] {
        Benchmark("pool: \(roundCount) rounds, HTTP/1.1, \(title)") { benchmark in
            // SAFETY: this closure waits while the worker measures; nobody else touches it meanwhile.
            nonisolated(unsafe) let benchmark = benchmark
            try await withConnector(threads: threads, origin: .ok()) { connector, peer, parker in
                try await measureConnections(of: peer, connector: connector, parker: parker, with: benchmark)
            }
        }
    }

    Benchmark("pool: \(roundCount) rounds, streams of an HTTP/2 connection") { benchmark in
        // SAFETY: as above.
        nonisolated(unsafe) let benchmark = benchmark
        try await withConnector(threads: 1, origin: silentHTTP2, versions: .http2) { connector, peer, parker in
            try await measureStreams(of: peer, connector: connector, parker: parker, with: benchmark)
        }
    }
}

private let roundCount = 256

/// Says with its SETTINGS that it speaks HTTP/2, and nothing more.
private let silentHTTP2 = OriginScript { connection in
    try await connection.send([0, 0, 0, 4, 0, 0, 0, 0, 0])
    try await connection.stall()
}

/// An HTTP/1.1 connection goes back only after an exchange: those are made before, and are not measured.
private func measureConnections(
    of peer: HttpPeer,
    connector: Connector,
    parker: Parker,
    with benchmark: Benchmark
) async throws {
    var leases: [Connector.Lease] = []
    for _ in 0..<roundCount { leases.append(try await connector.lease(peer, parker: parker)) }
    for lease in leases { try await exchange(on: lease.session, parker: parker) }
    benchmark.startMeasurement()
    for lease in leases { connector.release(lease, peer: peer) }
    let pooled = leases.indices.compactMap { _ in connector.leasePooled(peer, parker: parker) }
    benchmark.stopMeasurement()
    for lease in pooled { connector.discard(lease, peer: peer) }
    guard pooled.count == roundCount else { throw LostConnections() }
}

private func measureStreams(
    of peer: HttpPeer,
    connector: Connector,
    parker: Parker,
    with benchmark: Benchmark
) async throws {
    // There is room for a second one only when the server's settings have come.
    let held = [try await connector.lease(peer, parker: parker), try await connector.lease(peer, parker: parker)]
    benchmark.startMeasurement()
    for _ in 0..<roundCount {
        guard let lease = connector.leasePooled(peer, parker: parker) else { throw LostConnections() }
        connector.release(lease, peer: peer)
    }
    benchmark.stopMeasurement()
    for lease in held { connector.release(lease, peer: peer) }
}

private struct LostConnections: Error {}

/// Runs `body` on the first of `threads` workers, with a connector, its upkeep, and a loopback origin.
private func withConnector(
    threads: Int,
    origin: OriginScript,
    versions: HTTPVersions = .http1,
    _ body: @Sendable @escaping (Connector, HttpPeer, Parker) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor(threads: threads) { _ in
        try await withScriptedOrigin(origin) { origin in
            let connector = Connector(workerCount: threads)
            var options = PeerOptions()
            options.httpVersions = versions
            let peer = HttpPeer(origin.address, options: options)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await connector.maintain() }
                defer { group.cancelAll() }
                try await withParker { parker in try await body(connector, peer, parker) }
            }
        }
    }
}

private func exchange(on session: any UpstreamSession, parker: Parker) async throws {
    var request = RequestHeader()
    try request.setTarget("/")
    try request.headers.set(.host, "origin")
    try session.begin(request, framing: .none)
    while try !session.flush() { await parker.park() }
    while try !session.pollHead() { await parker.park() }
    while true {
        switch try session.pollBody() {
        case .chunk: continue
        case .end: return
        case .wouldBlock: await parker.park()
        }
    }
}
