import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import MetricsTestKit
import Testing

/// A request on a connection of its own, what the origin does with it, and everything that is counted then.
struct CountedExchange: CustomTestStringConvertible, Sendable {
    let testDescription: String
    var request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    var script = OriginScript.ok()
    let status: Int
    let counts: [String: Int]

    static let all: [CountedExchange] = [
        .init(
            testDescription: "success",
            status: 200,
            counts: [
                "requests_total status=2xx": 1, "received_bytes_total side=upstream": 2,
                "sent_bytes_total side=downstream": 2, "pool_created_total": 1,
            ]
        ),
        .init(
            testDescription: "body in both directions",
            request: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            script: .ok("goodbye"),
            status: 200,
            counts: [
                "requests_total status=2xx": 1, "received_bytes_total side=downstream": 5,
                "sent_bytes_total side=upstream": 5, "received_bytes_total side=upstream": 7,
                "sent_bytes_total side=downstream": 7, "pool_created_total": 1,
            ]
        ),
        .init(
            testDescription: "the upstream's 404",
            script: .replying("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            status: 404,
            counts: ["requests_total status=4xx": 1, "pool_created_total": 1]
        ),
        .init(
            testDescription: "the upstream's redirection",
            script: .replying("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"),
            status: 302,
            counts: ["requests_total status=3xx": 1, "pool_created_total": 1]
        ),
        .init(
            testDescription: "a status that is none",
            script: .replying("HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n"),
            status: 700,
            counts: ["requests_total status=other": 1, "pool_created_total": 1]
        ),
        .init(
            testDescription: "a request that breaks the protocol",
            request: "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            status: 400,
            counts: [
                "requests_total status=4xx": 1, "errors_total source=downstream type=InvalidHTTPHeader": 1,
            ]
        ),
        .init(
            testDescription: "CONNECT where it is not allowed",
            request: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            status: 405,
            counts: ["requests_total status=4xx": 1]
        ),
        .init(
            testDescription: "an upstream that closes",
            script: .closing,
            status: 502,
            counts: [
                "requests_total status=5xx": 1, "errors_total source=upstream type=ConnectionClosed": 1,
                "pool_created_total": 1,
            ]
        ),
    ]
}

@Suite("A service counts and times what it does, and nothing else")
struct MetricsTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let phases = ["filters", "peer", "connect", "upstream", "response"]

    @Test(.timeLimit(.minutes(2)), arguments: CountedExchange.all)
    func exchange(_ exchange: CountedExchange) async throws {
        let measured = MeasuredService()
        try await withUpstream(exchange.script, configure: measured.setUp) { fixture in
            let response = try await fixture.response(to: exchange.request)
            #expect(response.status == exchange.status)
            var expected = exchange.counts
            expected["connections_accepted_total"] = 1
            // What the proxy answers by itself has a body of its own.
            if !response.body.isEmpty { expected["sent_bytes_total side=downstream"] = response.body.count }
            await measured.expect(counts: expected)
        }
    }

    @Test("Each phase that an exchange gets through is timed once", .timeLimit(.minutes(2)))
    func phases() async throws {
        let measured = MeasuredService()
        try await withUpstream(.ok(), configure: measured.setUp) { fixture in
            _ = try await fixture.response(to: Self.get)
            var expected = ["request_duration_seconds": 1]
            for phase in Self.phases { expected["phase_duration_seconds phase=\(phase)"] = 1 }
            #expect(await measured.settled({ measured.timings }, at: expected) == expected)
            // Refused before any phase.
            _ = try await fixture.response(to: "GET / HTTP/1.1\r\n\r\n")
            expected["request_duration_seconds"] = 2
            #expect(await measured.settled({ measured.timings }, at: expected) == expected)
        }
    }

    @Test("Connections are counted as they are made and used again", .timeLimit(.minutes(2)))
    func reuse() async throws {
        let measured = MeasuredService()
        try await withUpstream(.ok(), configure: measured.setUp) { fixture in
            let client = try await RawClient.connect(to: fixture.proxy)
            defer { client.close() }
            for _ in 0..<3 { #expect(try await client.exchange(Self.get).status == 200) }
            let expected = [
                "connections_accepted_total": 1, "requests_total status=2xx": 3, "pool_created_total": 1,
                "pool_reused_total": 2, "received_bytes_total side=upstream": 6, "sent_bytes_total side=downstream": 6,
            ]
            await measured.expect(counts: expected)
            let open = [
                "connections_open": 1, "pool_connections state=open": 1, "pool_connections state=idle": 1,
                "pool_connections state=in_use": 0, "h2_streams_open": 0,
            ]
            let levels = { measured.levels.filter { $0.key != "executor_queue_depth" } }
            #expect(await measured.settled(levels, at: open) == open)
            client.close()
            #expect(await measured.settled({ measured.levels["connections_open"] }, at: 0) == 0)
        }
    }

    @Test("A request that is tried again is counted once, its failed attempts as errors", .timeLimit(.minutes(2)))
    func retry() async throws {
        let measured = MeasuredService()
        let keeper = ExchangeKeeper()
        let nobody = try await UpstreamAddresses.refusing()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            let alive = setup.peer
            setup.metrics = measured.metrics
            setup.observers = [keeper]
            setup.peer = { attempt in try attempt < 3 ? HttpPeer(nobody) : alive(attempt) }
            setup.failToConnect = { error in
                var error = error
                error.retry = .decided(true)
                return error
            }
        }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            #expect(try await fixture.response(to: Self.get).status == 200)
            let expected = [
                "connections_accepted_total": 1, "requests_total status=2xx": 1, "retries_total": 2,
                "errors_total source=upstream type=ConnectRefused": 2, "pool_created_total": 1,
                "received_bytes_total side=upstream": 2, "sent_bytes_total side=downstream": 2,
            ]
            await measured.expect(counts: expected)
            let timings = try #require(keeper.entries.first).timings
            let order = [
                timings.start, timings.filtered, timings.attempt, timings.peerChosen, timings.connected,
                timings.upstreamHead, timings.end,
            ]
            #expect(order == order.sorted() && order[0] > 0)
        }
    }

    @Test("Stages of an attempt that failed are not those of the next", .timeLimit(.minutes(2)))
    func staleTimings() async throws {
        let keeper = ExchangeKeeper()
        let nobody = try await UpstreamAddresses.refusing()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            let alive = setup.peer
            setup.observers = [keeper]
            setup.peer = { attempt in try attempt == 1 ? alive(attempt) : HttpPeer(nobody) }
            setup.errorWhileProxy = { error in
                var error = error
                error.retry = .decided(true)
                return error
            }
        }
        try await withUpstream(.closing, configure: setUp) { fixture in
            #expect(try await fixture.response(to: Self.get).status == 502)
            _ = await MeasuredService().settled({ keeper.entries.count }, at: 1)
            let entry = try #require(keeper.entries.first)
            #expect(entry.failure == "ConnectRefused")
            #expect(entry.timings.attempt > entry.timings.filtered)
            #expect(entry.timings.peerChosen >= entry.timings.attempt)
            #expect(entry.timings.connected == 0 && entry.timings.upstreamHead == 0)
        }
    }

    @Test("Streams of HTTP/2 on both sides", .timeLimit(.minutes(2)))
    func http2() async throws {
        let measured = MeasuredService()
        try await withHTTP2Proxy(configure: measured.setUp) { proxy, origin in
            let client = try await proxy.client()
            var streams: [HTTP2.StreamID] = []
            for _ in 0..<3 { streams.append(try await client.request("GET", "/")) }
            let server = try await origin.accept()
            try await server.pump { $0.waitingRequestCount == 3 }
            #expect(await measured.settled({ measured.levels["h2_streams_open"] }, at: 3) == 3)
            for _ in 0..<3 { try await server.respond(to: try await server.nextRequest()) }
            for stream in streams { #expect(try await client.finish(stream).status == 200) }
            #expect(await measured.settled({ measured.levels["h2_streams_open"] }, at: 0) == 0)
            let expected = [
                "connections_accepted_total": 1, "requests_total status=2xx": 3, "pool_created_total": 1,
                "pool_reused_total": 2,
            ]
            await measured.expect(counts: expected)
        }
    }

    @Test("An upstream that answers no ping", .timeLimit(.minutes(2)))
    func pingFailure() async throws {
        let measured = MeasuredService()
        let options = PeerOptions.http2 {
            $0.h2PingInterval = .milliseconds(50)
            $0.h2PingTimeout = .milliseconds(200)
        }
        try await withHTTP2Proxy(options: options, configure: measured.setUp) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("GET", "/")
            let dead = try await origin.accept()
            try await dead.pump { $0.waitingRequestCount == 1 }
            let response = try await client.finish(stream)
            #expect(response.status == 504)
            var expected = [
                "connections_accepted_total": 1, "requests_total status=5xx": 1, "pool_created_total": 1,
                "h2_ping_failures_total": 1,
                "errors_total source=upstream type=PingTimedOut": 1,
            ]
            if !response.body.isEmpty { expected["sent_bytes_total side=downstream"] = response.body.count }
            await measured.expect(counts: expected)
        }
    }

    @Test("TLS handshakes: full, resumed, failed", .timeLimit(.minutes(2)))
    func handshakes() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        let acceptor = try TLSAcceptor(TLSServerSettings(certificates: [certificate.source]))
        let measured = MeasuredService()
        let trusted = authority.trusted
        let setUp: @Sendable (inout UpstreamSetup) -> Void = {
            $0.metrics = measured.metrics
            $0.tls = acceptor
        }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            let connector = TLSConnector()
            for _ in 0..<2 { try await Self.request(fixture.proxy, connector, trusted) }
            // No hello, but a request in the clear.
            try await RawClient.withConnection(to: fixture.proxy) { client in
                try await client.send(Self.get)
                _ = try? await client.receiveToEnd()
            }
            let expected = [
                "connections_accepted_total": 3, "requests_total status=2xx": 2, "pool_created_total": 1,
                "pool_reused_total": 1, "received_bytes_total side=upstream": 4, "sent_bytes_total side=downstream": 4,
                "tls_handshakes_total result=full": 1, "tls_handshakes_total result=resumed": 1,
                "tls_handshakes_total result=failed": 1,
            ]
            await measured.expect(counts: expected)
            #expect(await measured.settled({ measured.levels["connections_open"] }, at: 0) == 0)
        }
    }

    /// Makes a request on a connection of its own, which resumes the connector's session if it has one.
    private static func request(
        _ address: SocketAddress,
        _ connector: TLSConnector,
        _ options: TLSClientOptions
    ) async throws {
        let deadline = Deadline.after(.seconds(40))
        try await withParker { parker in
            let socket = try await SocketStream.connect(
                to: address,
                options: SocketStream.ConnectOptions(),
                deadline: deadline,
                parker: parker
            )
            let stream = try await connector.connect(
                over: socket,
                options: options,
                protocols: [.http11],
                deadline: deadline
            )
            defer { stream.close(reset: false) }
            var output = OutputQueue()
            output.append(Bytes(Array("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)))
            try await stream.write(&output, deadline: deadline)
            let buffer = IOBuffer()
            while try await stream.read(into: buffer, deadline: deadline) { buffer.removeAll() }
        }
    }

    @Test(
        "Event loops are timed on every worker, in both flavours",
        .timeLimit(.minutes(2)),
        arguments: Workers.allCases
    )
    func eventLoops(workers: Workers) async throws {
        let measured = MeasuredService()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = {
            $0.metrics = measured.metrics
            $0.threads = workers.count
            $0.flavor = workers.flavor
        }
        try await withUpstream(.ok(), configure: setUp) { _ in
            let isTimed = {
                let values = measured.recorded.timers(label: "pingora_event_loop_lag_seconds").first?.values ?? []
                return values.count >= 4 && measured.levels["executor_queue_depth"] != nil
            }
            #expect(await measured.settled(isTimed, at: true))
        }
    }

    @Test("Errors of the user's own have counters up to a limit", .timeLimit(.minutes(2)))
    func errorLimit() async throws {
        let measured = MeasuredService()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            let alive = setup.peer
            setup.metrics = measured.metrics
            setup.responseFilter = { response in
                guard let name = response.headers["x-fails"] else { return }
                throw PingoraError(.custom(name))
            }
            setup.peer = alive
        }
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                let name = request.startLine.split(separator: " ")[1].dropFirst()
                try await connection.send("HTTP/1.1 200 OK\r\nX-Fails: \(name)\r\nContent-Length: 0\r\n\r\n")
            }
        }
        try await withUpstream(script, configure: setUp) { fixture in
            for name in (0..<40).map({ "e\($0)" }) + ["e0", String(repeating: "e", count: 100)] {
                _ = try await fixture.response(to: "GET /\(name) HTTP/1.1\r\nHost: a\r\n\r\n")
            }
            let errors = { measured.counts.filter { $0.key.hasPrefix("errors_total") } }
            var expected = ["errors_total source=internal type=other": 9]
            for index in 0..<32 { expected["errors_total source=internal type=e\(index)"] = index == 0 ? 2 : 1 }
            #expect(await measured.settled(errors, at: expected) == expected)
        }
    }
}
