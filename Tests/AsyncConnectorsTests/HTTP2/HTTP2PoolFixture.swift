import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs

/// Where a pool's connections run: what of concurrency depends on it is tried in each.
enum Workers: CaseIterable, Sendable {
    case one, twoPinned, twoStealing

    var count: Int { self == .one ? 1 : 2 }
    var flavor: ExecutorFlavor { self == .twoStealing ? .stealing : .pinned }
}

extension HttpPeer {
    /// A peer that is asked in HTTP/2.
    static func http2(
        _ address: SocketAddress,
        groupKey: UInt64 = 0,
        configure: (inout PeerOptions) -> Void = { _ in }
    ) -> HttpPeer {
        var options = PeerOptions()
        options.httpVersions = .http2
        configure(&options)
        return HttpPeer(address, groupKey: groupKey, options: options)
    }
}

/// Runs `body` with a connector and an origin whose connections it serves by hand.
func withHTTP2Pool(
    size: Int = 64,
    workers: Workers = .one,
    _ body: @escaping @Sendable (PoolFixture, HTTP2Origin) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor(threads: workers.count, flavor: workers.flavor) { executor in
        try await withHTTP2Origin { origin in
            var options = Connector.Options()
            options.poolSize = size
            let connector = Connector(options: options, workerCount: workers.count)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await connector.maintain() }
                defer { group.cancelAll() }
                try await body(PoolFixture(connector: connector, executor: executor), origin)
            }
        }
    }
}

extension PoolFixture {
    /// Waits until the pools' facts are as they should be, and returns them; else what they are at last.
    @discardableResult
    func facts(until condition: (PoolFacts) -> Bool) async -> PoolFacts {
        await withParker { parker in
            let deadline = Deadline.after(.seconds(120))
            while true {
                let facts = await connector.poolFacts()
                if condition(facts) || deadline.hasPassed { return facts }
                await parker.park(until: .after(.milliseconds(2)))
            }
        }
    }

    /// Has so many tasks exchange at once, spread over the workers; returns how each ended: nil, or the error's name.
    func burst(_ count: Int, to peer: HttpPeer) async -> [String?] {
        await withTaskGroup(of: String?.self) { group in
            for _ in 0..<count {
                group.addTask(executorPreference: executor?.nextExecutor()) { await outcome(of: peer) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Exchanges once; nil, or the error's name.
    func outcome(of peer: HttpPeer) async -> String? {
        do {
            try await exchange(with: peer)
            return nil
        } catch {
            return (error as? PingoraError)?.kind.name ?? "\(error)"
        }
    }
}
