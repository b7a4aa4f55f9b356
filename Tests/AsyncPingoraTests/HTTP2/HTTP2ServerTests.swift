import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite(
    "Streams of an HTTP/2 client are served at the same time and apart from each other",
    .serialized,
    .timeLimit(.minutes(5))
)
struct HTTP2ServerTests {
    @Test("Many streams at once, a slow one among them", arguments: Workers.allCases)
    func manyStreams(workers: Workers) async throws {
        let diary = Diary()
        let serve: @Sendable (Session) async throws -> Void = { session in
            if session.request.path == "/slow" { try await diary.wait(for: "go on") }
            try await session.respond(.ok, body: Bytes(session.request.path))
        }
        try await withHTTP2Server(workers: workers, serve: serve) { service in
            let client = try await service.client()
            let slow = try await client.request("GET", "/slow")
            for round in 0..<5 {
                var streams: [HTTP2.StreamID: String] = [:]
                for index in 0..<100 {
                    let path = "/\(round)/\(index)"
                    streams[try await client.request("GET", path)] = path
                }
                for (stream, path) in streams {
                    let exchange = try await client.finish(stream)
                    #expect(exchange.status == 200 && exchange.text == path)
                }
            }
            #expect(client.exchanges[slow] == nil)
            diary.note("go on")
            #expect(try await client.finish(slow).text == "/slow")
        }
    }

    @Test("Bodies of many streams cross in both directions", arguments: Workers.allCases)
    func echo(workers: Workers) async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            try await session.writeResponseHeader(ResponseHeader(statusCode: 200))
            while let bytes = try await session.readRequestBody() {
                try await session.writeResponseBody(bytes, endOfStream: false)
            }
            try await session.writeResponseBody(nil, endOfStream: true)
        }
        try await withHTTP2Server(workers: workers, serve: serve) { service in
            let client = try await service.client()
            let body = [UInt8].pattern(100_000)
            var streams: [HTTP2.StreamID] = []
            for _ in 0..<5 { streams.append(try await client.request("POST", "/", body: body)) }
            for stream in streams {
                let exchange = try await client.finish(stream)
                #expect(exchange.isComplete && exchange.body == body)
            }
        }
    }

    /// What a callback that fails comes to, and that the connection outlives it.
    @Test(arguments: [
        ("/before", 500, false), ("/status", 418, false), ("/after", 200, true), ("/nothing", 500, false),
    ])
    func callbackFails(path: String, status: Int, isReset: Bool) async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            switch session.request.path {
            case "/before": throw TestFailure("before")
            case "/status": throw PingoraError(.httpStatus(418))
            case "/after":
                try await session.writeResponseHeader(ResponseHeader(statusCode: 200))
                try await session.writeResponseBody(Bytes("some"), endOfStream: false)
                throw TestFailure("after")
            case "/nothing": break
            default: try await session.respond(.ok)
            }
        }
        try await withHTTP2Server(serve: serve) { service in
            let client = try await service.client()
            let exchange = try await client.get(path)
            // A reset may overtake what had not been made into frames.
            #expect(exchange.status == status || (isReset && exchange.status == nil))
            #expect(exchange.closed == (isReset ? .internalError : exchange.closed))
            #expect(exchange.isComplete == !isReset)
            #expect(try await client.get("/fine").status == 200)
        }
    }

    @Test("100 Continue comes when the body is asked for")
    func expectContinue() async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            if session.request.path == "/no" { return try await session.respond(.contentTooLarge) }
            var count = 0
            while let bytes = try await session.readRequestBody() { count += bytes.count }
            try await session.respond(.ok, body: Bytes("\(count)"))
        }
        try await withHTTP2Server(serve: serve) { service in
            let client = try await service.client()
            let refused = try await client.request("POST", "/no", ["expect: 100-continue"], body: nil)
            #expect(try await client.finish(refused).responses.map(\.statusCode) == [413])
            let stream = try await client.request("POST", "/", ["expect: 100-continue"], body: nil)
            try await client.pump { $0.exchanges[stream]?.responses.count == 1 }
            try await client.send([1, 2, 3], on: stream, end: true)
            let exchange = try await client.finish(stream)
            #expect(exchange.responses.map(\.statusCode) == [100, 200] && exchange.text == "3")
        }
    }

    @Test("Modules run over HTTP/2 as over HTTP/1")
    func modules() async throws {
        let diary = Diary()
        var modules = HttpModules()
        modules.add(FirstModule.self) { FirstModule("a", diary) }
        let serve: @Sendable (Session) async throws -> Void = { session in
            try await session.respond(.ok, body: Bytes(session.request.headers.values("X-Seen").joined()))
        }
        try await withHTTP2Server(modules: modules, serve: serve) { service in
            let exchange = try await service.client().get()
            #expect(exchange.text == "a(a)[a done]")
            #expect(exchange.response?.headers.values("X-Passed") == ["a"])
            #expect(diary.lines == ["a request", "a response 200"])
        }
    }

    @Test("CONNECT is refused, and the connection goes on")
    func connect() async throws {
        try await withHTTP2Server(serve: answerOK) { service in
            let client = try await service.client()
            let stream = try await client.request("CONNECT", "a.example:443", ["host: a.example:443"], body: nil)
            let exchange = try await client.finish(stream)
            #expect(exchange.status == 405 && exchange.isComplete)
            #expect(try await client.get().status == 200)
        }
    }

    @Test("A head beyond the limits ends its stream only", arguments: [true, false])
    func headLimits(isLong: Bool) async throws {
        let options = HttpServerOptions.h2c {
            $0.http2.maximumHeaderListBytes = 2_000
            $0.http2.maximumFieldCount = 20
        }
        try await withHTTP2Server(options: options, serve: answerOK) { service in
            let client = try await service.client()
            let fields = isLong ? ["x-long: " + String(repeating: "a", count: 2_000)] : (0..<21).map { "x-\($0): 1" }
            let exchange = try await client.get("/", fields)
            #expect(exchange.closed == .enhanceYourCalm && exchange.responses.isEmpty)
            #expect(try await client.get().status == 200)
        }
    }

    @Test("More streams than are allowed are refused, and the others are served")
    func streamLimit() async throws {
        let diary = Diary()
        let serve: @Sendable (Session) async throws -> Void = { session in
            try await diary.wait(for: "go on")
            try await session.respond(.ok)
        }
        try await withHTTP2Server(options: .h2c { $0.http2.maximumConcurrentStreams = 2 }, serve: serve) { service in
            let client = try await service.client()
            // Before the settings have come, the client may think that it has 100.
            let streams = [try await client.request("GET", "/"), try await client.request("GET", "/")]
            let third = try await client.request("GET", "/")
            #expect(try await client.finish(third).closed == .refusedStream)
            diary.note("go on")
            for stream in streams { #expect(try await client.finish(stream).status == 200) }
            #expect(try await client.get().status == 200)
        }
    }
}
