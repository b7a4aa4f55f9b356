import AsyncPingora
import AsyncPingoraTesting
import Testing

/// A request that must be refused, and how.
struct BadRequest: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let status: Int

    init(_ name: String, _ text: String, _ status: Int = 400) {
        testDescription = name
        self.text = text
        self.status = status
    }

    /// A GET with these fields after Host.
    static func field(_ name: String, _ line: String, _ status: Int = 400) -> BadRequest {
        BadRequest(name, "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n", status)
    }

    /// A POST whose fields and body follow Host.
    static func post(_ name: String, _ rest: String, _ status: Int = 400) -> BadRequest {
        BadRequest(name, "POST / HTTP/1.1\r\nHost: a\r\n\(rest)", status)
    }

    static let lines: [BadRequest] = [
        BadRequest("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("no version", "GET /\r\nHost: a\r\n\r\n"),
        BadRequest("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("space behind", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        BadRequest("space before", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("tab between", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("control byte in target", "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("method not a token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("other protocol", "GET / ICY/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("not HTTP", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n"),
        BadRequest("relative target", "GET path HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("bare LF after line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        BadRequest("bare LF at end", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        BadRequest("bare LF throughout", "GET / HTTP/1.1\nHost: a\n\n"),
        BadRequest("bare CR in line", "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        BadRequest("version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        BadRequest("version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        BadRequest("version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        BadRequest("version 3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ]

    static let fields: [BadRequest] = [
        .field("no colon", "broken"),
        .field("empty name", ": value"),
        .field("space before colon", "X-A : b"),
        .field("tab before colon", "X-A\t: b"),
        .field("space in name", "X A: b"),
        .field("control byte in name", "X\u{1}A: b"),
        .field("obs-fold", "X-A: b\r\n c"),
        .field("obs-fold with tab", "X-A: b\r\n\tc"),
        BadRequest("fold before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        .field("NUL in value", "X-A: b\0c"),
        .field("control byte in value", "X-A: b\u{1}c"),
        .field("DEL in value", "X-A: b\u{7F}c"),
        .field("bare LF", "X-A: b\nX-B: c"),
        .field("bare CR", "X-A: b\rX-B: c"),
        BadRequest("no Host", "GET / HTTP/1.1\r\n\r\n"),
        .field("repeated Host", "Host: b"),
        .field("repeated equal Host", "host: a"),
        BadRequest("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        BadRequest("Host with user info", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        BadRequest("two Hosts in one", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        BadRequest("Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
        BadRequest("Host is not the target's", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest("repeated Host on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        .field("Connection names Host", "Connection: host"),
        .field("Connection names Content-Length", "Connection: content-length"),
        .field("Connection names too many", "Connection: a,b,c,d,e,f,g,h,i,j,k"),
    ]

    static let framing: [BadRequest] = [
        .post("length and chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        .post("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        .post("two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        .post("two equal lengths", "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        .post("list of lengths", "Content-Length: 1, 1\r\n\r\na"),
        .post("signed length", "Content-Length: +1\r\n\r\na"),
        .post("negative length", "Content-Length: -1\r\n\r\na"),
        .post("hexadecimal length", "Content-Length: 0x1\r\n\r\na"),
        .post("empty length", "Content-Length: \r\n\r\n"),
        .post("space in length", "Content-Length: 1 1\r\n\r\na"),
        .post("length beyond 2^63", "Content-Length: 9223372036854775808\r\n\r\n"),
        .post("length beyond 2^64", "Content-Length: 18446744073709551617\r\n\r\na"),
        .post("identity, chunked, chunked", "Transfer-Encoding: identity, chunked, chunked\r\n\r\n0\r\n\r\n"),
        .post("chunked twice", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        .post("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        .post("identity", "Transfer-Encoding: identity\r\n\r\n"),
        .post("chunked not last", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        .post("empty coding", "Transfer-Encoding: \r\n\r\n0\r\n\r\n"),
        .post("vertical tab before chunked", "Transfer-Encoding: \u{B}chunked\r\n\r\n0\r\n\r\n"),
        BadRequest("1.0 chunked", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        .post("unknown coding", "Transfer-Encoding: zip\r\n\r\n", 501),
        .post("quoted coding", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501),
        .post("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        .post("xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        .post("chunk size overflows", "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\na"),
        .post("chunk size beyond 2^63", "Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\na"),
        .post("chunk size not hexadecimal", "Transfer-Encoding: chunked\r\n\r\nG\r\na\r\n0\r\n\r\n"),
        .post("chunk size signed", "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"),
        .post("chunk size 0x", "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
        .post("chunk size missing", "Transfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n"),
        .post("chunk line ends with LF", "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"),
        .post("chunk without CRLF", "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"),
        .post("chunk ends with LF", "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n"),
        .post("LF hidden in an extension", "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n"),
        .post("broken trailer", "Transfer-Encoding: chunked\r\n\r\n0\r\nbroken\r\n\r\n"),
        .post("space before a trailer's colon", "Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n"),
    ]

    static let sizes: [BadRequest] = [
        .field("head too large", "X-A: \(String(repeating: "x", count: 70_000))", 431),
        .field("too many fields", Array(repeating: "X: y", count: 200).joined(separator: "\r\n"), 431),
        BadRequest(
            "target too long",
            "GET /\(String(repeating: "x", count: 17_000)) HTTP/1.1\r\nHost: a\r\n\r\n",
            414
        ),
        BadRequest("endless target", "GET /\(String(repeating: "x", count: 100_000))", 414),
    ]

    static let all = lines + fields + framing + sizes
}

@Suite(
    "A malformed request is refused, the connection closed, and the origin sees none of it",
    .serialized,
    .timeLimit(.minutes(5))
)
struct MalformedRequestTests {
    @Test(arguments: BadRequest.all)
    func refused(_ bad: BadRequest) async throws {
        try await withProxy(.plain, .ok("the origin was asked")) { service, origin in
            let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            let text = try await service.transcript(of: bad.text + smuggled)
            let head = RawMessage(head: text)
            #expect(head.status == bad.status)
            #expect(head["connection"] == "close")
            #expect(head["content-length"] == "0")
            #expect(text.ranges(of: "HTTP/1.1 ").count == 1)
            #expect(origin.requestCount == 0)
        }
    }

    /// The same on a connection that has served a request, and through a proxy that sees every byte.
    @Test(arguments: BadRequest.lines + BadRequest.fields)
    func refusedLater(_ bad: BadRequest) async throws {
        try await withProxy(.watching, .ok()) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                #expect(try await client.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").status == 200)
                try await client.send(bad.text)
                let text = String(decoding: try await client.receiveToEnd(), as: UTF8.self)
                #expect(RawMessage(head: text).status == bad.status)
                #expect(origin.requests.map(\.target) == ["/first"])
            }
        }
    }

    /// A chunk that turns out to be bad when the head is on its way: the origin never gets a whole request.
    @Test(arguments: ["G\r\n", "1\r\nab\r\n", "FFFFFFFFFFFFFFFFF\r\n", "1\na\r\n", "0\r\nX : y\r\n\r\n"])
    func brokenLater(_ rest: String) async throws {
        let complete = Diary()
        let script = OriginScript { connection in
            guard let head = try await connection.nextRequestHead() else { return }
            complete.note("head")
            if (try? await connection.receiveBody(of: head)) != nil { complete.note("whole") }
        }
        try await withProxy(.plain, script) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                try await complete.wait(for: "head")
                try await client.send(rest)
                let response = try await client.receiveResponse()
                #expect(response.status == 400)
                #expect(response["connection"] == "close")
                try await client.awaitClose()
                #expect(complete.lines == ["head"])
                #expect(service.diary.lines == ["logged InvalidBody"])
            }
        }
    }
}
