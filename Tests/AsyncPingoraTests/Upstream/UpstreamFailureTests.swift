import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// One way for an upstream to fail before it has answered, and what the client is told.
struct UpstreamFailure: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let status: Int
    let kind: String
    let script: OriginScript

    init(_ name: String, _ status: Int, _ kind: String, _ script: OriginScript) {
        testDescription = name
        self.status = status
        self.kind = kind
        self.script = script
    }

    /// Sends `bytes` as the answer and then closes or breaks off.
    static func answering(_ bytes: String, resets: Bool = false) -> OriginScript {
        OriginScript { connection in
            _ = try await connection.nextRequest()
            try await connection.send(bytes)
            if resets { connection.reset() }
        }
    }

    /// Sends `bytes` as the answer and then says nothing more.
    static func stalling(after bytes: String) -> OriginScript {
        OriginScript { connection in
            _ = try await connection.nextRequest()
            try await connection.send(bytes)
            try await connection.stall()
        }
    }

    static let beforeHead: [UpstreamFailure] = [
        .init("closes without an answer", 502, "ConnectionClosed", .closing),
        .init("resets without an answer", 502, "ReadError", .resetting),
        .init("closes at once", 502, "ConnectionClosed", OriginScript { $0.closeWrite() }),
        .init("closes in the status line", 502, "ConnectionClosed", answering("HTTP/1.1 20")),
        .init("closes in the fields", 502, "ConnectionClosed", answering("HTTP/1.1 200 OK\r\nContent-Le")),
        .init("resets in the fields", 502, "", answering("HTTP/1.1 200 OK\r\nContent-Le", resets: true)),
        .init("closes after 103", 502, "ConnectionClosed", answering("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")),
        .init("closes after 100", 502, "ConnectionClosed", answering("HTTP/1.1 100 Continue\r\n\r\n")),
        .init("says nothing", 504, "ReadTimedOut", .stalling),
        .init("stalls in the head", 504, "ReadTimedOut", stalling(after: "HTTP/1.1 200 OK\r\nA: b")),
        .init("stalls after 103", 504, "ReadTimedOut", stalling(after: "HTTP/1.1 103 Early Hints\r\n\r\n")),
    ]

    static let garbage: [UpstreamFailure] = [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSpace : before colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNul: a\u{0}b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000) + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 300) + "\r\n",
    ]
    .map { .init(String($0.prefix(60)).debugDescription, 502, "InvalidHTTPHeader", stalling(after: $0)) }
}

@Suite("An upstream that fails before its answer costs its request a 502 or 504, and nothing else")
struct UpstreamFailureTests {
    @Test(.timeLimit(.minutes(5)), arguments: UpstreamFailure.beforeHead + UpstreamFailure.garbage)
    func failure(_ failure: UpstreamFailure) async throws {
        var options = PeerOptions()
        // Long enough that a loaded machine delivers what was sent, short enough to wait for where nothing comes.
        options.readTimeout = failure.status == 504 ? .milliseconds(150) : .seconds(20)
        try await withUpstream(failure.script, options: options) { fixture in
            let outcome = try await fixture.outcome(of: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let final = outcome.text.components(from: "HTTP/1.1 \(failure.status)")
            let response = try #require(final.map(RawMessage.init(head:)), "got \(outcome.text.debugDescription)")
            #expect(response["content-length"] == "0")
            #expect(response["connection"] == "close")
            #expect(!outcome.isReset)
            let entry = try #require(try await fixture.journal.logged().first)
            #expect(entry.error?.source == .upstream)
            #expect(failure.kind.isEmpty || entry.error?.kind.name == failure.kind)
            #expect(entry.attempts == 1)
            #expect(entry.status == failure.status)
            try await fixture.origin.wait { $0.openConnectionCount == 0 }
            #expect(await fixture.connector.poolFacts().inUse == 0)
            #expect(await fixture.connector.poolFacts().idle == 0)
            #expect(fixture.journal.entries.count == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func refused() async throws {
        try await withUpstream(.ok()) { fixture in
            let address = try await UpstreamAddresses.refusing()
            let setup = UpstreamSetup(upstream: address)
            try await withUpstreamProxy(setup, origin: fixture.origin) { fixture in
                let response = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.status == 502)
                let entry = try #require(try await fixture.journal.logged().first)
                #expect(entry.error?.kind == .connectRefused)
                #expect(fixture.journal.connectFailures == ["ConnectRefused"])
                #expect(await fixture.connector.poolFacts().inUse == 0)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func missingUnixSocket() async throws {
        try await withUpstream(.ok()) { fixture in
            let address = try #require(SocketAddress("unix:/nonexistent/async-pingora.sock"))
            try await withUpstreamProxy(UpstreamSetup(upstream: address), origin: fixture.origin) { fixture in
                let response = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.status == 502)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func connectTimesOut() async throws {
        try await withUpstream(.ok()) { fixture in
            let full = try await FullListener()
            var options = PeerOptions()
            options.connectionTimeout = .milliseconds(100)
            let setup = UpstreamSetup(upstream: full.address, options: options)
            try await withUpstreamProxy(setup, origin: fixture.origin) { fixture in
                let response = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.status == 504)
                let entry = try #require(try await fixture.journal.logged().first)
                #expect(entry.error?.kind == .connectTimedOut)
            }
            full.close()
        }
    }

    @Test(.timeLimit(.minutes(5))) func connectionGoesOnAfterOthersFail() async throws {
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                if request.target == "/die" { return connection.reset() }
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        try await withUpstream(script) { fixture in
            for _ in 0..<5 {
                let failed = try await fixture.response(to: "POST /die HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(failed.status == 502)
                let served = try await fixture.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(served.text == "ok")
            }
        }
    }
}

extension String {
    /// The text from the first occurrence of `start` on; nil when there is none.
    func components(from start: String) -> String? {
        range(of: start).map { String(self[$0.lowerBound...]) }
    }
}

enum UpstreamAddresses {
    /// An address on which nobody listens: the kernel never gives port 1 to a test that runs at the same time.
    static func refusing() async throws -> SocketAddress {
        guard let address = SocketAddress(host: "127.0.0.1", port: 1) else { throw UpstreamTestError("no loopback") }
        return address
    }
}

/// A listener that accepts nothing and whose queue is full: the kernel drops what tries to connect.
final class FullListener {
    let address: SocketAddress
    private let socket: ListeningSocket
    private var queued: [RawClient] = []

    init() async throws {
        guard let loopback = SocketAddress(host: "127.0.0.1", port: 0) else { throw UpstreamTestError("no loopback") }
        var options = ListenerOptions()
        options.backlog = 0
        socket = try ListeningSocket(address: loopback, options: options)
        address = socket.address
        while queued.count < 16 {
            guard let client = try? await RawClient.connect(to: address, timeout: .milliseconds(100)) else { return }
            queued.append(client)
        }
        throw UpstreamTestError("the queue does not fill up")
    }

    func close() {
        for client in queued { client.close() }
        socket.close()
    }
}
