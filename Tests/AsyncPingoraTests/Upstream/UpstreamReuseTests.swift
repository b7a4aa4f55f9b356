import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// A response, and whether its connection may carry another request.
struct ReuseCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let response: String
    let isReused: Bool
    var request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    init(_ name: String, _ response: String, isReused: Bool, request: String? = nil) {
        testDescription = name
        self.response = response
        self.isReused = isReused
        if let request { self.request = request }
    }

    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

    static let all: [ReuseCase] = [
        .init("length", ok + "\r\nok", isReused: true),
        .init("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", isReused: true),
        .init(
            "chunked with trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
            isReused: true
        ),
        .init("204", "HTTP/1.1 204 No Content\r\n\r\n", isReused: true),
        .init("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", isReused: true),
        .init("after 103", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "\r\nok", isReused: true),
        .init("500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", isReused: true),
        .init(
            "client's close stays with the client",
            ok + "\r\nok",
            isReused: true,
            request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ),
        .init("1.0 client", ok + "\r\nok", isReused: true, request: "GET / HTTP/1.0\r\n\r\n"),
        .init("Connection: close", ok + "Connection: close\r\n\r\nok", isReused: false),
        .init("Connection: CLOSE among others", ok + "Connection: foo, CLOSE\r\n\r\nok", isReused: false),
        .init("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", isReused: false),
        .init(
            "1.0 keep-alive",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            isReused: true
        ),
        .init("garbage after a length", ok + "\r\nokGARBAGE", isReused: false),
        .init("one byte too many", ok + "\r\nok\n", isReused: false),
        .init("second response", ok + "\r\nok" + ok + "\r\nno", isReused: false),
        .init("garbage after 204", "HTTP/1.1 204 No Content\r\n\r\nx", isReused: false),
        .init("body of a HEAD response", ok + "\r\nok", isReused: false, request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        .init(
            "garbage after chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx",
            isReused: false
        ),
        .init("Keep-Alive: timeout=60", ok + "Keep-Alive: timeout=60\r\n\r\nok", isReused: true),
        .init("Keep-Alive: max=9, timeout=60", ok + "Keep-Alive: max=9, timeout=60\r\n\r\nok", isReused: true),
        .init("Keep-Alive: timeout=0", ok + "Keep-Alive: timeout=0\r\n\r\nok", isReused: false),
        .init("Keep-Alive: timeout=1", ok + "Keep-Alive: timeout=1\r\n\r\nok", isReused: false),
        .init("Keep-Alive: huge", ok + "Keep-Alive: timeout=9223372036854775807\r\n\r\nok", isReused: true),
        .init(
            "Keep-Alive: larger than an integer",
            ok + "Keep-Alive: timeout=99999999999999999999\r\n\r\nok",
            isReused: true
        ),
        .init("Keep-Alive: malformed", ok + "Keep-Alive: timeout=-5, timeout=, =, timeout\r\n\r\nok", isReused: true),
    ]
}

@Suite("An upstream connection is used again exactly when its last exchange left it clean")
struct UpstreamReuseTests {
    @Test(.timeLimit(.minutes(5)), arguments: ReuseCase.all) func decision(_ reuse: ReuseCase) async throws {
        try await withUpstream(.replying(reuse.response)) { fixture in
            for count in 1...3 {
                let outcome = try await RawClient.withConnection(to: fixture.proxy) { client in
                    try await client.exchange(reuse.request)
                }
                #expect(outcome.text == "ok" || outcome.text.isEmpty)
                _ = try await fixture.journal.logged(count)
            }
            #expect(fixture.origin.connectionCount == (reuse.isReused ? 1 : 3))
            #expect(fixture.journal.reuses == (reuse.isReused ? [false, true, true] : [false, false, false]))
            let entries = fixture.journal.entries
            #expect(entries.allSatisfy { $0.error == nil && $0.attempts == 1 })
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["bytes", "close", "reset"]) func restlessIdleConnection(
        what: String
    ) async throws {
        let script = OriginScript { connection in
            guard try await connection.nextRequest() != nil else { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            guard connection.index == 0 else { return try await connection.stall() }
            // Only when the connection rests, so that it is the pool which has to notice.
            try await connection.origin.wait { $0.requests.contains { $0.target == "/go" } }
            switch what {
            case "bytes":
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
                try await connection.stall()
            case "reset": connection.reset()
            default: connection.close()
            }
        }
        try await withUpstream(script) { fixture in
            let first = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(first.text == "ok")
            _ = try await fixture.journal.logged()
            // The word goes past the proxy.
            let direct = try await RawClient.connect(to: fixture.origin.address)
            let reply = try await direct.exchange("GET /go HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(reply.text == "ok")
            direct.close()
            try await fixture.origin.wait { $0.openConnectionCount == 0 }
            try await fixture.connector.awaitFacts { $0.idle == 0 && $0.evicted == 1 }
            let second = try await fixture.response(to: "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(second.text == "ok")
            #expect(fixture.journal.reuses == [false, false])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ExecutorFlavor.allCases) func manyRequestsLeaveNothingBehind(
        flavor: ExecutorFlavor
    ) async throws {
        let configure: @Sendable (inout UpstreamSetup) -> Void = { setup in
            setup.threads = 2
            setup.flavor = flavor
        }
        try await withUpstream(.ok(), configure: configure) { fixture in
            let clientCount = 8
            let rounds = 400
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<clientCount {
                    group.addTask {
                        try await RawClient.withConnection(to: fixture.proxy) { client in
                            for _ in 0..<rounds {
                                let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                                #expect(response.text == "ok")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            _ = try await fixture.journal.logged(clientCount * rounds)
            let facts = await fixture.connector.poolFacts()
            #expect(facts.inUse == 0)
            #expect(facts.created <= clientCount)
            #expect(facts.created + facts.reused == clientCount * rounds)
            #expect(facts.idle == facts.created)
            #expect(fixture.origin.openConnectionCount == facts.idle)
        }
    }
}

extension Connector {
    /// Waits until the pools are in the wanted state.
    func awaitFacts(_ condition: (PoolFacts) -> Bool) async throws {
        let deadline = Deadline.after(.seconds(120))
        while true {
            let facts = await poolFacts()
            if condition(facts) { return }
            if deadline.hasPassed { throw UpstreamTestError("the pools are not as they should be: \(facts)") }
            await Task.yield()
        }
    }
}
