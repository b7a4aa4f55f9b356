import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("HTTP/2 connections are shared by requests, few in number, and let go of", .serialized)
struct HTTP2PoolTests {
    @Test(.timeLimit(.minutes(5)), arguments: [1, 10, 100], Workers.allCases)
    func coldBurst(limit: Int, workers: Workers) async throws {
        try await burst(of: 100, limit: limit, isLate: false, workers: workers)
    }

    @Test(.timeLimit(.minutes(5)), arguments: [1, 10, 100], Workers.allCases)
    func coldBurstBeforeSettings(limit: Int, workers: Workers) async throws {
        try await burst(of: 100, limit: limit, isLate: true, workers: workers)
    }

    /// A burst opens as few connections as the server's limit allows, whenever the server tells it.
    private func burst(of count: Int, limit: Int, isLate: Bool, workers: Workers) async throws {
        var settings = HTTP2.Settings()
        settings.maximumConcurrentStreams = limit
        let script = OriginScript.http2(settings: settings) { connection in
            // Late: the first request is there before the limit is told.
            connection.holdsOutput = isLate
            try await connection.pump { $0.waitingRequestCount > 0 }
            connection.holdsOutput = false
            try await connection.pump { $0.waitingRequestCount == limit }
            // No answer before all requests are on their way, so that none can use what another has left.
            try await (connection.connection as? OriginConnection)?.origin.wait { $0.requestCount == count }
            try await connection.answerAll()
        }
        try await withPool(script, size: 200, threads: workers.count, flavor: workers.flavor) { pool, origin in
            let outcomes = await pool.burst(count, to: .http2(origin.address))
            #expect(outcomes.allSatisfy { $0 == nil })
            #expect(origin.connectionCount == count / limit)
            let facts = await pool.facts { $0.inUse == 0 && $0.idle == count / limit && $0.h2Streams == 0 }
            #expect(facts.h2Streams == 0 && facts.inUse == 0)
            #expect(facts.idle == count / limit && facts.open == count / limit)
            #expect(facts.created == count / limit && facts.reused == count - count / limit)
        }
    }

    @Test("The peer's option counts when it is lower than the server's setting", .timeLimit(.minutes(5)))
    func ownLimit() async throws {
        try await withHTTP2Pool { pool, origin in
            let peer = HttpPeer.http2(origin.address) { $0.maximumH2Streams = 2 }
            try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<4 { group.addTask { await pool.outcome(of: peer) } }
                let servers = [try await origin.accept(), try await origin.accept()]
                for server in servers { try await server.pump { $0.waitingRequestCount == 2 } }
                for server in servers {
                    for _ in 0..<2 { try await server.respond(to: try await server.nextRequest()) }
                }
                for try await outcome in group { #expect(outcome == nil) }
            }
            #expect(origin.origin.connectionCount == 2)
        }
    }

    @Test("A connection is used again, by every worker", .timeLimit(.minutes(5)), arguments: Workers.allCases)
    func reuse(workers: Workers) async throws {
        try await withPool(.http2(), threads: workers.count, flavor: workers.flavor) { pool, origin in
            let peer = HttpPeer.http2(origin.address)
            for _ in 0..<20 {
                try await pool.onEachWorker { try await pool.exchange(with: peer) }
            }
            let isReused = try await pool.exchange(with: .http2(origin.address))
            #expect(isReused)
            let facts = await pool.facts { $0.idle == 1 && $0.created == 1 && $0.reused == 20 * workers.count }
            #expect(facts.created == 1 && facts.reused == 20 * workers.count)
            #expect(facts.idle == 1 && facts.inUse == 0 && facts.h2Connections == 1)
            #expect(origin.connectionCount == 1)
        }
    }

    @Test("Requests on one connection use it at the same time and end in any order", .timeLimit(.minutes(5)))
    func anyOrder() async throws {
        try await withHTTP2Pool { pool, origin in
            let peer = HttpPeer.http2(origin.address)
            try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<5 { group.addTask { await pool.outcome(of: peer) } }
                let server = try await origin.accept()
                try await server.pump { $0.waitingRequestCount == 5 }
                let facts = await pool.connector.poolFacts()
                #expect(facts.h2Streams == 5 && facts.inUse == 5 && facts.idle == 0 && facts.open == 1)
                var streams: [HTTP2.StreamID] = []
                for _ in 0..<5 { streams.append(try await server.nextRequest()) }
                for stream in streams.reversed() { try await server.respond(to: stream, body: [1, 2, 3]) }
                for try await outcome in group { #expect(outcome == nil) }
            }
            let facts = await pool.facts { $0.idle == 1 && $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.idle == 1 && facts.inUse == 0 && facts.h2Streams == 0)
        }
    }

    @Test("A worker asks on its own connection, and on another's when it has none", .timeLimit(.minutes(5)))
    func ownWorkerFirst() async throws {
        let script = OriginScript.http2 { connection in
            let index = (connection.connection as? OriginConnection)?.index ?? -1
            while true {
                let stream = try await connection.nextRequest()
                try await connection.respond(to: stream, body: Array("\(index)".utf8))
            }
        }
        try await withPool(script, threads: 2) { pool, origin in
            let peer = HttpPeer.http2(origin.address) { $0.maximumH2Streams = 1 }
            try await pool.connection(of: peer)
            let other = Lock(-1)
            try await pool.onEachWorker(skippingOwn: true) {
                let index = try await pool.connection(of: peer)
                other.withLock { $0 = index }
            }
            #expect(other.withLock { $0 } == 0, "the only connection is used by the worker that has none")
            try await withParker { parker in
                let lease = try await pool.connector.lease(peer, parker: parker)
                try await pool.onEachWorker(skippingOwn: true) { try await pool.connection(of: peer) }
                try await pool.finish(lease, peer: peer, parker: parker)
            }
            #expect(origin.connectionCount == 2)
            let used = Lock<[Int: Set<Int>]>([:])
            for _ in 0..<10 {
                try await pool.onEachWorker {
                    let index = try await pool.connection(of: peer)
                    used.withLock { _ = $0[ThreadContext.currentIndex ?? -1, default: []].insert(index) }
                }
            }
            #expect(used.withLock { $0.count } == 2)
            #expect(used.withLock { $0.values.allSatisfy { $0.count == 1 } }, "each worker keeps to its own connection")
            #expect(used.withLock { Set($0.values.joined()).count } == 2)
        }
    }

    @Test("The bound on idle connections holds over both versions", .timeLimit(.minutes(5)), arguments: [0, 1, 3])
    func idleBound(size: Int) async throws {
        try await withPool(.either, size: size) { pool, origin in
            for round in 0..<3 as Range<UInt64> {
                try await pool.exchange(with: HttpPeer(origin.address, groupKey: round))
                try await pool.exchange(with: .http2(origin.address, groupKey: round))
                let facts = await pool.connector.poolFacts()
                #expect(facts.idle <= size)
            }
            let facts = await pool.facts { $0.open <= size && $0.inUse == 0 }
            #expect(facts.open <= size && facts.inUse == 0)
            // Those beyond the bound are closed, not forgotten.
            try await origin.wait { $0.openConnectionCount <= size }
        }
    }

    @Test("An idle connection is closed in time, with a GOAWAY", .timeLimit(.minutes(5)), arguments: [0, 30])
    func idleTimeout(milliseconds: Int) async throws {
        try await withHTTP2Pool { pool, origin in
            let peer = HttpPeer.http2(origin.address) { $0.idleTimeout = .milliseconds(milliseconds) }
            async let outcome = pool.outcome(of: peer)
            let server = try await origin.accept()
            try await server.respond(to: try await server.nextRequest())
            try await server.pumpToEnd()
            #expect(server.frames.last == .goAway(last: 0))
            let end = await outcome
            #expect(end == nil)
            let facts = await pool.facts { $0.open == 0 && $0.evicted == 1 && $0.h2Connections == 0 }
            #expect(facts.open == 0 && facts.h2Connections == 0 && facts.evicted == 1)
        }
    }

    /// How a server ends a connection that rests.
    enum ServerEnd: CaseIterable, Sendable {
        case goAway, close, reset, garbage
    }

    @Test(
        "A resting connection that its server ends leaves the pool, and its place there",
        .timeLimit(.minutes(5)),
        arguments: ServerEnd.allCases
    )
    func serverEndsIdle(end: ServerEnd) async throws {
        try await withHTTP2Pool(size: 1) { pool, origin in
            let peer = HttpPeer.http2(origin.address)
            for round in 1...3 {
                async let outcome = pool.outcome(of: peer)
                let server = try await origin.accept()
                try await server.respond(to: try await server.nextRequest())
                let failure = await outcome
                #expect(failure == nil)
                var facts = await pool.facts { $0.idle == 1 && $0.created == round && $0.reused == 0 }
                #expect(facts.idle == 1 && facts.created == round && facts.reused == 0)
                switch end {
                case .goAway: try await server.send(.goAway(last: 1))
                case .close: server.close()
                case .reset: server.connection.reset()
                case .garbage: try await server.send(HTTP2Frame(0, stream: 99, [1]))
                }
                facts = await pool.facts {
                    $0.open == 0 && $0.evicted == round && $0.idle == 0 && $0.h2Connections == 0
                }
                #expect(facts.open == 0 && facts.idle == 0 && facts.evicted == round && facts.h2Connections == 0)
            }
        }
    }

    @Test("Cancelling the upkeep ends connections, idle or not", .timeLimit(.minutes(5)), arguments: Workers.allCases)
    func cancellation(workers: Workers) async throws {
        try await TestExecutor.withExecutor(threads: workers.count, flavor: workers.flavor) { executor in
            try await withHTTP2Origin { origin in
                let connector = Connector(workerCount: workers.count)
                let pool = PoolFixture(connector: connector, executor: executor)
                try await withThrowingTaskGroup(of: String?.self) { group in
                    group.addTask {
                        await connector.maintain()
                        return "maintained"
                    }
                    group.addTask { await pool.outcome(of: .http2(origin.address)) }
                    let server = try await origin.accept()
                    _ = try await server.nextRequest()
                    group.cancelAll()
                    try await server.pumpToEnd()
                    var outcomes: Set<String?> = []
                    for try await outcome in group { outcomes.insert(outcome) }
                    #expect(outcomes.contains("maintained") && !outcomes.contains(nil))
                }
                let facts = await pool.facts { $0.open == 0 && $0.inUse == 0 && $0.h2Connections == 0 }
                #expect(facts.open == 0 && facts.inUse == 0 && facts.h2Connections == 0)
            }
        }
    }
}

extension OriginScript {
    /// Answers in the version that it is asked in.
    fileprivate static let either = OriginScript { connection in
        let start = try await connection.receive(count: 3)
        if start == Array("GET".utf8) {
            repeat {
                _ = try await connection.receiveHead()
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            } while true
        }
        connection.unread(start)
        try await RawHTTP2Connection(on: connection, role: .server).answerAll()
    }
}

extension PoolFixture {
    /// Exchanges, and returns which of the origin's connections it was on.
    @discardableResult
    fileprivate func connection(of peer: HttpPeer) async throws -> Int {
        try await withParker { parker in
            let lease = try await connector.lease(peer, parker: parker)
            return Int(try await finish(lease, peer: peer, parker: parker)) ?? -1
        }
    }
}
