import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("Requests that wait for an HTTP/2 connection are told when there will be none", .serialized)
struct HTTP2DialTests {
    @Test("The dial fails", .timeLimit(.minutes(5)), arguments: Workers.allCases)
    func refused(workers: Workers) async throws {
        let gone = try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.ok()) { $0.address }
        }
        try await withHTTP2Pool(workers: workers) { pool, _ in
            let outcomes = await pool.burst(20, to: .http2(gone))
            #expect(outcomes.allSatisfy { $0 == "ConnectRefused" })
            let facts = await pool.facts { $0.open == 0 && $0.inUse == 0 && $0.created == 0 }
            #expect(facts.open == 0 && facts.inUse == 0 && facts.created == 0)
        }
    }

    @Test("The server goes away before it has said a word", .timeLimit(.minutes(5)), arguments: Workers.allCases)
    func closedBeforeSettings(workers: Workers) async throws {
        let script = OriginScript { connection in _ = try await connection.receive(count: 24) }
        try await withPool(script, threads: workers.count, flavor: workers.flavor) { pool, origin in
            let outcomes = await pool.burst(10, to: .http2(origin.address))
            #expect(outcomes.count == 10 && !outcomes.contains(nil))
            let facts = await pool.facts { $0.open == 0 && $0.inUse == 0 && $0.h2Streams == 0 && $0.h2Connections == 0 }
            #expect(facts.open == 0 && facts.inUse == 0 && facts.h2Streams == 0 && facts.h2Connections == 0)
        }
    }

    @Test("The server says something that is not HTTP/2", .timeLimit(.minutes(5)), arguments: Workers.allCases)
    func garbage(workers: Workers) async throws {
        let script = OriginScript.replying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        try await withPool(script, threads: workers.count, flavor: workers.flavor) { pool, origin in
            let outcomes = await pool.burst(5, to: .http2(origin.address))
            // A request that had not been left with the connection yet only learns that there is none.
            #expect(outcomes.allSatisfy { $0 == "InvalidH2" || $0 == "ConnectionClosed" })
            let facts = await pool.facts { $0.open == 0 && $0.inUse == 0 && $0.h2Connections == 0 }
            #expect(facts.open == 0 && facts.inUse == 0 && facts.h2Connections == 0)
        }
    }

    @Test("No settings come in time", .timeLimit(.minutes(5)))
    func silence() async throws {
        try await withHTTP2Pool { pool, origin in
            let peer = HttpPeer.http2(origin.address) { $0.connectionTimeout = .milliseconds(200) }
            try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<5 { group.addTask { await pool.outcome(of: peer) } }
                let server = try await origin.accept()
                server.holdsOutput = true
                // The one that made the connection has put its request on it.
                let stream = try await server.nextRequest()
                for _ in 0..<4 {
                    let outcome = try await group.next()
                    #expect(outcome == "ConnectTimedOut")
                }
                server.holdsOutput = false
                try await server.respond(to: stream)
                let last = try await group.next()
                #expect(last == .some(nil))
            }
            let facts = await pool.facts { $0.idle == 1 && $0.inUse == 0 }
            #expect(facts.inUse == 0 && facts.idle == 1)
            #expect(origin.origin.connectionCount == 1)
        }
    }

    @Test("The one that dials is cancelled: another dials in its place", .timeLimit(.minutes(5)))
    func dialerCancelled() async throws {
        // The first handshake is never answered; the next connection is closed.
        let script = OriginScript { connection in
            if connection.index == 0 { try await connection.stall() }
        }
        try await withPool(script) { pool, origin in
            var tls = TLSClientOptions(serverName: "a")
            tls.verifiesCertificate = false
            var options = PeerOptions()
            options.httpVersions = .http2
            let peer = HttpPeer(origin.address, tls: tls, options: options)
            try await withThrowingTaskGroup(of: String?.self) { dialer in
                dialer.addTask { await pool.outcome(of: peer) }
                try await origin.wait { $0.connectionCount == 1 }
                async let other = pool.outcome(of: peer)
                await pool.facts { $0.inUse == 2 }
                dialer.cancelAll()
                let cancelled = try await dialer.next()
                #expect(cancelled == "Cancelled")
                let outcome = await other
                #expect(outcome != nil && outcome != "Cancelled")
            }
            #expect(origin.connectionCount == 2)
        }
    }

    @Test("Those that wait are cancelled, and the others are not", .timeLimit(.minutes(5)))
    func cancelled() async throws {
        try await withHTTP2Pool { pool, origin in
            let peer = HttpPeer.http2(origin.address)
            async let first = pool.outcome(of: peer)
            let server = try await origin.accept()
            server.holdsOutput = true
            let stream = try await server.nextRequest()
            await withTaskGroup(of: String?.self) { group in
                for _ in 0..<3 { group.addTask { await pool.outcome(of: peer) } }
                await pool.facts { $0.inUse == 4 }
                group.cancelAll()
                for await outcome in group { #expect(outcome == "Cancelled") }
            }
            server.holdsOutput = false
            try await server.respond(to: stream)
            let outcome = await first
            #expect(outcome == nil)
            let facts = await pool.facts { $0.idle == 1 && $0.inUse == 0 && $0.created == 1 }
            #expect(facts.inUse == 0 && facts.idle == 1 && facts.created == 1)
        }
    }
}
