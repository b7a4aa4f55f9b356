import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Foundation
import HTTPCodecs
import Testing

@Suite("WebSockets pass between the versions", .serialized, .timeLimit(.minutes(5)))
struct HTTP2WebSocketTests {
    @Test("A tunnel opens and carries bytes both ways", arguments: Version.allCases, Version.allCases)
    func tunnel(client: Version, upstream: Version) async throws {
        try await withWebSocket(client, upstream) { client, accept, _ in
            try await client.ask()
            let server = try await accept()
            let request = try await server.request()
            #expect(request.target == "/chat" && request.headers[.host] == "a.example")
            #expect(request.headers["sec-websocket-version"] == "13")
            #expect(request.headers["sec-websocket-protocol"] == "chat")
            try await server.accept()
            let response = try await client.answer()
            #expect(response.statusCode == 101)
            #expect(response.headers["sec-websocket-protocol"] == "chat")
            let message = [UInt8].pattern(150_000)
            try await client.send(message)
            #expect(try await server.receive(message.count) == message)
            try await server.send(message)
            #expect(try await client.receive(message.count) == message)
            try await client.end()
            try await server.receiveEnd()
            try await server.send(Array("bye".utf8))
            #expect(try await client.receive(3) == Array("bye".utf8))
            try await server.end()
            try await client.receiveEnd()
        }
    }

    @Test("An upstream that refuses is quoted", arguments: Version.allCases, Version.allCases)
    func refused(client: Version, upstream: Version) async throws {
        try await withWebSocket(client, upstream) { client, accept, _ in
            try await client.ask()
            let server = try await accept()
            _ = try await server.request()
            try await server.refuse()
            let response = try await client.answer()
            #expect(response.statusCode == 403 && response.headers["x-why"] == "because")
            #expect(try await client.receive(2) == Array("no".utf8))
        }
    }

    @Test("A wrong answer to the key that was made up is a bad gateway")
    func wrongAccept() async throws {
        try await withWebSocket(.http2, .http1) { client, accept, journal in
            try await client.ask()
            let server = try await accept()
            _ = try await server.request()
            try await server.accept(key: "dGhlIHNhbXBsZSBub25jZQ==")
            #expect(try await client.answer().statusCode == 502)
            #expect(try await journal.logged()[0].error?.source == .upstream)
        }
    }

    @Test("An HTTP/2 upstream that takes no extended CONNECT is a bad gateway", arguments: Version.allCases)
    func notSupported(client: Version) async throws {
        var settings = HTTP2.Settings()
        settings.enablesConnectProtocol = false
        try await withWebSocket(client, .http2, settings: settings) { client, accept, journal in
            try await client.ask()
            let server = try await accept()
            try await server.settle()
            #expect(try await client.answer().statusCode == 502)
            let entry = try await journal.logged()[0]
            #expect(entry.error?.source == .upstream && entry.attempts == 1)
            try await server.settle()
            #expect(server.http2?.waitingRequestCount == 0)
        }
    }

    @Test("A client that leaves before the upstream's settings have come leaves nothing behind")
    func leavesBeforeSettings() async throws {
        try await withHTTP2Proxy { proxy, origin in
            let client = try await proxy.client()
            try await client.ping()
            let stream = try await client.request("GET", "/chat", WebSocketClient.fields, body: nil)
            let server = try await origin.accept()
            server.holdsOutput = true
            await proxy.facts { $0.h2Streams == 1 }
            try await client.reset(stream, .cancel)
            _ = try await proxy.journal.logged()
            await proxy.facts { $0.h2Streams == 0 }
            server.holdsOutput = false
            try await server.ping()
            try await server.ping()
            #expect(server.exchanges.isEmpty)
            let next = try await client.request("GET", "/")
            try await server.respond(to: try await server.nextRequest())
            #expect(try await client.finish(next).status == 200)
        }
    }

    @Test("An upstream that breaks off resets the tunnel", arguments: Version.allCases)
    func upstreamDies(upstream: Version) async throws {
        try await withWebSocket(.http2, upstream) { client, accept, _ in
            try await client.ask()
            let server = try await accept()
            _ = try await server.request()
            try await server.accept()
            #expect(try await client.answer().statusCode == 101)
            server.breakOff()
            try await client.http2?.finish(client.stream)
            #expect(client.http2?.exchanges[client.stream]?.isComplete == false)
        }
    }
}

/// A client of a WebSocket, in either version.
final class WebSocketClient {
    static let fields = [
        "connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-protocol: chat",
    ]
    static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    let http1: RawClient?
    let http2: RawHTTP2Connection?
    private(set) var stream: HTTP2.StreamID = 0
    private var read = 0

    init(_ version: Version, _ proxy: UpstreamFixture) async throws {
        http1 = version == .http1 ? try await RawClient.connect(to: proxy.proxy) : nil
        http2 = version == .http2 ? try await proxy.client() : nil
    }

    func ask() async throws {
        let fields = Self.fields + ["host: a.example"]
        if let http2 {
            // Whether it may is in the server's settings.
            try await http2.ping()
            stream = try await http2.request("GET", "/chat", fields, body: nil)
        } else {
            let lines = (fields + ["sec-websocket-key: \(Self.key)"]).map { "\($0)\r\n" }.joined()
            try await http1?.send("GET /chat HTTP/1.1\r\n\(lines)\r\n")
        }
    }

    /// The answer; that to the key has been checked.
    func answer() async throws -> ResponseHeader {
        if let http2 {
            let exchange = try await http2.head(of: stream)
            #expect(exchange.response?.headers["sec-websocket-accept"] == nil)
            return exchange.response ?? ResponseHeader(statusCode: 0)
        }
        let head = RawMessage(head: try await http1?.receiveHead() ?? "")
        var response = ResponseHeader(statusCode: head.status ?? 0)
        for field in head.fields {
            try response.headers.append(try #require(HeaderName(field.name)), field.value)
        }
        if head.status == 101 { #expect(head["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") }
        return response
    }

    func send(_ bytes: [UInt8]) async throws {
        try await http1?.send(bytes)
        try await http2?.send(bytes, on: stream)
    }

    func receive(_ count: Int) async throws -> [UInt8] {
        if let http1 { return try await http1.receive(count: count) }
        defer { read += count }
        try await http2?.pump { ($0.exchanges[stream]?.body.count ?? 0) >= read + count }
        return Array(http2?.exchanges[stream]?.body.dropFirst(read).prefix(count) ?? [])
    }

    func end() async throws {
        http1?.closeWrite()
        try await http2?.send([], on: stream, end: true)
    }

    func receiveEnd() async throws {
        if let http1 { #expect(try await http1.receiveToEnd().isEmpty) }
        if let http2 { #expect(try await http2.finish(stream).isComplete) }
    }
}

/// The upstream of a WebSocket, in either version.
final class WebSocketServer {
    let http1: OriginConnection?
    let http2: RawHTTP2Connection?
    private var stream: HTTP2.StreamID = 0
    private var key: String?
    private var read = 0

    init(_ version: Version, _ origin: HTTP2Origin, settings: HTTP2.Settings) async throws {
        http1 = version == .http1 ? try await origin.acceptRaw() : nil
        http2 = version == .http2 ? try await origin.accept(settings: settings) : nil
    }

    /// Lets the other side have said what it has to say.
    func settle() async throws {
        try await http2?.ping()
    }

    func request() async throws -> RequestHeader {
        if let http2 {
            stream = try await http2.nextRequest()
            let request = http2.exchanges[stream]?.request ?? RequestHeader()
            #expect(request.headers["sec-websocket-key"] == nil)
            return request
        }
        let head = RawMessage(head: try await http1?.receiveHead() ?? "")
        key = head["sec-websocket-key"]
        #expect(Data(base64Encoded: key ?? "")?.count == 16)
        var request = try RequestHeader(method: .get, target: head.target)
        for field in head.fields {
            try request.headers.append(try #require(HeaderName(field.name)), field.value)
        }
        return request
    }

    func accept(key other: String? = nil) async throws {
        try await http2?.respond(to: stream, 101, ["sec-websocket-protocol: chat"], body: nil)
        let key = other ?? key ?? ""
        let digest = SHA1.digest(of: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        let accept = Data(digest).base64EncodedString()
        try await http1?.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: \(accept)\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        )
    }

    func refuse() async throws {
        try await http2?.respond(to: stream, 403, ["x-why: because", "content-length: 2"], body: Array("no".utf8))
        try await http1?.send("HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 2\r\n\r\nno")
    }

    func send(_ bytes: [UInt8]) async throws {
        try await http1?.send(bytes)
        try await http2?.send(bytes, on: stream)
    }

    func receive(_ count: Int) async throws -> [UInt8] {
        if let http1 { return try await http1.receive(count: count) }
        defer { read += count }
        try await http2?.pump { ($0.exchanges[stream]?.body.count ?? 0) >= read + count }
        return Array(http2?.exchanges[stream]?.body.dropFirst(read).prefix(count) ?? [])
    }

    func end() async throws {
        http1?.closeWrite()
        try await http2?.send([], on: stream, end: true)
    }

    func receiveEnd() async throws {
        if let http1 { #expect(try await http1.receiveToEnd().isEmpty) }
        if let http2 { #expect(try await http2.finish(stream).isComplete) }
    }

    func breakOff() {
        http1?.reset()
        http2?.connection.reset()
    }
}

/// Runs `body` with a client, a way to take the upstream's connection, and what the proxy has noted.
private func withWebSocket(
    _ client: Version,
    _ upstream: Version,
    settings: HTTP2.Settings = HTTP2.Settings(),
    _ body:
        @escaping @Sendable (WebSocketClient, () async throws -> WebSocketServer, UpstreamJournal) async throws -> Void
) async throws {
    let options = upstream == .http2 ? PeerOptions.http2() : PeerOptions()
    try await withHTTP2Proxy(options: options) { proxy, origin in
        let accept = { try await WebSocketServer(upstream, origin, settings: settings) }
        try await body(try await WebSocketClient(client, proxy), accept, proxy.journal)
    }
}
