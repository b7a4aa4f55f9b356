import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs

/// A connector with its upkeep running, used as the proxy uses it.
struct PoolFixture: Sendable {
    let connector: Connector
    /// The workers, to run on each of them.
    var executor: ServiceExecutor?

    /// Leases a connection, sends a GET, reads the whole response, and gives the connection back.
    ///
    /// - Returns: whether the connection had been used before.
    @discardableResult
    func exchange(with peer: HttpPeer) async throws -> Bool {
        try await withParker { parker in
            let lease = try await connector.lease(peer, parker: parker)
            do {
                try await get(on: lease.session, parker: parker)
            } catch {
                connector.discard(lease, peer: peer)
                throw error
            }
            connector.release(lease, peer: peer)
            return lease.isReused
        }
    }

    /// Leases a connection, exchanges, gives it back, and returns the local port that tells it from others.
    func sourcePort(to peer: HttpPeer) async throws -> String {
        try await withParker { parker in
            let lease = try await connector.lease(peer, parker: parker)
            let port = lease.session.localAddress?.description ?? ""
            try await finish(lease, peer: peer, parker: parker)
            return port
        }
    }

    /// Exchanges on a connection that was leased, gives it back, and returns the response's body.
    @discardableResult
    func finish(_ lease: Connector.Lease, peer: HttpPeer, parker: Parker) async throws -> String {
        let body = try await get(on: lease.session, parker: parker)
        connector.release(lease, peer: peer)
        return body
    }

    /// Waits until the pools' facts are as they should be.
    func wait(until condition: (PoolFacts) -> Bool) async throws {
        let deadline = Deadline.after(.seconds(120))
        try await withParker { parker in
            while !condition(await connector.poolFacts()) {
                try parker.check(.read, deadline: deadline)
                await parker.park(until: .after(.milliseconds(10)))
            }
        }
    }

    /// Runs `body` on each worker in turn.
    func onEachWorker(
        skippingOwn: Bool = false,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        guard let executor else { return try await body() }
        let own = ThreadContext.currentIndex
        for _ in 0..<executor.threadCount {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: executor.nextExecutor()) {
                    if skippingOwn, ThreadContext.currentIndex == own { return }
                    try await body()
                }
                try await group.waitForAll()
            }
        }
    }

    /// Has so many connections in use at the same time, and then gives all of them back.
    func occupy(_ count: Int, of peer: HttpPeer) async throws {
        try await withParker { parker in
            var leases: [Connector.Lease] = []
            for _ in 0..<count {
                let lease = try await connector.lease(peer, parker: parker)
                leases.append(lease)
                try await get(on: lease.session, parker: parker)
            }
            for lease in leases { connector.release(lease, peer: peer) }
        }
    }

    @discardableResult
    private func get(on session: any UpstreamSession, parker: Parker) async throws -> String {
        var request = RequestHeader()
        try request.setTarget("/")
        try request.headers.set(.host, "a")
        try session.begin(request, framing: .none)
        while try !session.flush() { await parker.park() }
        let deadline = Deadline.after(.seconds(120))
        while try !session.pollHead() { try await Self.wait(parker, until: deadline) }
        var body = ""
        while true {
            switch try session.pollBody() {
            case .chunk(let bytes): body += "\(bytes)"
            case .end: return body
            case .wouldBlock: try await Self.wait(parker, until: deadline)
            }
        }
    }

    private static func wait(_ parker: Parker, until deadline: Deadline) async throws {
        await parker.park(until: deadline)
        try parker.check(.read, deadline: deadline)
    }
}

/// Runs `body` with a connector and an origin on the first of `threads` workers.
func withPool(
    _ script: OriginScript = .ok(),
    size: Int = 64,
    threads: Int = 1,
    flavor: ExecutorFlavor = .pinned,
    _ body: @escaping @Sendable (PoolFixture, ScriptedOrigin) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor(threads: threads, flavor: flavor) { executor in
        try await withScriptedOrigin(script) { origin in
            var options = Connector.Options()
            options.poolSize = size
            let connector = Connector(options: options, workerCount: threads)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await connector.maintain() }
                defer { group.cancelAll() }
                try await body(PoolFixture(connector: connector, executor: executor), origin)
            }
        }
    }
}
