import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// Origins whose pooled connections die as a second request is written to them.
enum DyingOrigin {
    static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    /// Connections before `index` answer one request, take the next one whole and die; later ones go on.
    static func before(_ index: Int, resets: Bool) -> OriginScript {
        OriginScript { connection in
            var served = 0
            while let request = try await connection.nextRequest() {
                if connection.index < index, served == 1 {
                    if resets { connection.reset() }
                    return
                }
                served += 1
                try await connection.send(
                    "HTTP/1.1 200 OK\r\nContent-Length: \(request.body.count)\r\n\r\n\(request.text)"
                )
            }
        }
    }
}

@Suite("A request is tried again where that is safe, and only there")
struct UpstreamRetryTests {
    private static func request(_ method: String, body: Int = 0) -> String {
        let length = body > 0 ? "Content-Length: \(body)\r\n" : ""
        return "\(method) /second HTTP/1.1\r\nHost: a\r\n\(length)\r\n" + String(repeating: "b", count: body)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            ("GET", 0, 200), ("HEAD", 0, 200), ("OPTIONS", 0, 200), ("DELETE", 0, 200), ("PUT", 0, 200),
            ("PUT", 4, 200),
            ("PUT", 65_536, 200), ("PUT", 65_537, 502), ("PUT", 300_000, 502), ("POST", 0, 502), ("POST", 4, 502),
            ("PATCH", 4, 502), ("FROB", 0, 502),
        ]
    )
    func pooledConnectionDies(method: String, body: Int, status: Int) async throws {
        for resets in [false, true] {
            try await withUpstream(DyingOrigin.before(1, resets: resets)) { fixture in
                let first = try await fixture.response(to: "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(first.status == 200)
                let second = try await fixture.response(to: Self.request(method, body: body))
                #expect(second.status == status)
                let entries = try await fixture.journal.logged(2)
                #expect(entries[1].attempts == (status == 200 ? 2 : 1))
                #expect(fixture.journal.reuses == (status == 200 ? [false, true, false] : [false, true]))
                if status == 200, method != "HEAD" {
                    #expect(second.body == Array(repeating: UInt8(ascii: "b"), count: body))
                }
                #expect(fixture.journal.entries.count == 2)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func chunkedBodyIsSentAgain() async throws {
        try await withUpstream(DyingOrigin.before(1, resets: false)) { fixture in
            _ = try await fixture.response(to: "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
            let second = try await fixture.response(
                to:
                    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n"
            )
            #expect(second.text == "abcdefg")
        }
    }

    @Test(.timeLimit(.minutes(5))) func freshConnectionIsNotTriedAgain() async throws {
        for script in [OriginScript.closing, .resetting] {
            try await withUpstream(script) { fixture in
                let response = try await fixture.response(to: Self.request("GET"))
                #expect(response.status == 502)
                #expect(fixture.origin.connectionCount == 1)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func partOfTheHeadForbidsAnotherTry() async throws {
        let script = OriginScript { connection in
            guard try await connection.nextRequest() != nil else { return }
            try await connection.send(DyingOrigin.ok)
            guard try await connection.nextRequest() != nil else { return }
            try await connection.send("HTTP/1.1 200")
        }
        try await withUpstream(script) { fixture in
            _ = try await fixture.response(to: Self.request("GET"))
            let second = try await fixture.response(to: Self.request("GET"))
            #expect(second.status == 502)
            #expect(fixture.origin.connectionCount == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func severalPooledConnectionsAreTriedBeforeDialling() async throws {
        let count = 4
        // Every connection waits until all of the first ones have a request, so that each gets one of its own.
        let script = OriginScript { connection in
            var served = 0
            while try await connection.nextRequest() != nil {
                if served == 1, connection.index < count { return }
                if served == 0, connection.index < count { try await connection.awaitRequests(count) }
                served += 1
                try await connection.send(DyingOrigin.ok)
            }
        }
        try await withUpstream(script) { fixture in
            var clients: [RawClient] = []
            for _ in 0..<count {
                let client = try await RawClient.connect(to: fixture.proxy)
                try await client.send(Self.request("GET"))
                clients.append(client)
            }
            for client in clients {
                let response = try await client.receiveResponse()
                #expect(response.status == 200)
            }
            _ = try await fixture.journal.logged(count)
            let last = try await clients[0].exchange(Self.request("GET"))
            #expect(last.status == 200)
            #expect(fixture.origin.connectionCount == count + 1)
            let entries = try await fixture.journal.logged(count + 1)
            #expect(entries.last?.attempts == count + 1)
            #expect(fixture.journal.reuses.suffix(count + 1) == [true, true, true, true, false])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [1, 2, 5]) func attemptsAreBounded(most: Int) async throws {
        let configure: @Sendable (inout UpstreamSetup) -> Void = { setup in
            setup.proxy.maximumAttempts = most
            setup.errorWhileProxy = { error in
                var error = error
                error.retry = .decided(true)
                return error
            }
        }
        try await withUpstream(.closing, configure: configure) { fixture in
            let response = try await fixture.response(to: Self.request("POST", body: 10))
            #expect(response.status == 502)
            #expect(fixture.origin.connectionCount == most)
            let entry = try #require(try await fixture.journal.logged().first)
            #expect(entry.attempts == most)
            #expect(fixture.journal.proxyFailures.count == most)
        }
    }

    @Test(.timeLimit(.minutes(5))) func connectFailuresMayGoOnWithAnotherPeer() async throws {
        try await withUpstream(.ok("from another")) { fixture in
            let refusing = HttpPeer(try await UpstreamAddresses.refusing())
            let origin = HttpPeer(fixture.origin.address)
            for retries in [true, false] {
                var setup = UpstreamSetup(upstream: fixture.origin.address)
                setup.peer = { attempt in attempt < 3 ? refusing : origin }
                if retries {
                    setup.failToConnect = { error in
                        var error = error
                        error.retry = .decided(true)
                        return error
                    }
                }
                try await withUpstreamProxy(setup, origin: fixture.origin) { fixture in
                    let response = try await fixture.response(to: Self.request("POST", body: 100))
                    #expect(response.status == (retries ? 200 : 502))
                    let entry = try #require(try await fixture.journal.logged().first)
                    #expect(entry.attempts == (retries ? 3 : 1))
                    #expect(fixture.journal.connectFailures.count == (retries ? 2 : 1))
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func anotherPeerGetsTheWholeBody() async throws {
        try await withUpstream(.closing) { fixture in
            try await withScriptedOrigin(DyingOrigin.before(0, resets: false)) { second in
                let dying = HttpPeer(fixture.origin.address)
                let other = HttpPeer(second.address)
                var setup = UpstreamSetup(upstream: fixture.origin.address)
                setup.peer = { attempt in attempt == 1 ? dying : other }
                setup.errorWhileProxy = { error in
                    var error = error
                    error.retry = .decided(true)
                    return error
                }
                try await withUpstreamProxy(setup, origin: fixture.origin) { fixture in
                    let response = try await fixture.response(to: Self.request("POST", body: 65_536))
                    #expect(response.body.count == 65_536)
                    let tooLarge = try await fixture.response(to: Self.request("POST", body: 65_537))
                    #expect(tooLarge.status == 502)
                }
            }
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            (PingoraError(.httpStatus(503)), 503), (PingoraError(.resolveError, source: .upstream), 502),
        ]
    )
    func peerThatCannotBeNamedIsNotAskedForAgain(error: PingoraError, status: Int) async throws {
        let configure: @Sendable (inout UpstreamSetup) -> Void = { setup in
            setup.peer = { _ in throw error }
        }
        try await withUpstream(.ok(), configure: configure) { fixture in
            let response = try await fixture.response(to: Self.request("GET"))
            #expect(response.status == status)
            let entry = try #require(try await fixture.journal.logged().first)
            #expect(entry.attempts == 1)
        }
    }
}

extension OriginConnection {
    /// Waits until the origin has received so many requests over all its connections.
    func awaitRequests(_ count: Int) async throws {
        try await origin.wait { $0.requestCount >= count }
    }
}
