import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("Messages pass between the versions piece by piece, as they come", .serialized, .timeLimit(.minutes(5)))
struct HTTP2StreamingTests {
    @Test("Each piece gets there before the next is sent", arguments: Version.allCases, Version.allCases)
    func piecewise(client: Version, upstream: Version) async throws {
        let options = upstream == .http2 ? PeerOptions.http2() : PeerOptions()
        try await withHTTP2Proxy(options: options) { proxy, origin in
            let client = try await Talker(client, to: proxy)
            try await client.sendRequest()
            let server = try await Talker(upstream, from: origin)
            try await server.receiveRequest()
            try await client.send("first")
            try await server.expect("first")
            try await server.sendHead(103)
            try await client.expectHead(103)
            try await server.sendHead(200)
            // The head does not wait for the body.
            try await client.expectHead(200)
            try await server.send("answer to the first")
            try await client.expect("answer to the first")
            // Nor does the request end with the response's beginning.
            try await client.send("second")
            try await server.expect("second")
            try await client.end(trailer: "of the request")
            try await server.expectEnd(trailer: "of the request")
            try await server.send("the last")
            try await client.expect("the last")
            try await server.end(trailer: "of the response")
            try await client.expectEnd(trailer: "of the response")
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.error == nil && entry.status == 200)
            let facts = await proxy.facts { $0.inUse == 0 && $0.idle == 1 }
            #expect(facts.idle == 1, "the upstream's connection is as good as before")
        }
    }
}

/// One side of an exchange, in either version: what it sends, and what it expects to have come.
private final class Talker {
    private let http1: RawConnection?
    private let http2: RawHTTP2Connection?
    private var stream: HTTP2.StreamID = 0
    private var readCount = 0

    init(_ version: Version, to proxy: UpstreamFixture) async throws {
        http1 = version == .http1 ? try await RawClient.connect(to: proxy.proxy) : nil
        http2 = version == .http2 ? try await proxy.client() : nil
    }

    init(_ version: Version, from origin: HTTP2Origin) async throws {
        http1 = version == .http1 ? try await origin.acceptRaw() : nil
        http2 = version == .http2 ? try await origin.accept() : nil
    }

    func sendRequest() async throws {
        if let http2 { stream = try await http2.request("POST", "/a?b", ["te: trailers"], body: nil) }
        try await http1?.send(
            "POST /a?b HTTP/1.1\r\nHost: a.example\r\nConnection: TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
    }

    func receiveRequest() async throws {
        if let http2 {
            stream = try await http2.nextRequest()
            let request = http2.exchanges[stream]?.request
            #expect(request?.target == "/a?b" && request?.headers[.host] == "a.example")
            #expect(request?.headers["te"] == "trailers")
        }
        guard let http1 else { return }
        let head = RawMessage(head: try await http1.receiveHead())
        #expect(head.startLine == "POST /a?b HTTP/1.1" && head["host"] == "a.example")
        #expect(head["te"] == "trailers" && head["connection"] == "TE" && head["transfer-encoding"] == "chunked")
    }

    func sendHead(_ status: Int) async throws {
        let field = status == 103 ? "link: </a.css>" : "x-final: 1"
        try await http2?.respond(to: stream, status, [field], body: nil)
        let framing = status == 103 ? "" : "Transfer-Encoding: chunked\r\n"
        try await http1?.send("HTTP/1.1 \(status) Text\r\n\(field)\r\n\(framing)\r\n")
    }

    func expectHead(_ status: Int) async throws {
        let name = status == 103 ? "link" : "x-final"
        if let http2 {
            try await http2.pump { $0.exchanges[stream]?.responses.last?.statusCode == status }
            let fields = http2.exchanges[stream]?.responses.last?.headers
            #expect(fields?.contains { "\($0.name)" == name } == true)
        }
        guard let http1 else { return }
        let head = RawMessage(head: try await http1.receiveHead())
        #expect(head.status == status && head[name] != nil)
    }

    func send(_ text: String) async throws {
        try await http2?.send(Array(text.utf8), on: stream)
        try await http1?.send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n")
    }

    func expect(_ text: String) async throws {
        let count = text.utf8.count
        if let http2 {
            readCount += count
            try await http2.pump { ($0.exchanges[stream]?.body.count ?? 0) >= readCount }
            #expect(http2.exchanges[stream]?.text.hasSuffix(text) == true)
        }
        guard let http1 else { return }
        #expect(try await http1.receive(count: 2 + String(count, radix: 16).count).last == 10)
        #expect(String(decoding: try await http1.receive(count: count + 2), as: UTF8.self) == "\(text)\r\n")
    }

    func end(trailer: String) async throws {
        try await http2?.send([], on: stream, end: true, trailers: ["x-end: \(trailer)"])
        try await http1?.send("0\r\nx-end: \(trailer)\r\n\r\n")
    }

    func expectEnd(trailer: String) async throws {
        if let http2 {
            let exchange = try await http2.finish(stream)
            #expect(exchange.isComplete && exchange.trailers?["x-end"] == trailer)
        }
        guard let http1 else { return }
        let end = String(decoding: try await http1.receive(upThrough: "\r\n\r\n"), as: UTF8.self)
        #expect(end == "0\r\nx-end: \(trailer)\r\n\r\n")
    }
}
