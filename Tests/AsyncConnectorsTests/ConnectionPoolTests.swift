import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Connections are shared by all workers, bounded in number, and dropped when they are no good")
struct ConnectionPoolTests {
    @Test(.timeLimit(.minutes(5))) func reuse() async throws {
        try await withPool { pool, origin in
            let peer = HttpPeer(origin.address)
            for round in 0..<5 {
                let isReused = try await pool.exchange(with: peer)
                #expect(isReused == (round > 0))
            }
            // Another object, the same identity.
            let isReused = try await pool.exchange(with: HttpPeer(origin.address))
            #expect(isReused)
            let facts = await pool.connector.poolFacts()
            #expect(facts.idle == 1 && facts.inUse == 0 && facts.evicted == 0)
            #expect(facts.created == 1 && facts.reused == 5)
            #expect(origin.connectionCount == 1)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ExecutorFlavor.allCases) func acrossWorkers(
        flavor: ExecutorFlavor
    ) async throws {
        try await withPool(threads: 2, flavor: flavor) { pool, origin in
            let peer = HttpPeer(origin.address)
            for _ in 0..<50 {
                try await pool.onEachWorker { _ = try await pool.exchange(with: peer) }
            }
            let facts = await pool.connector.poolFacts()
            #expect(facts.created == 1)
            #expect(facts.reused == 99)
            #expect(origin.connectionCount == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func sameWorkerFirst() async throws {
        try await withPool(threads: 2) { pool, origin in
            let peer = HttpPeer(origin.address)
            // One connection rests at each worker: the second worker needs one while the first's is in use.
            try await withParker { parker in
                let lease = try await pool.connector.lease(peer, parker: parker)
                try await pool.onEachWorker(skippingOwn: true) { try await pool.exchange(with: peer) }
                try await pool.finish(lease, peer: peer, parker: parker)
            }
            #expect(origin.connectionCount == 2)
            let own = Lock<[Int: Set<String>]>([:])
            for _ in 0..<10 {
                try await pool.onEachWorker {
                    let port = try await pool.sourcePort(to: peer)
                    let worker = ThreadContext.currentIndex ?? -1
                    own.withLock { _ = $0[worker, default: []].insert(port) }
                }
            }
            let ports = own.withLock { $0 }
            #expect(ports.count == 2)
            #expect(ports.values.allSatisfy { $0.count == 1 }, "each worker keeps to its own connection")
            #expect(Set(ports.values.joined()).count == 2)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [0, 1, 3, 8]) func idleBound(size: Int) async throws {
        try await withPool(size: size) { pool, origin in
            let peer = HttpPeer(origin.address)
            try await pool.occupy(8, of: peer)
            let facts = await pool.connector.poolFacts()
            #expect(facts.idle == size)
            #expect(facts.inUse == 0)
            #expect(facts.created == 8)
            // Those beyond the bound are closed, not forgotten.
            try await origin.wait { $0.openConnectionCount == size }
        }
    }

    @Test(.timeLimit(.minutes(5))) func idleBoundCanBeChanged() async throws {
        try await withPool(size: 8) { pool, origin in
            let peer = HttpPeer(origin.address)
            try await pool.occupy(8, of: peer)
            pool.connector.poolSize = 3
            try await pool.wait { $0.idle == 3 }
            try await origin.wait { $0.openConnectionCount == 3 }
            pool.connector.poolSize = 5
            try await pool.occupy(8, of: peer)
            try await pool.wait { $0.idle == 5 }
            try await origin.wait { $0.openConnectionCount == 5 }
        }
    }

    @Test(.timeLimit(.minutes(5))) func idleBoundOverAllPeersAndWorkers() async throws {
        try await withPool(size: 4, threads: 2) { pool, origin in
            let peers = (0..<5).map { HttpPeer(origin.address, groupKey: UInt64($0)) }
            for peer in peers {
                try await pool.onEachWorker { try await pool.occupy(3, of: peer) }
            }
            let facts = await pool.connector.poolFacts()
            #expect(facts.idle == 4)
            #expect(facts.inUse == 0)
            try await origin.wait { $0.openConnectionCount == 4 }
        }
    }

    @Test(.timeLimit(.minutes(5))) func idleTimeout() async throws {
        try await withPool { pool, origin in
            var options = PeerOptions()
            options.idleTimeout = .milliseconds(30)
            try await pool.occupy(3, of: HttpPeer(origin.address, options: options))
            // Nobody asks for them: the upkeep closes them by itself.
            try await origin.wait { $0.openConnectionCount == 0 }
            let facts = await pool.connector.poolFacts()
            #expect(facts.idle == 0)
            #expect(facts.evicted == 3)
        }
    }

    @Test(.timeLimit(.minutes(5))) func zeroIdleTimeoutKeepsNone() async throws {
        try await withPool { pool, origin in
            var options = PeerOptions()
            options.idleTimeout = .zero
            let peer = HttpPeer(origin.address, options: options)
            for _ in 0..<3 {
                let isReused = try await pool.exchange(with: peer)
                #expect(!isReused)
            }
            try await origin.wait { $0.openConnectionCount == 0 }
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func idleConnectionsThatEndOrSpeak(ends: Bool) async throws
    {
        let script = OriginScript { connection in
            guard try await connection.nextRequest() != nil else { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if ends { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            try await connection.stall()
        }
        try await withPool(script) { pool, origin in
            let peer = HttpPeer(origin.address)
            for count in 1...20 {
                try await pool.exchange(with: peer)
                try await origin.wait { $0.connectionCount == count && $0.openConnectionCount == 0 }
                // The worker may not have heard of it yet.
                try await pool.wait { $0.idle == 0 }
            }
            let facts = await pool.connector.poolFacts()
            #expect(facts.inUse == 0)
            #expect(facts.reused == 0)
        }
    }

    @Test(.timeLimit(.minutes(5))) func upkeepClosesWhatRestsWhenItEnds() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.ok()) { origin in
                let connector = Connector(workerCount: 1)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await connector.maintain() }
                    let pool = PoolFixture(connector: connector)
                    try await pool.occupy(3, of: HttpPeer(origin.address))
                    group.cancelAll()
                    try await group.waitForAll()
                }
                let facts = await connector.poolFacts()
                #expect(facts.idle == 0)
                try await origin.wait { $0.openConnectionCount == 0 }
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func thousandsOfRequests() async throws {
        try await withPool(threads: 2) { pool, origin in
            let peer = HttpPeer(origin.address)
            try await pool.onEachWorker {
                for _ in 0..<1_000 { try await pool.exchange(with: peer) }
            }
            let facts = await pool.connector.poolFacts()
            #expect(facts.created <= 2)
            #expect(facts.created + facts.reused == 2_000)
            #expect(facts.idle == facts.created)
            #expect(facts.inUse == 0)
            #expect(origin.openConnectionCount == facts.idle)
        }
    }

    @Test(.timeLimit(.minutes(5))) func failedConnectsLeaveNoLease() async throws {
        try await withPool { pool, origin in
            let path = try #require(SocketAddress("unix:/nonexistent/async-pingora.sock"))
            for _ in 0..<3 {
                await #expect(throws: PingoraError.self) { try await pool.exchange(with: HttpPeer(path)) }
            }
            let facts = await pool.connector.poolFacts()
            #expect(facts.idle == 0 && facts.inUse == 0 && facts.created == 0)
        }
    }
}

/// Two ways to reach the same address, which must not share a connection.
struct PeerDifference: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let make: @Sendable (SocketAddress) -> HttpPeer

    init(_ name: String, groupKey: UInt64 = 0, _ change: @escaping @Sendable (inout PeerOptions) -> Void = { _ in }) {
        testDescription = name
        make = { address in
            var options = PeerOptions()
            change(&options)
            return HttpPeer(address, groupKey: groupKey, options: options)
        }
    }

    static let all: [PeerDifference] = [
        .init("group key", groupKey: 1),
        .init("source address") { $0.source = SocketAddress(host: "127.0.0.2", port: 0).map { SourceAddress($0) } },
        .init("keep-alive probes") {
            $0.socket.keepAlive = TCPKeepAlive(idleSeconds: 9, intervalSeconds: 9, probeCount: 9)
        },
        .init("code point") { $0.socket.dscp = 10 },
        .init("send buffer") { $0.socket.sendBufferSize = 65_536 },
        .init("receive buffer") { $0.socket.receiveBufferSize = 65_536 },
        .init("Fast Open") { $0.usesFastOpen = true },
        .init("head limit") { $0.maximumResponseHeadBytes = 4_096 },
        .init("field limit") { $0.maximumResponseFieldCount = 10 },
    ]

    static let timings: [PeerDifference] = [
        .init("connection timeout") { $0.connectionTimeout = .seconds(3) },
        .init("read timeout") { $0.readTimeout = .seconds(3) },
        .init("write timeout") { $0.writeTimeout = .seconds(3) },
        .init("idle timeout") { $0.idleTimeout = .seconds(3) },
    ]
}

@Suite("Peers share connections if and only if nothing about their connections differs")
struct PeerIdentityTests {
    @Test(.timeLimit(.minutes(5)), arguments: PeerDifference.all) func different(
        _ difference: PeerDifference
    ) async throws {
        try await withPool { pool, origin in
            let plain = HttpPeer(origin.address)
            let other = difference.make(origin.address)
            #expect(plain.identity != other.identity)
            for round in 0..<2 {
                let plainIsReused = try await pool.exchange(with: plain)
                let otherIsReused = try await pool.exchange(with: other)
                #expect(plainIsReused == (round > 0))
                #expect(otherIsReused == (round > 0))
            }
            #expect(origin.connectionCount == 2)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: PeerDifference.timings) func alike(
        _ difference: PeerDifference
    ) async throws {
        try await withPool { pool, origin in
            let plain = HttpPeer(origin.address)
            let other = difference.make(origin.address)
            #expect(plain.identity == other.identity)
            try await pool.exchange(with: plain)
            let isReused = try await pool.exchange(with: other)
            #expect(isReused)
        }
    }

    @Test(.timeLimit(.minutes(5))) func addresses() async throws {
        try await withPool { pool, origin in
            try await withScriptedOrigin(.ok()) { other in
                try await pool.exchange(with: HttpPeer(origin.address))
                let isReused = try await pool.exchange(with: HttpPeer(other.address))
                #expect(!isReused)
                #expect(other.connectionCount == 1)
            }
        }
    }
}
