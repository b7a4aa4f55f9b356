import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("HTTP/2 connections of clients begin and end in good order", .serialized, .timeLimit(.minutes(5)))
struct HTTP2ConnectionEndTests {
    /// Answers when the request's body has ended: that is when the client says so.
    private static let gate: @Sendable (Session) async throws -> Void = { session in
        while try await session.readRequestBody() != nil {}
        try await session.respond(.ok, body: Bytes([UInt8].pattern(200_000)))
    }

    @Test(
        "A graceful end says GOAWAY twice, and serves what has come until then",
        arguments: [true, false],
        Workers.allCases
    )
    func gracefulDrain(answersPings: Bool, workers: Workers) async throws {
        try await withHTTP2Server(workers: workers, serve: Self.gate) { service in
            let client = try await service.client()
            let first = try await client.request("POST", "/", body: nil)
            try await client.ping()
            client.answersPings = false
            service.signals.send(.gracefulShutdown)
            // What the client sends before it knows is served.
            try await client.withhold { $0.contains(where: \.isGoAway) }
            let second = try await client.request("GET", "/")
            try await client.pump { $0.frames.contains(where: \.isGoAway) }
            #expect(client.frames.last(where: \.isGoAway) == .goAway(last: .max))
            try await client.finish(second)
            if answersPings {
                let ping = client.frames.last { $0.type == 6 && !$0.isPong }
                try await client.send(HTTP2Frame(6, flags: 1, ping?.payload ?? []))
            }
            try await Self.awaitLastGoAway(client)
            // A machine may be too busy to send the second request within the second between the two.
            let isLate = client.exchanges[second]?.closed == .refusedStream
            #expect(client.frames.last(where: \.isGoAway) == .goAway(last: isLate ? 1 : 3))
            try await client.send([1], on: first, end: true)
            let exchange = try await client.finish(first)
            #expect(exchange.status == 200 && exchange.body == .pattern(200_000))
            #expect(isLate || client.exchanges[second]?.body == .pattern(200_000))
            try await client.pumpToEnd()
            #expect(!client.frames.contains { $0.stream == 5 }, "the one that came too late was not served")
            await #expect(throws: TransportError.self) { _ = try await service.client() }
        }
    }

    /// Sends a request behind the second GOAWAY, and takes that in.
    private static func awaitLastGoAway(_ client: RawHTTP2Connection) async throws {
        // A second after the first it comes in any case, so that it may be there.
        if client.frames.count(where: \.isGoAway) == 1 {
            try await client.withhold { $0.contains(where: \.isGoAway) }
        }
        try await client.send(HTTP2Frame(1, flags: 5, stream: 5, [0x82, 0x86, 0x84, 0x01, 0x01, 0x61]))
        try await client.pump { $0.frames.count(where: \.isGoAway) == 2 }
    }

    @Test("The end of a draining connection does not destroy what the client has yet to read")
    func drainLosesNothing() async throws {
        try await withHTTP2Server(serve: Self.gate) { service in
            var settings = HTTP2.Settings()
            settings.initialStreamWindow = 1_000_000
            let client = try await service.client(settings: settings)
            let stream = try await client.request("POST", "/", body: nil)
            try await client.ping()
            service.signals.send(.gracefulShutdown)
            try await client.pump { $0.frames.count(where: \.isGoAway) == 2 }
            try await client.send([1], on: stream, end: true)
            // What the client sends after the server has closed must not come back as a reset before all has been read.
            let answer = try await client.connection.receiveSome()
            client.connection.unread(answer)
            for _ in 0..<20 { try await client.connection.send(HTTP2Frame(6, Array(repeating: 1, count: 8)).bytes) }
            let exchange = try await client.finish(stream)
            #expect(exchange.isComplete && exchange.body == .pattern(200_000))
        }
    }

    @Test("A draining connection is closed once its client has read all, though that does not close it")
    func drainDoesNotLinger() async throws {
        try await withHTTP2Server(options: .h2c { $0.lingeringTimeout = .seconds(3_600) }, serve: answerOK) { service in
            let client = try await service.client()
            #expect(try await client.get().status == 200)
            service.signals.send(.gracefulShutdown)
            try await client.pumpToEnd()
            #expect(client.frames.count(where: \.isGoAway) == 2)
        }
    }

    @Test("A client that answers the last ping has read all: the connection is closed")
    func drainParts() async throws {
        try await withHTTP2Server(options: .h2c { $0.lingeringTimeout = .seconds(3_600) }, serve: Self.gate) {
            service in
            let client = try await service.client()
            let stream = try await client.request("POST", "/", body: nil)
            try await client.ping()
            service.signals.send(.gracefulShutdown)
            try await client.pump { $0.frames.count(where: \.isGoAway) == 2 }
            try await client.send([1], on: stream, end: true)
            #expect(try await client.finish(stream).body == .pattern(200_000))
            try await client.pump { $0.frames.count { $0.type == 6 && !$0.isPong } == 2 }
            let ping = client.frames.last { $0.type == 6 && !$0.isPong }
            // By itself the client says no more on a connection that is over.
            try await client.send(HTTP2Frame(6, flags: 1, ping?.payload ?? []))
            try await client.pumpToEnd()
        }
    }

    @Test("A fast end cuts streams off", arguments: Workers.allCases)
    func fastShutdown(workers: Workers) async throws {
        try await withHTTP2Server(workers: workers, serve: Self.gate) { service in
            let client = try await service.client()
            let stream = try await client.request("POST", "/", body: nil)
            try await client.ping()
            service.signals.send(.fastShutdown)
            try await client.pumpToEnd()
            #expect(client.exchanges[stream]?.isComplete != true)
        }
    }

    @Test("A client that never stops asking does not hold up a fast end")
    func busyFastShutdown() async throws {
        try await withHTTP2Server(serve: answerOK) { service in
            let client = try await service.client()
            #expect(try await client.get().status == 200)
            service.signals.send(.fastShutdown)
            await #expect(throws: (any Error).self) {
                while !client.isAtEnd { _ = try await client.get() }
                throw TestPeerError("the connection has ended")
            }
        }
    }

    @Test("An idle connection ends with a GOAWAY, one with a stream does not")
    func idleTimeout() async throws {
        try await withHTTP2Server(options: .h2c { $0.keepAliveTimeout = .milliseconds(100) }, serve: Self.gate) {
            service in
            let client = try await service.client()
            let stream = try await client.request("POST", "/", body: nil)
            let other = try await service.client()
            #expect(try await other.get().status == 200)
            try await other.pumpToEnd()
            #expect(other.frames.last == .goAway(last: 1))
            // This one has been there for longer.
            try await client.send([1], on: stream, end: true)
            #expect(try await client.finish(stream).isComplete)
            try await client.pumpToEnd()
            #expect(client.frames.last == .goAway(last: 1))
        }
    }

    @Test("A connection at its request limit serves what its GOAWAY says and ends", arguments: [true, false])
    func requestLimit(isBurst: Bool) async throws {
        try await withHTTP2Server(options: .h2c { $0.keepAliveRequestLimit = 3 }, serve: answerOK) { service in
            let client = try await service.client()
            var streams: [HTTP2.StreamID] = []
            for _ in 0..<(isBurst ? 10 : 3) {
                streams.append(try await client.request("GET", "/"))
                if !isBurst { try await client.finish(streams[streams.count - 1]) }
            }
            try await client.pumpToEnd()
            let last = try #require(client.frames.last(where: \.isGoAway)?.firstWord)
            #expect(isBurst ? last >= 5 : last == 5)
            for stream in streams {
                let exchange = client.exchanges[stream]
                #expect(stream <= last ? exchange?.status == 200 : exchange?.closed == .refusedStream)
            }
        }
    }

    /// A response that the client's window, or its socket, does not let through in time.
    @Test(arguments: [1_000, 500_000])
    func writeStall(count: Int) async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            if session.request.path == "/small" { return try await session.respond(.ok) }
            try await session.respond(.ok, body: Bytes([UInt8].pattern(count)))
        }
        try await withHTTP2Server(options: .h2c { $0.writeTimeout = .milliseconds(200) }, serve: serve) { service in
            var settings = HTTP2.Settings()
            settings.initialStreamWindow = 10
            let client = try await service.client(settings: settings)
            client.consumesBodies = false
            let stream = try await client.request("GET", "/")
            try await client.pump { $0.exchanges[stream]?.closed != nil }
            let exchange = client.exchanges[stream]
            #expect(exchange?.isComplete == false && exchange?.closed != .noError)
            #expect(try await client.get("/small").status == 200)
        }
    }

    @Test("A client that does not read is given up")
    func socketStall() async throws {
        let diary = Diary()
        let serve: @Sendable (Session) async throws -> Void = { session in
            do {
                try await session.respond(.ok, body: Bytes([UInt8](repeating: 7, count: 8_000_000)))
            } catch {
                diary.note("gave up")
                throw error
            }
        }
        let options = HttpServerOptions.h2c { $0.writeTimeout = .milliseconds(300) }
        try await withHTTP2Server(options: options, serve: serve) { service in
            var settings = HTTP2.Settings()
            settings.initialStreamWindow = 16_000_000
            settings.connectionWindow = 16_000_000
            let client = try await service.client(settings: settings)
            _ = try await client.request("GET", "/")
            try await diary.wait(for: "gave up")
            // Without reading, the client learns of the end by writing.
            await #expect(throws: TransportError.self) {
                while true {
                    try await client.connection.send(HTTP2Frame(6, [UInt8](repeating: 1, count: 8)).bytes)
                    await withParker { await $0.park(until: .after(.milliseconds(10))) }
                }
            }
        }
    }

    @Test("The preface may come a byte at a time")
    func slowPreface() async throws {
        let serve: @Sendable (Session) async throws -> Void = { try await $0.respond(.ok, body: Bytes("h2")) }
        try await withHTTP2Server(serve: serve) { service in
            let client = try await service.client()
            client.sendsBytewise = true
            #expect(try await client.get().text == "h2")
        }
    }

    @Test(
        "An HTTP/1 client on the same port is served, however it types",
        arguments: ["GET", "PRI", "P", "POST", "PUT"]
    )
    func http1(method: String) async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            try await session.respond(.ok, body: Bytes(session.request.method.rawValue))
        }
        try await withHTTP2Server(serve: serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    for byte in "\(method) / HTTP/1.1\r\nHost: a\r\n\r\n".utf8 { try await client.send([byte]) }
                    let response = try await client.receiveResponse(to: method)
                    #expect(response.status == 200 && response.text == method)
                }
            }
        }
    }

    @Test(
        "A broken preface is a bad HTTP/1 request",
        arguments: ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\nX", "PRI * HTTP/2.1\r\n\r\n"]
    )
    func brokenPreface(text: String) async throws {
        try await withHTTP2Server(serve: answerOK) { service in
            let transcript = try await service.transcript(of: text)
            #expect(transcript.hasPrefix("HTTP/1.1 400 ") || transcript.hasPrefix("HTTP/1.1 505 "))
        }
    }

    @Test("Where it is not allowed, the preface is a bad HTTP/1 request")
    func notAllowed() async throws {
        try await withHTTP2Server(options: .h2c { $0.allowsH2C = false }, serve: answerOK) {
            service in
            let transcript = try await service.transcript(of: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            #expect(transcript.hasPrefix("HTTP/1.1 400 ") || transcript.hasPrefix("HTTP/1.1 505 "))
        }
    }

    @Test("Garbage behind the preface is told so, and other connections notice nothing")
    func garbage() async throws {
        try await withHTTP2Server(serve: answerOK) { service in
            let other = try await service.client()
            #expect(try await other.get().status == 200)
            let client = try await service.client()
            #expect(try await client.get().status == 200)
            try await client.send(HTTP2Frame(0, stream: 7, [1, 2, 3]))
            await #expect(throws: Never.self) { try await client.pumpToEnd() }
            let goAway = client.frames.last(where: \.isGoAway)
            #expect(goAway != nil && goAway != .goAway(last: 1))
            #expect(try await other.get().status == 200)
        }
    }
}
