import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import InMemoryTracing
import Testing
import Tracing

/// A tracer that keeps what is traced, and counts how often each of its spans ends.
struct KeptSpans: Sendable {
    let tracer = InMemoryTracer()

    /// Has a proxy traced.
    var setUp: @Sendable (inout UpstreamSetup) -> Void {
        { [tracer] in $0.tracer = tracer }
    }

    /// Waits until so many spans have ended, and returns them in the order in which they began.
    func ended(_ count: Int) async throws -> [FinishedInMemorySpan] {
        _ = await MeasuredService().settled({ tracer.finishedSpans.count }, at: count)
        let spans = tracer.finishedSpans
        try #require(spans.count == count && tracer.activeSpans.isEmpty)
        return spans.sorted { Int($0.spanID.dropFirst(5)) ?? 0 < Int($1.spanID.dropFirst(5)) ?? 0 }
    }
}

extension FinishedInMemorySpan {
    /// The attributes, as text.
    var facts: [String: String] {
        var facts: [String: String] = [:]
        let note = { (key: String, value: SpanAttribute) in
            switch value {
            case .string(let text): facts[key] = text
            case .int64(let number): facts[key] = "\(number)"
            default: facts[key] = "\(value)"
            }
        }
        attributes.forEach(note)
        return facts
    }

    var isError: Bool { status?.code == .error }
}

@Suite("Each request has a span, and each attempt to have it answered")
struct TracingTests {
    private static let get = "GET /a?secret=1 HTTP/1.1\r\nHost: example.com:81\r\n\r\n"

    @Test("One request, one attempt", .timeLimit(.minutes(2)))
    func success() async throws {
        let kept = KeptSpans()
        try await withUpstream(.ok(), configure: kept.setUp) { fixture in
            let client = try await RawClient.connect(to: fixture.proxy)
            defer { client.close() }
            #expect(try await client.exchange(Self.get).status == 200)
            let spans = try await kept.ended(2)
            let port = try #require(fixture.origin.address.port)
            let address = try #require(client.localAddress?.port)
            #expect(spans[0].operationName == "GET" && spans[0].kind == .server && spans[0].parentSpanID == nil)
            #expect(
                spans[0].facts == [
                    "http.request.method": "GET", "url.path": "/a", "url.scheme": "http",
                    "network.protocol.version": "1.1", "server.address": "example.com", "server.port": "81",
                    "client.address": "127.0.0.1", "client.port": "\(address)", "http.response.status_code": "200",
                ]
            )
            #expect(spans[1].operationName == "GET" && spans[1].kind == .client)
            #expect(spans[1].parentSpanID == spans[0].spanID && spans[1].traceID == spans[0].traceID)
            #expect(
                spans[1].facts == [
                    "http.request.method": "GET", "url.scheme": "http", "url.full": "http://example.com:81/a",
                    "network.protocol.version": "1.1", "server.address": "127.0.0.1", "server.port": "\(port)",
                    "network.peer.address": "127.0.0.1", "http.response.status_code": "200",
                ]
            )
            #expect(!spans[0].isError && !spans[1].isError)
            let sent = try #require(fixture.origin.requests.first)
            #expect(sent.values(InMemoryTracer.traceIDKey) == [spans[0].traceID])
            #expect(sent.values(InMemoryTracer.spanIDKey) == [spans[1].spanID])
        }
    }

    @Test("A request's span is a child of its client's", .timeLimit(.minutes(2)))
    func parent() async throws {
        let kept = KeptSpans()
        try await withUpstream(.ok(), configure: kept.setUp) { fixture in
            let fields = "\(InMemoryTracer.traceIDKey): t\r\n\(InMemoryTracer.spanIDKey): s\r\n"
            _ = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            let spans = try await kept.ended(2)
            #expect(spans.map(\.traceID) == ["t", "t"])
            #expect(spans.map(\.parentSpanID) == ["s", spans[0].spanID])
            #expect(fixture.origin.requests.first?.values(InMemoryTracer.spanIDKey) == [spans[1].spanID])
        }
    }

    @Test("Each attempt has a span of its own", .timeLimit(.minutes(2)))
    func retry() async throws {
        let kept = KeptSpans()
        let nobody = try await UpstreamAddresses.refusing()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            let alive = setup.peer
            setup.tracer = kept.tracer
            setup.peer = { attempt in try attempt == 1 ? HttpPeer(nobody) : alive(attempt) }
            setup.failToConnect = { error in
                var error = error
                error.retry = .decided(true)
                return error
            }
        }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            #expect(try await fixture.response(to: Self.get).status == 200)
            let spans = try await kept.ended(3)
            #expect(spans.map(\.kind) == [.server, .client, .client])
            #expect(spans[1...].allSatisfy { $0.parentSpanID == spans[0].spanID })
            #expect(spans[1].facts["error.type"] == "ConnectRefused" && spans[1].isError)
            #expect(spans[1].facts["http.response.status_code"] == nil)
            #expect(spans[2].facts["http.request.resend_count"] == "1" && !spans[2].isError)
            #expect(!spans[0].isError && spans[0].facts["error.type"] == nil)
        }
    }

    @Test("What the statuses and failures say", .timeLimit(.minutes(2)))
    func failures() async throws {
        let kept = KeptSpans()
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                if request.target == "/close" { return }
                let status = request.target.dropFirst()
                try await connection.send("HTTP/1.1 \(status) Status\r\nContent-Length: 0\r\n\r\n")
            }
        }
        try await withUpstream(script, configure: kept.setUp) { fixture in
            for (index, (target, server, client)) in [
                ("404", nil, "404"), ("503", "503", "503"), ("close", "ConnectionClosed", "ConnectionClosed"),
            ].enumerated() {
                _ = try await fixture.response(to: "POST /\(target) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                let spans = try await kept.ended(2 * index + 2).suffix(2).map { $0 }
                #expect(spans.map { $0.facts["error.type"] } == [server, client])
                #expect(spans.map(\.isError) == [server != nil, true])
                #expect(spans.allSatisfy { $0.operationName == "POST" })
            }
            _ = try await fixture.response(to: "FROB /200 HTTP/1.1\r\nHost: a\r\n\r\n")
            let odd = try await kept.ended(8)[6]
            #expect(odd.operationName == "HTTP" && odd.facts["http.request.method"] == "_OTHER")
            #expect(odd.facts["http.request.method_original"] == "FROB")
        }
    }

    @Test("A client that leaves ends both spans", .timeLimit(.minutes(2)))
    func clientGone() async throws {
        let kept = KeptSpans()
        try await withUpstream(.stalling, configure: kept.setUp) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                try await client.send(Self.get)
                try await fixture.origin.wait { $0.requestCount == 1 }
            }
            let spans = try await kept.ended(2)
            #expect(spans.map { $0.facts["error.type"] } == ["ConnectionClosed", "ConnectionClosed"])
            #expect(!spans[0].isError && spans[0].facts["http.response.status_code"] == nil)
        }
    }

    @Test("Spans that callbacks make are children of the request's", .timeLimit(.minutes(2)))
    func nesting() async throws {
        let kept = KeptSpans()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            setup.tracer = kept.tracer
            setup.responseFilter = { _ in kept.tracer.startSpan("mine").end() }
        }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            for request in 0..<2 {
                _ = try await fixture.response(to: Self.get)
                let spans = Array(try await kept.ended(3 * request + 3).suffix(3))
                #expect(spans.map(\.operationName) == ["GET", "GET", "mine"])
                #expect(spans[2].parentSpanID == spans[0].spanID)
            }
        }
    }

    @Test("HTTP/2 on both sides", .timeLimit(.minutes(2)))
    func http2() async throws {
        let kept = KeptSpans()
        try await withHTTP2Proxy(configure: kept.setUp) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("GET", "/x")
            let server = try await origin.accept()
            let id = try await server.nextRequest()
            let sent = try #require(server.exchanges[id]?.request)
            try await server.respond(to: id)
            #expect(try await client.finish(stream).status == 200)
            let spans = try await kept.ended(2)
            #expect(spans.map { $0.facts["network.protocol.version"] } == ["2", "2"])
            #expect(spans[0].facts["url.path"] == "/x" && spans[1].parentSpanID == spans[0].spanID)
            #expect(HeaderExtractor().extract(key: InMemoryTracer.spanIDKey, from: sent.headers) == spans[1].spanID)
        }
    }

    @Test("Without a tracer both fields pass as they came", .timeLimit(.minutes(2)))
    func untouched() async throws {
        try await withUpstream(.ok()) { fixture in
            _ = try await fixture.response(
                to: "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: odd\r\ntracestate: a=1\r\ntracestate: A\r\n\r\n"
            )
            let sent = try #require(fixture.origin.requests.first)
            #expect(sent.values("traceparent") == ["odd"])
            #expect(sent.values("tracestate") == ["a=1", "A"])
        }
    }

    @Test("Identifiers are passed on, and made, without a tracing system", .timeLimit(.minutes(2)))
    func propagation() async throws {
        let known = "4bf92f3577b34da6a3ce929d0e0e4736"
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { $0.tracer = W3CPropagation() }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            let requests = [
                "traceparent: 00-\(known)-00f067aa0ba902b7-01\r\ntracestate: a=1\r\ntracestate: b=2\r\n",
                "traceparent: 00-\(known)-0000000000000000-01\r\ntracestate: a=1\r\n", "",
            ]
            for fields in requests {
                _ = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            }
            let sent = fixture.origin.requests
            let contexts = sent.compactMap { request in
                request["traceparent"].flatMap { W3CTraceContext(traceparent: $0) }
            }
            try #require(contexts.count == 3)
            #expect(sent.allSatisfy { $0.values("traceparent").count == 1 })
            #expect("\(contexts[0].traceID)" == known && "\(contexts[0].parentID)" != "00f067aa0ba902b7")
            #expect(contexts[0].isSampled && sent[0].values("tracestate") == ["a=1,b=2"])
            for index in 1...2 {
                #expect("\(contexts[index].traceID)" != known && !contexts[index].isSampled)
                #expect(sent[index].values("tracestate").isEmpty)
            }
            #expect(contexts[1].traceID != contexts[2].traceID)
        }
    }
}
