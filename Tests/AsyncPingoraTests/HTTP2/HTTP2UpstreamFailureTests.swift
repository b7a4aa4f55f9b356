import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("What an HTTP/2 upstream does to its connection and streams decides about retries and answers", .serialized)
struct HTTP2UpstreamFailureTests {
    @Test(
        "After a GOAWAY streams that it leaves out go elsewhere and the others finish",
        .timeLimit(.minutes(5)),
        arguments: Workers.allCases
    )
    func goAway(workers: Workers) async throws {
        try await withHTTP2Proxy(workers: workers) { proxy, origin in
            let client = try await proxy.client()
            var streams: [HTTP2.StreamID] = []
            for path in ["/0", "/1", "/2", "/3"] { streams.append(try await client.request("POST", path, body: [1])) }
            let first = try await origin.accept()
            try await first.pump { $0.waitingRequestCount == 4 }
            // Which client's request is on which stream is the proxy's to choose.
            var paths: [HTTP2.StreamID: String] = [:]
            for _ in 0..<4 {
                let stream = try await first.nextRequest()
                paths[stream] = first.exchanges[stream]?.request?.target
            }
            try await first.send(.goAway(last: 3))
            let second = try await origin.accept()
            try await second.pump { $0.waitingRequestCount == 2 }
            for _ in 0..<2 {
                let stream = try await second.nextRequest()
                paths[stream + 4] = second.exchanges[stream]?.request?.target
                #expect(try await second.finish(stream).body == [1], "the body is sent again")
                try await second.respond(to: stream, body: Array("second".utf8))
            }
            #expect(
                Set([5, 7].compactMap { paths[$0] })
                    == Set(["/0", "/1", "/2", "/3"]).subtracting([1, 3].compactMap { paths[$0] })
            )
            for stream in [1, 3] as [HTTP2.StreamID] { try await first.respond(to: stream, body: Array("first".utf8)) }
            var texts: [String] = []
            for stream in streams { texts.append(try await client.finish(stream).text) }
            #expect(texts.sorted() == ["first", "first", "second", "second"])
            try await first.pumpToEnd()
            let later = try await client.request("GET", "/later")
            try await second.respond(to: try await second.nextRequest(), body: [7])
            #expect(try await client.finish(later).body == [7])
            #expect(origin.origin.connectionCount == 2)
            let entries = try await proxy.journal.logged(5)
            #expect(entries.allSatisfy { $0.error == nil && $0.status == 200 })
            let facts = await proxy.facts { $0.inUse == 0 && $0.open == 1 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.open == 1 && facts.h2Streams == 0)
        }
    }

    @Test(
        "A stream that was refused is asked again, whatever its method",
        .timeLimit(.minutes(5)),
        arguments: ["GET", "POST"]
    )
    func refusedStream(method: String) async throws {
        try await withHTTP2Proxy { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request(method, "/", body: method == "GET" ? [] : [1, 2, 3])
            let server = try await origin.accept()
            try await server.reset(try await server.nextRequest(), .refusedStream)
            let again = try await server.nextRequest()
            let request = try await server.finish(again)
            #expect(request.body == (method == "GET" ? [] : [1, 2, 3]))
            try await server.respond(to: again)
            #expect(try await client.finish(stream).status == 200)
            let entries = try await proxy.journal.logged()
            #expect(entries.map(\.attempts) == [2] && entries[0].error == nil)
        }
    }

    @Test("A server that refuses for ever is not asked for ever", .timeLimit(.minutes(5)))
    func refusedForEver() async throws {
        let script = OriginScript.http2 { connection in
            while true { try await connection.reset(try await connection.nextRequest(), .refusedStream) }
        }
        let configure: @Sendable (inout UpstreamSetup) -> Void = { $0.proxy.maximumAttempts = 3 }
        try await withUpstream(script, options: .http2(), configure: configure) { proxy in
            let response = try await proxy.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.status == 502)
            #expect(proxy.origin.requestCount == 3)
        }
    }

    /// What is answered, and after how many attempts, when the upstream resets a stream before its answer.
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            ("GET", HTTP2.ErrorCode.internalError), ("POST", .internalError), ("POST", .cancel), ("GET", .noError),
            ("POST", .enhanceYourCalm), ("GET", .http11Required),
        ]
    )
    func resetBeforeHead(method: String, code: HTTP2.ErrorCode) async throws {
        try await withHTTP2Proxy { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request(method, "/", body: method == "GET" ? [] : [1])
            let server = try await origin.accept()
            try await server.reset(try await server.nextRequest(), code)
            #expect(try await client.finish(stream).status == 502)
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.attempts == 1)
            #expect(entry.error?.kind == (code == .http11Required ? .h2Downgrade : .h2Error(code)))
            // The connection is as good as before.
            let next = try await client.request("GET", "/next")
            try await server.respond(to: try await server.nextRequest())
            #expect(try await client.finish(next).status == 200)
            #expect(origin.origin.connectionCount == 1)
        }
    }

    @Test(
        "What is cut behind its head ends in a reset, never in a clean end",
        .timeLimit(.minutes(5)),
        arguments: Cut.allCases,
        Version.allCases
    )
    func cut(cut: Cut, version: Version) async throws {
        try await withHTTP2Proxy { proxy, origin in
            let http1 = try await RawClient.connect(to: proxy.proxy)
            let http2 = try await proxy.client()
            var stream: HTTP2.StreamID = 0
            switch version {
            case .http1: try await http1.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            case .http2: stream = try await http2.request("GET", "/")
            }
            let server = try await origin.accept()
            let id = try await server.nextRequest()
            try await server.respond(to: id, 200, cut.fields, body: nil)
            try await server.send(.pattern(1_000), on: id)
            if version == .http2 { try await http2.pump { $0.exchanges[stream]?.body.count == 1_000 } }
            try await cut.happen(to: id, of: server)
            switch version {
            case .http1:
                let outcome = try await UpstreamOutcome(from: http1)
                #expect(outcome.status == 200 && !outcome.looksComplete)
            case .http2:
                let exchange = try await http2.finish(stream)
                #expect(exchange.status == 200 && !exchange.isComplete)
                #expect(exchange.closed == .internalError)
            }
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.error?.source == .upstream && entry.attempts == 1 && entry.status == 200)
            let facts = await proxy.facts { $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.h2Streams == 0)
        }
    }

    /// How an upstream breaks off.
    enum Cut: CaseIterable, Sendable {
        case stream, streamWithLength, streamWithoutError, connection, connectionReset, goAwayWithError

        var fields: [String] { self == .streamWithLength ? ["content-length: 5000"] : [] }

        func happen(to stream: HTTP2.StreamID, of server: RawHTTP2Connection) async throws {
            switch self {
            case .stream, .streamWithLength: try await server.reset(stream, .cancel)
            case .streamWithoutError: try await server.reset(stream, .noError)
            case .connection: server.close()
            case .connectionReset: server.connection.reset()
            case .goAwayWithError:
                try await server.send(.goAway(last: stream, .internalError))
                server.close()
            }
        }
    }

    @Test(
        "A connection that dies is asked again only for what may be, and only if it had been used",
        .timeLimit(.minutes(5)),
        arguments: ["GET", "POST"],
        [true, false]
    )
    func connectionDies(method: String, isReused: Bool) async throws {
        try await withHTTP2Proxy { proxy, origin in
            let client = try await proxy.client()
            let warmUp = try await client.request("GET", "/warm-up")
            let first = try await origin.accept()
            let held = try await first.nextRequest()
            if isReused {
                try await first.respond(to: held)
                try await client.finish(warmUp)
            } else {
                try await first.reset(held, .cancel)
                try await client.finish(warmUp)
                first.close()
                await proxy.facts { $0.open == 0 }
            }
            let stream = try await client.request(method, "/", body: method == "GET" ? [] : [1])
            let server = isReused ? first : try await origin.accept()
            _ = try await server.nextRequest()
            server.close()
            if isReused, method == "GET" {
                let second = try await origin.accept()
                try await second.respond(to: try await second.nextRequest())
                #expect(try await client.finish(stream).status == 200)
            } else {
                #expect(try await client.finish(stream).status == 502)
            }
            let entry = try await proxy.journal.logged(2)[1]
            #expect(entry.attempts == (isReused && method == "GET" ? 2 : 1))
            let facts = await proxy.facts { $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.h2Streams == 0)
        }
    }

    @Test("An upstream that does not speak HTTP/2 is a bad gateway, asked once", .timeLimit(.minutes(5)))
    func garbage() async throws {
        let script = OriginScript.replying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        try await withUpstream(script, options: .http2()) { proxy in
            let response = try await proxy.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.status == 502)
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.error?.kind == .invalidH2 && entry.attempts == 1)
        }
    }
}
