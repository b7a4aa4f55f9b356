import HTTPCodecs
import HTTPTypes
import Testing

@Suite("Heads that come in HTTP/2 have the form of HTTP/1.1, or are refused")
struct HTTP2ReceivedHeadTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let fields: [(String, String)]
        /// The request line and the fields; nil when the stream is reset with PROTOCOL_ERROR.
        let head: [String]?
        var testDescription: String { fields.map { "\($0): \($1)" }.joined(separator: " | ") }

        init(_ fields: [(String, String)], _ head: [String]? = nil) {
            self.fields = fields
            self.head = head
        }

        /// A simple request with more fields.
        init(with more: (String, String)..., head: [String]? = nil) {
            self.init(Frame.request("GET", "/", more), head.map { ["GET /", "Host: a.example"] + $0 })
        }
    }

    static let wellFormed: [Row] = [
        Row(with: ("x", "y"), head: ["x: y"]),
        Row(Frame.request("POST", "/x?y=%23"), ["POST /x?y=%23", "Host: a.example"]),
        Row(Frame.request("PURGE", "/"), ["PURGE /", "Host: a.example"]),
        Row(Frame.request("OPTIONS", "*"), ["OPTIONS *", "Host: a.example"]),
        Row(with: ("accept", "*/*"), ("x-own", "1"), head: ["accept: */*", "x-own: 1"]),
        Row(with: ("te", "trailers"), head: ["te: trailers"]),
        Row(with: ("x-empty", ""), head: ["x-empty: "]),
        Row(with: ("x-tab", "a\tb"), ("x-high", "\u{e4}"), head: ["x-tab: a\tb", "x-high: \u{FFFD}"]),
        // The crumbs of a cookie, wherever they are.
        Row(with: ("cookie", "a=1"), head: ["cookie: a=1"]),
        Row(with: ("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3"), head: ["Cookie: a=1; b=2; c=3"]),
        Row(with: ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), head: ["Cookie: a=1; b=2", "x: y"]),
        // One authority, and a Host that says the same.
        Row(with: ("host", "a.example"), head: []),
        Row(with: ("x", "y"), ("host", "a.example"), head: ["x: y"]),
        Row(
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("x", "y"), ("host", "b:8080")],
            ["GET /", "x: y", "host: b:8080"]
        ),
        Row(
            [(":authority", "[::1]:80"), (":path", "/"), (":scheme", "HTTPS"), (":method", "GET")],
            ["GET /", "Host: [::1]:80"]
        ),
        // A tunnel has an authority and nothing else.
        Row([(":method", "CONNECT"), (":authority", "a:443")], ["CONNECT a:443", "Host: a:443"]),
        Row(
            [
                (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"),
                (":authority", "a"), ("sec-websocket-version", "13"),
            ],
            ["GET /chat", "Host: a", "sec-websocket-version: 13", "Connection: Upgrade", "Upgrade: websocket"]
        ),
    ]

    @Test("what is well-formed", arguments: wellFormed)
    func accepted(row: Row) throws {
        let server = Self.server()
        server.receive(Frame.headers(1, row.fields))
        let head = try #require(server.requests[1])
        #expect(["\(head.method.rawValue) \(head.target)"] + head.headers.lines == row.head)
        #expect(head.version == .http2)
        #expect(head.isExtendedConnect == row.fields.contains { $0.0 == ":protocol" })
        #expect(head.headers.withValue(.host) { $0.byteCount } != nil)
    }

    static let malformed: [Row] = [
        // Pseudo fields that are missing, unknown, repeated, empty or in the wrong place.
        Row([(":method", "GET"), (":scheme", "https"), (":authority", "a")]),
        Row([(":method", "GET"), (":path", "/"), (":authority", "a")]),
        Row([(":scheme", "https"), (":path", "/"), (":authority", "a")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/")]),
        Row(with: (":method", "GET")),
        Row(with: (":status", "200")),
        Row(with: (":protocol", "websocket")),
        Row(with: (":unknown", "x")),
        Row(with: (":", "x")),
        Row(with: ("x", "y"), (":path", "/")),
        Row([("x", "y")] + Frame.request()),
        Row(Frame.request("", "/")),
        Row(Frame.request("GET", "")),
        Row(Frame.request("G T", "/")),
        Row(Frame.request("GET\r\n", "/")),
        Row(Frame.request(String(repeating: "M", count: 54), "/")),
        // Paths.
        Row(Frame.request("GET", "*")),
        Row(Frame.request("GET", "a")),
        Row(Frame.request("GET", "http://a.example/")),
        Row(Frame.request("GET", "/ x")),
        Row(Frame.request("GET", "/\tx")),
        Row(Frame.request("GET", "/x HTTP/1.1\r\nx: y")),
        Row(Frame.request("GET", "/\u{0}")),
        Row(Frame.request("GET", "/\u{e4}")),
        Row(Frame.request("GET", "/\u{7f}")),
        Row(Frame.request("GET", "/#fragment")),
        Row(Frame.request("OPTIONS", "**")),
        // Authorities.
        Row(with: ("host", "b.example")),
        Row(with: ("host", "A.example")),
        Row(with: ("host", "a.example"), ("host", "a.example")),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a"), ("host", "a")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "u@a")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "u:p@a")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a/b")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a b")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a:1:2")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a\\b")]),
        Row([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a\r\nx: y")]),
        // Schemes.
        Row([(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "a")]),
        Row([(":method", "GET"), (":scheme", ""), (":path", "/"), (":authority", "a")]),
        // CONNECT.
        Row([(":method", "CONNECT"), (":authority", "a")]),
        Row([(":method", "CONNECT"), (":authority", "a:443"), (":path", "/")]),
        Row([(":method", "CONNECT"), (":authority", "a:443"), (":scheme", "https")]),
        Row([(":method", "CONNECT"), ("host", "a:443")]),
        Row([(":method", "CONNECT"), (":authority", "a:443"), ("content-length", "3")]),
        Row(Frame.request("CONNECT", "/", [(":protocol", "tcp")])),
        Row([
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/"),
            (":authority", "a"), ("content-length", "3"),
        ]),
        // What concerns one HTTP/1 connection.
        Row(with: ("connection", "close")),
        Row(with: ("connection", "")),
        Row(with: ("keep-alive", "timeout=5")),
        Row(with: ("proxy-connection", "keep-alive")),
        Row(with: ("transfer-encoding", "chunked")),
        Row(with: ("upgrade", "websocket")),
        Row(with: ("te", "gzip")),
        Row(with: ("te", "trailers, gzip")),
        // Names and values.
        Row(with: ("Accept", "x")),
        Row(with: ("x y", "z")),
        Row(with: ("x:y", "z")),
        Row(with: ("", "z")),
        Row(with: ("x\r\ny", "z")),
        Row(with: ("x\u{0}", "z")),
        Row(with: ("x\u{e4}", "z")),
        Row(with: ("x", "a\r\nb: c")),
        Row(with: ("x", "a\nb")),
        Row(with: ("x", "a\rb")),
        Row(with: ("x", "a\u{0}b")),
        Row(with: ("x", "a\u{1b}b")),
        Row(with: ("x", "a\u{7f}b")),
        Row(with: ("x", " a")),
        Row(with: ("x", "a\t")),
        Row(with: ("content-length", "1"), ("content-length", "1")),
        Row(with: ("content-length", "1, 1")),
        Row(with: ("content-length", "-1")),
        Row(with: ("content-length", "99999999999999999999")),
        Row(with: ("content-length", "")),
    ]

    @Test("what is not", arguments: malformed)
    func refused(row: Row) throws {
        let server = Self.server()
        server.receive(Frame.headers(1, row.fields, end: false))
        #expect(server.log.isEmpty)
        #expect(SentFrame.all(server.produce()).compactMap(\.verdict) == ["reset 1 1"])
        #expect(server.log.isEmpty && server.session.openStreamCount == 0)
        // The connection goes on.
        server.receive(Frame.headers(3, Frame.request("GET", "/next")))
        #expect(server.takeLog() == ["request 3 GET /next end"])
    }

    static let responses: [Row] = [
        Row([(":status", "200"), ("server", "x")], ["200 OK", "server: x"]),
        Row([(":status", "204"), ("content-length", "0")], ["204 No Content"]),
        Row([(":status", "799")], ["799"]),
        Row(
            [(":status", "200"), ("set-cookie", "a"), ("set-cookie", "b")],
            ["200 OK", "set-cookie: a", "set-cookie: b"]
        ),
        Row([("server", "x")]),
        Row([(":status", "101")]),
        Row([(":status", "099")]),
        Row([(":status", "20")]),
        Row([(":status", "2000")]),
        Row([(":status", "2x0")]),
        Row([(":status", "+20")]),
        Row([(":status", "200"), (":status", "200")]),
        Row([(":status", "200"), (":path", "/")]),
        Row([("server", "x"), (":status", "200")]),
        Row([(":status", "200"), ("connection", "close")]),
        Row([(":status", "200"), ("transfer-encoding", "chunked")]),
        Row([(":status", "200"), ("upgrade", "h2c")]),
        Row([(":status", "200"), ("x", "a\r\nb")]),
        Row([(":status", "200"), ("X", "a")]),
        Row([(":status", "204"), ("content-length", "5")]),
        Row([(":status", "103"), ("content-length", "5")]),
        Row([(":status", "200"), ("content-length", "5"), ("content-length", "5")]),
    ]

    @Test("responses", arguments: responses)
    func response(row: Row) throws {
        let client = Endpoint(.client)
        let id = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true)
        _ = client.produce()
        client.receive(Frame.settings() + Frame.headers(1, row.fields, end: false))
        if let head = row.head {
            let response = try #require(client.responses[id]?.first)
            #expect(["\(response)"] + response.headers.lines == head)
            #expect(response.version == .http2)
        } else {
            #expect(client.log.isEmpty)
            #expect(SentFrame.all(client.produce()).compactMap(\.verdict) == ["reset 1 1"])
            #expect(client.takeLog() == ["closed 1 PROTOCOL_ERROR"])
        }
    }

    @Test("Informational responses must not end the stream, and 1xx is no final response")
    func informational() throws {
        let client = Endpoint(.client)
        _ = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true)
        _ = client.produce()
        client.receive(Frame.settings() + Frame.headers(1, [(":status", "103"), ("link", "</x>")], end: false))
        client.receive(Frame.headers(1, [(":status", "200")], end: false) + Frame.data(1, [1]))
        client.receive(Frame.headers(1, [("grpc-status", "0"), ("host", "x")]))
        #expect(
            client.takeLog() == [
                "response 1 103 Early Hints", "response 1 200 OK", "trailers 1 grpc-status: 0", "closed 1 NO_ERROR",
            ]
        )
        _ = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true)
        _ = client.produce()
        client.receive(Frame.headers(3, [(":status", "103")], end: true))
        #expect(SentFrame.all(client.produce()).compactMap(\.verdict) == ["reset 3 1"])
    }

    /// A server that has heard the preface.
    static func server(_ settings: HTTP2.Settings = HTTP2.Settings()) -> Endpoint {
        let server = Endpoint(.server, settings)
        server.receive(Frame.preface + Frame.settings())
        _ = server.produce()
        return server
    }
}
