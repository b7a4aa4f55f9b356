import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// A response that its upstream leaves unfinished.
struct TruncatedResponse: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let bytes: String
    /// Whether closing in good order would have completed it.
    let endsByClosing: Bool

    init(_ name: String, _ bytes: String, endsByClosing: Bool = false) {
        testDescription = name
        self.bytes = bytes
        self.endsByClosing = endsByClosing
    }

    /// Whether a head with a length is all there is.
    var isHeadOnly: Bool { bytes.contains("Content-Length") && bytes.hasSuffix("\r\n\r\n") }

    private static let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    static let all: [TruncatedResponse] = [
        .init("no byte of the length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        .init("half of the length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        .init("all but one byte", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"),
        .init("no chunk", chunked),
        .init("half a chunk", chunked + "a\r\nhello"),
        .init("a chunk without its end", chunked + "5\r\nhello"),
        .init("no last chunk", chunked + "5\r\nhello\r\n"),
        .init("half a chunk size", chunked + "5\r\nhello\r\n1"),
        .init("half of the last chunk", chunked + "5\r\nhello\r\n0\r\n"),
        .init("half a trailer", chunked + "5\r\nhello\r\n0\r\nA: b\r\n"),
        .init("until close, reset", "HTTP/1.1 200 OK\r\n\r\nhello", endsByClosing: true),
        .init("until close of 1.0, reset", "HTTP/1.0 200 OK\r\n\r\nhello", endsByClosing: true),
    ]

    /// Ends that are wrong even though the connection stays open.
    static let broken: [TruncatedResponse] = [
        .init("bad chunk size", chunked + "5\r\nhello\r\nxyz\r\n"),
        .init("chunk longer than its size", chunked + "5\r\nhello world\r\n0\r\n\r\n"),
        .init("chunk size overflow", chunked + "5\r\nhello\r\nfffffffffffffffff\r\n"),
        .init("malformed trailer", chunked + "5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
    ]
}

@Suite("A response that the upstream leaves unfinished never looks complete to the client")
struct UpstreamTruncationTests {
    @Test(.timeLimit(.minutes(5)), arguments: TruncatedResponse.all, ["1.1", "1.0"])
    func ended(_ response: TruncatedResponse, version: String) async throws {
        for resets in [false, true] where resets || !response.endsByClosing {
            let script = OriginScript { connection in
                _ = try await connection.nextRequest()
                try await connection.send(response.bytes)
                if resets { connection.reset() }
            }
            try await check(script, version: version, requiresHead: !resets && !response.isHeadOnly)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: TruncatedResponse.broken, ["1.1", "1.0"])
    func broken(_ response: TruncatedResponse, version: String) async throws {
        try await check(UpstreamFailure.stalling(after: response.bytes), version: version, requiresHead: true)
    }

    @Test(.timeLimit(.minutes(5)), arguments: TruncatedResponse.all, ["1.1", "1.0"])
    func stalled(_ response: TruncatedResponse, version: String) async throws {
        var options = PeerOptions()
        options.readTimeout = .milliseconds(100)
        let script = UpstreamFailure.stalling(after: response.bytes)
        try await check(script, version: version, requiresHead: false, options: options)
    }

    /// What was received is passed on as it comes, and then the connection ends in a way that tells.
    private func check(
        _ script: OriginScript,
        version: String,
        requiresHead: Bool,
        options: PeerOptions = PeerOptions()
    ) async throws {
        try await withUpstream(script, options: options) { fixture in
            let outcome = try await fixture.outcome(
                of: "GET / HTTP/\(version)\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
            )
            // A reset may overtake the head, and a head may wait for its body: then the answer is the proxy's own.
            #expect(outcome.status == 200 || (!requiresHead && [nil, 502, 504].contains(outcome.status)))
            #expect(outcome.status != 200 || !outcome.looksComplete, "\(outcome.text.debugDescription)")
            let entry = try #require(try await fixture.journal.logged().first)
            #expect(entry.error?.source == .upstream)
            #expect(fixture.journal.entries.count == 1)
            try await fixture.origin.wait { $0.openConnectionCount == 0 }
            #expect(await fixture.connector.poolFacts().idle == 0)
            #expect(await fixture.connector.poolFacts().inUse == 0)
        }
    }
}

@Suite("A client that does not take its response in time does not take it for complete") struct UnsentResponseTests {
    @Test(.timeLimit(.minutes(5)), arguments: ["1.1", "1.0"]) func writeTimeout(version: String) async throws {
        // Much more than the kernel buffers, from an origin that is done at once: all that is left waits in the proxy.
        let configure: @Sendable (inout UpstreamSetup) -> Void = { $0.server.writeTimeout = .milliseconds(50) }
        let size = 8_000_000
        let script = OriginScript { connection in
            _ = try await connection.nextRequest()
            try await connection.send("HTTP/1.1 200 OK\r\n\r\n")
            try await connection.send([UInt8](repeating: 120, count: size))
        }
        try await withUpstream(script, configure: configure) { fixture in
            var options = SocketOptions()
            options.receiveBufferSize = 4_096
            try await RawClient.withConnection(to: fixture.proxy, options: options) { client in
                try await client.send("GET / HTTP/\(version)\r\nHost: a\r\n\r\n")
                let entry = try #require(try await fixture.journal.logged().first)
                #expect(entry.error?.kind == .writeTimedOut)
                let outcome = try await UpstreamOutcome(from: client)
                #expect(!outcome.looksComplete)
            }
        }
    }
}
