import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite(
    "Fields reach the other side as they were, but for those of one connection",
    .serialized,
    .timeLimit(.minutes(5))
)
struct HeaderForwardingTests {
    @Test(arguments: ProxyKind.allCases)
    func orderAndCase(kind: ProxyKind) async throws {
        let fields = [
            "hOsT: example.com:80", "X-Zulu: 1", "x-alpha: 2", "X-ALPHA: 3", "uSER-aGENT: test/1 (a; b)", "Accept: */*",
            "X-Empty:", "X-Zulu: 4", "Cookie: a=b; c=d", "X-Latin: caf\u{E9}", "X-Inner:  two  words ",
        ]
        let answer = [
            "X-Second: 1", "sERVER: origin", "Set-Cookie: a=1", "X-Other: z", "set-cookie: b=2", "X-Empty:",
            "Content-Length: 2", "ETag: W/\"x\"", "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        ]
        let script = OriginScript.replying(
            "HTTP/1.1 299 Very Fine\r\n" + answer.map { $0 + "\r\n" }.joined() + "\r\nok"
        )
        try await withProxy(kind, script) { service, origin in
            let request = "GET /a/../b?x=%2F&y HTTP/1.1\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
            let response = try await service.response(to: request)
            let seen = try #require(origin.requests.first)
            #expect(seen.startLine == "GET /a/../b?x=%2F&y HTTP/1.1")
            #expect(seen.fields == RawMessage(head: request).fields)
            #expect(response.startLine == "HTTP/1.1 299 Very Fine")
            let expected = RawMessage(head: "X\r\n" + answer.map { $0 + "\r\n" }.joined()).fields
            #expect(response.fields.filter { $0.name != "Connection" && $0.name != "connection" } == expected)
            #expect(response["connection"] == "keep-alive")
        }
    }

    /// Method and version are the client's; an unknown method passes.
    @Test(arguments: ["OPTIONS", "PATCH", "PROPFIND", "M-SEARCH", "X", "get", "TRACE"])
    func methods(_ method: String) async throws {
        try await withProxy(.plain, .ok()) { service, origin in
            let response = try await service.response(to: "\(method) /x HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.status == 200)
            #expect(origin.requests.map(\.startLine) == ["\(method) /x HTTP/1.1"])
        }
    }

    /// A 1.0 client's request goes out as one of the proxy's own version (RFC 9110 2.5).
    @Test func oldClient() async throws {
        try await withProxy(.plain, .ok("hello")) { service, origin in
            let response = try await service.response(to: "GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
            #expect(response.startLine == "HTTP/1.1 200 OK")
            #expect(response.text == "hello")
            #expect(origin.requests.map(\.startLine) == ["GET /x HTTP/1.1"])
        }
    }

    /// What 1.0 may leave out, 1.1 must have.
    @Test(arguments: [("/x", nil), ("http://b:80/x", "b:80")])
    func oldClientWithoutHost(target: String, host: String?) async throws {
        try await withProxy(.plain, .ok("hello")) { service, origin in
            let response = try await service.response(to: "GET \(target) HTTP/1.0\r\n\r\n")
            #expect(response.text == "hello")
            #expect(origin.requests.first?.values("host") == [host ?? origin.address.description])
        }
    }

    /// An origin server is asked for a path, of the host that the client has named (RFC 9112 3.2.1, 3.2.2, 3.2.4).
    @Test(
        arguments: [
            ("GET http://b:80/x?y=/", "GET /x?y=/"),
            ("GET HTTPS://b:80", "GET /"),
            ("GET http://b:80?q", "GET /?q"),
            ("OPTIONS http://b:80", "OPTIONS *"),
            ("OPTIONS http://b:80?q", "OPTIONS /?q"),
            ("OPTIONS http://b:80/", "OPTIONS /"),
            ("OPTIONS *", "OPTIONS *"),
            ("GET /http://c/", "GET /http://c/"),
            ("GET //c/", "GET //c/"),
        ],
        ProxyKind.allCases
    )
    func absoluteTarget(line: (String, String), kind: ProxyKind) async throws {
        try await withProxy(kind, .ok("hello")) { service, origin in
            let response = try await service.response(to: "\(line.0) HTTP/1.1\r\nHost: b:80\r\n\r\n")
            #expect(response.text == "hello")
            #expect(origin.requests.map(\.startLine) == ["\(line.1) HTTP/1.1"])
            #expect(origin.requests.first?.values("host") == ["b:80"])
        }
    }

    @Test func connectIsRefused() async throws {
        try await withProxy(.plain, .ok()) { service, origin in
            let text = try await service.transcript(
                of: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\n"
            )
            let head = RawMessage(head: text)
            #expect(head.status == 405)
            #expect(head["connection"] == "close")
            #expect(origin.connectionCount == 0)
        }
    }

    struct HopByHop: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let lines: [String]
        let left: [String]

        init(_ lines: [String], left: [String] = []) {
            testDescription = lines.joined(separator: ", ")
            self.lines = lines
            self.left = left
        }
    }

    static let requestFields = [
        HopByHop(["Connection: keep-alive"]),
        HopByHop(["Connection: close"]),
        HopByHop(["Keep-Alive: timeout=5"]),
        HopByHop(["Proxy-Connection: keep-alive"]),
        HopByHop(["Proxy-Authorization: Basic eA=="]),
        HopByHop(["TE: gzip"]),
        HopByHop(["TE: trailers, deflate;q=0.5"], left: ["Connection: TE", "TE: trailers"]),
        HopByHop(["Upgrade: foo"]),
        HopByHop(["Connection: x-private", "X-Private: 1", "X-Public: 2"], left: ["X-Public: 2"]),
        HopByHop(["X-Private: 1", "connection: keep-alive, X-PRIVATE", "x-private: 2"]),
        HopByHop(["Connection: x-one", "Connection: x-two", "X-One: 1", "X-Two: 2"]),
        HopByHop(["Connection: , x-one ,,", "X-One: 1"]),
        HopByHop(["Connection: upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]),
        HopByHop(["Connection: upgrade", "Upgrade: websocket, h2c"]),
    ]

    @Test(arguments: requestFields, ProxyKind.allCases)
    func fromRequest(_ fields: HopByHop, kind: ProxyKind) async throws {
        try await withProxy(kind, .ok()) { service, origin in
            let lines = fields.lines.map { $0 + "\r\n" }.joined()
            let response = try await service.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
            #expect(response.status == 200)
            let seen = try #require(origin.requests.first)
            let left = seen.fields.filter { $0.name != "Host" }.map { "\($0.name): \($0.value)" }
            #expect(left.sorted() == fields.left)
        }
    }

    static let responseFields = [
        HopByHop(["Connection: close"]),
        HopByHop(["Connection: keep-alive", "Keep-Alive: timeout=20"]),
        HopByHop(["Proxy-Connection: close"]),
        HopByHop(["Proxy-Authenticate: Basic"], left: ["Proxy-Authenticate: Basic"]),
        HopByHop(["Upgrade: foo"]),
        HopByHop(["TE: x"]),
        HopByHop(["Connection: x-private", "X-Private: 1", "X-Public: 2"], left: ["X-Public: 2"]),
        HopByHop(["X-Private: 1", "connection: keep-alive, X-PRIVATE", "x-private: 2"]),
        HopByHop(["Connection: content-type", "Content-Type: a/b"], left: ["Content-Type: a/b"]),
    ]

    @Test(arguments: responseFields, ProxyKind.allCases)
    func fromResponse(_ fields: HopByHop, kind: ProxyKind) async throws {
        let lines = fields.lines.map { $0 + "\r\n" }.joined()
        let script = OriginScript.replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\(lines)\r\nok")
        try await withProxy(kind, script) { service, _ in
            let response = try await service.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let own = ["content-length", "date", "connection"]
            let left = response.fields.filter { !own.contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }
            #expect(left == fields.left)
            #expect(response.values("connection") == ["keep-alive"])
            #expect(response.text == "ok")
        }
    }
}
