import HTTPCodecs
import Testing

@Suite("A response's body ends where RFC 9112 6.3 says")
struct ResponseFramingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let statusLine: String
        let fields: [String]
        let method: RequestHeader.MethodKind
        let framing: HTTP1.BodyFraming
        var testDescription: String { "\(method) \(statusLine) \(fields)" }

        init(
            _ statusLine: String,
            _ fields: [String],
            to method: RequestHeader.MethodKind,
            _ framing: HTTP1.BodyFraming
        ) {
            self.statusLine = statusLine
            self.fields = fields
            self.method = method
            self.framing = framing
        }
    }

    @Test(arguments: [
        Row("HTTP/1.1 200 OK", ["Content-Length: 5"], to: .get, .length(5)),
        Row("HTTP/1.1 200 OK", ["Transfer-Encoding: chunked"], to: .get, .chunked),
        Row("HTTP/1.1 200 OK", [], to: .get, .untilClose),
        Row("HTTP/1.1 200 OK", ["Connection: keep-alive"], to: .get, .untilClose),
        Row("HTTP/1.0 200 OK", [], to: .get, .untilClose),
        Row("HTTP/1.0 200 OK", ["Content-Length: 5"], to: .get, .length(5)),
        // No body, whatever the fields say.
        Row("HTTP/1.1 200 OK", ["Content-Length: 5"], to: .head, .none),
        Row("HTTP/1.1 200 OK", ["Transfer-Encoding: chunked"], to: .head, .none),
        Row("HTTP/1.1 200 OK", [], to: .head, .none),
        Row("HTTP/1.1 204 No Content", ["Content-Length: 5"], to: .get, .none),
        Row("HTTP/1.1 304 Not Modified", ["Content-Length: 5"], to: .get, .none),
        Row("HTTP/1.1 304 Not Modified", ["Transfer-Encoding: chunked"], to: .get, .none),
        Row("HTTP/1.1 100 Continue", ["Content-Length: 5"], to: .post, .none),
        Row("HTTP/1.1 103 Early Hints", [], to: .head, .none),
        Row("HTTP/1.1 205 Reset Content", ["Content-Length: 0"], to: .post, .length(0)),
        // A tunnel, whatever the fields say; but a refused CONNECT is an ordinary response.
        Row("HTTP/1.1 200 OK", ["Content-Length: 5"], to: .connect, .tunnel),
        Row("HTTP/1.1 200 OK", ["Transfer-Encoding: chunked", "Content-Length: 5"], to: .connect, .tunnel),
        Row("HTTP/1.1 299 OK", [], to: .connect, .tunnel),
        Row("HTTP/1.1 407 Proxy Authentication Required", ["Content-Length: 5"], to: .connect, .length(5)),
        Row("HTTP/1.1 100 Continue", [], to: .connect, .none),
        Row("HTTP/1.1 999 Odd", [], to: .get, .untilClose),
    ])
    func framing(_ row: Row) throws {
        let head = try responseHead([row.statusLine] + row.fields)
        for asks in [false, true] {
            #expect(
                try HTTP1.responseFraming(head, requestMethod: row.method, requestAsksForUpgrade: asks) == row.framing
            )
        }
    }

    @Test("only a request that asked for it is upgraded")
    func switching() throws {
        let head = try responseHead(["HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: upgrade"])
        #expect(try HTTP1.responseFraming(head, requestMethod: .get, requestAsksForUpgrade: true) == .tunnel)
        #expect(throws: HTTP1.ParseError.self) {
            try HTTP1.responseFraming(head, requestMethod: .get, requestAsksForUpgrade: false)
        }
    }

    @Test(
        "an answer without a body must not contradict itself either",
        arguments: [
            RequestHeader.MethodKind.get, .head,
        ]
    )
    func contradictions(method: RequestHeader.MethodKind) throws {
        for status in ["200 OK", "204 No Content", "304 Not Modified"] {
            let both = try responseHead(["HTTP/1.1 \(status)", "Content-Length: 5", "Transfer-Encoding: chunked"])
            #expect(throws: HTTP1.ParseError.transferEncodingAndContentLength) {
                try HTTP1.responseFraming(both, requestMethod: method, requestAsksForUpgrade: false)
            }
            let old = try responseHead(["HTTP/1.0 \(status)", "Transfer-Encoding: chunked"])
            #expect(throws: HTTP1.ParseError.transferEncodingOnHTTP10) {
                try HTTP1.responseFraming(old, requestMethod: method, requestAsksForUpgrade: false)
            }
        }
    }
}
