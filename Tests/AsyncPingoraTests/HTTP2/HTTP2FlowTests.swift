import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite(
    "A proxy of HTTP/2 takes no more from one side than the other lets it pass on",
    .serialized,
    .timeLimit(.minutes(5))
)
struct HTTP2FlowTests {
    private static let size = 300_000

    @Test("A client that opens no window stops the upstream", arguments: Workers.allCases)
    func slowClient(workers: Workers) async throws {
        try await withHTTP2Proxy(workers: workers, options: .http2 { $0.h2StreamWindow = 65_535 }) { proxy, origin in
            var settings = HTTP2.Settings()
            settings.initialStreamWindow = 8_000
            let client = try await proxy.client(settings: settings)
            client.consumesBodies = false
            let stream = try await client.request("GET", "/")
            let server = try await origin.accept()
            let id = try await server.nextRequest()
            try await server.respond(to: id, 200, body: nil)
            try await server.send(.pattern(Self.size), on: id, end: true)
            try await client.pump { $0.exchanges[stream]?.body.count == 8_000 }
            // What may be on its way gets there.
            for _ in 0..<5 {
                try await server.ping()
                try await client.ping()
            }
            // The upstream's window, and what the exchange keeps for the client.
            let taken = Self.size - server.session.unsentByteCount(id)
            #expect(taken <= 65_535 + HTTP2Stream.highWaterMark + 65_535 + 8_000)
            // Another stream of the same connections is not held up.
            let other = try await client.request("GET", "/other")
            try await server.respond(to: try await server.nextRequest(), body: [7])
            #expect(try await client.finish(other).body == [7])
            client.consumesBodies = true
            client.session.consume(stream, byteCount: 8_000)
            try await Self.pumpBoth(client, server) { client.exchanges[stream]?.isOver == true }
            #expect(client.exchanges[stream]?.isComplete == true)
            #expect(client.exchanges[stream]?.body == .pattern(Self.size))
        }
    }

    @Test("An upstream that opens no window stops the client", arguments: Workers.allCases)
    func slowUpstream(workers: Workers) async throws {
        let configure: @Sendable (inout UpstreamSetup) -> Void = { $0.server.http2.initialStreamWindow = 65_535 }
        try await withHTTP2Proxy(workers: workers, configure: configure) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("POST", "/", body: nil)
            var settings = HTTP2.Settings()
            settings.initialStreamWindow = 8_000
            let server = try await origin.accept(settings: settings)
            server.consumesBodies = false
            let id = try await server.nextRequest()
            try await client.send(.pattern(Self.size), on: stream, end: true)
            try await server.pump { $0.exchanges[id]?.body.count == 8_000 }
            for _ in 0..<5 {
                try await client.ping()
                try await server.ping()
            }
            let taken = Self.size - client.session.unsentByteCount(stream)
            #expect(taken <= 65_535 + HTTP2Stream.highWaterMark + 65_535 + 8_000)
            let other = try await client.request("POST", "/other", body: [1])
            let second = try await server.nextRequest()
            #expect(try await server.finish(second).body == [1])
            try await server.respond(to: second)
            #expect(try await client.finish(other).status == 200)
            server.consumesBodies = true
            server.session.consume(id, byteCount: 8_000)
            try await Self.pumpBoth(server, client) { server.exchanges[id]?.isOver == true }
            #expect(server.exchanges[id]?.body == .pattern(Self.size))
            try await server.respond(to: id)
            #expect(try await client.finish(stream).status == 200)
        }
    }

    @Test(
        "The connection's window does not shrink by what its streams have carried",
        arguments: [1_000, 10_000, 40_000]
    )
    func connectionWindow(count: Int) async throws {
        let options = PeerOptions.http2 { $0.h2ConnectionWindow = 65_535 }
        let configure: @Sendable (inout UpstreamSetup) -> Void = { $0.server.http2.connectionWindow = 65_535 }
        try await withHTTP2Proxy(options: options, configure: configure) { proxy, origin in
            let client = try await proxy.client()
            let body = [UInt8].pattern(count)
            var server: RawHTTP2Connection?
            // As often as uses the window up some times over.
            for _ in 0..<3 * 65_535 / count {
                let stream = try await client.request("POST", "/", body: body)
                let upstream = if let server { server } else { try await origin.accept() }
                server = upstream
                let id = try await upstream.nextRequest()
                #expect(try await upstream.finish(id).body == body)
                try await upstream.respond(to: id, body: body)
                #expect(try await client.finish(stream).body == body)
            }
        }
    }

    /// Lets one side receive, and the other go on sending as its windows open.
    private static func pumpBoth(
        _ receiver: RawHTTP2Connection,
        _ sender: RawHTTP2Connection,
        until condition: () -> Bool
    ) async throws {
        while !condition() {
            try await receiver.ping()
            if !condition() { try await sender.ping() }
        }
    }

    @Test("An answer before the request's end ends the work on both sides", arguments: [true, false], Version.allCases)
    func earlyAnswer(upstreamResets: Bool, upstream: Version) async throws {
        let options = upstream == .http2 ? PeerOptions.http2() : PeerOptions()
        try await withHTTP2Proxy(options: options) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("POST", "/", ["content-length: 1000000"], body: nil)
            try await client.send([1, 2, 3], on: stream)
            switch upstream {
            case .http2:
                let server = try await origin.accept()
                let id = try await server.nextRequest()
                try await server.respond(to: id, 413, body: Array("too much".utf8))
                if upstreamResets { try await server.reset(id, .noError) }
                try await Self.checkEarlyAnswer(client, stream)
                try await server.pump { $0.exchanges[id]?.closed != nil }
                #expect(server.exchanges[id]?.closed == (upstreamResets ? .noError : .cancel))
                // Its connection is good for the next.
                let next = try await client.request("GET", "/")
                try await server.respond(to: try await server.nextRequest())
                #expect(try await client.finish(next).status == 200)
            case .http1:
                let server = try await origin.acceptRaw()
                _ = try await server.receiveHead()
                try await server.send("HTTP/1.1 413 No\r\nContent-Length: 8\r\n\r\ntoo much")
                if upstreamResets { server.closeWrite() }
                try await Self.checkEarlyAnswer(client, stream)
                try await server.awaitClose()
            }
            let facts = await proxy.facts { $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.h2Streams == 0)
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.error == nil && entry.status == 413)
        }
    }

    private static func checkEarlyAnswer(_ client: RawHTTP2Connection, _ stream: HTTP2.StreamID) async throws {
        try await client.pump { $0.exchanges[stream]?.closed != nil }
        let exchange = client.exchanges[stream]
        #expect(exchange?.status == 413 && exchange?.text == "too much" && exchange?.isComplete == true)
        #expect(exchange?.closed == .noError)
    }

    @Test("A client that resets its stream ends the upstream's work", arguments: Version.allCases, [true, false])
    func clientResets(upstream: Version, hasBegun: Bool) async throws {
        let options = upstream == .http2 ? PeerOptions.http2() : PeerOptions()
        try await withHTTP2Proxy(options: options) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("GET", "/")
            switch upstream {
            case .http2:
                let server = try await origin.accept()
                let id = try await server.nextRequest()
                if hasBegun { try await server.respond(to: id, 200, body: nil) }
                if hasBegun { try await client.head(of: stream) }
                try await client.reset(stream, .cancel)
                try await server.pump { $0.exchanges[id]?.closed != nil }
                #expect(server.exchanges[id]?.closed == .cancel)
            case .http1:
                let server = try await origin.acceptRaw()
                _ = try await server.receiveHead()
                if hasBegun { try await server.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome") }
                if hasBegun { try await client.head(of: stream) }
                try await client.reset(stream, .cancel)
                try await server.awaitClose()
            }
            let facts = await proxy.facts { $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.h2Streams == 0)
            let entries = try await proxy.journal.logged()
            #expect(entries.count == 1)
            #expect(entries[0].error?.kind == .connectionClosed && entries[0].error?.source == .downstream)
            #expect(entries[0].status == (hasBegun ? 200 : nil))
        }
    }

    @Test("A client whose connection dies ends the work of all its streams", arguments: Workers.allCases)
    func clientDies(workers: Workers) async throws {
        try await withHTTP2Proxy(workers: workers) { proxy, origin in
            let client = try await proxy.client()
            for _ in 0..<10 { _ = try await client.request("GET", "/") }
            let server = try await origin.accept()
            try await server.pump { $0.waitingRequestCount == 10 }
            client.connection.reset()
            try await server.pump { $0.exchanges.values.allSatisfy { $0.closed == .cancel } }
            let entries = try await proxy.journal.logged(10)
            #expect(entries.allSatisfy { $0.error?.source == .downstream })
            let facts = await proxy.facts { $0.inUse == 0 && $0.idle == 1 && $0.h2Streams == 0 }
            #expect(facts.inUse == 0 && facts.h2Streams == 0 && facts.idle == 1)
        }
    }
}
