import HTTPCodecs
import Testing

@Suite("What concerns one connection is not passed on")
struct HopByHopTests {
    @Test(arguments: [
        (["Accept: */*"], ["Accept: */*"]),
        (["Connection: keep-alive", "Accept: */*"], ["Accept: */*"]),
        (["Connection: close"], []),
        (["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive"], []),
        (["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"], ["Sec-WebSocket-Version: 13"]),
        (["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"], []),
        (["TE: trailers", "Transfer-Encoding: chunked"], []),
        (["Proxy-Authorization: Basic eDp5", "Authorization: Basic eDp5"], ["Authorization: Basic eDp5"]),
        (["Connection: X-Own", "X-Own: 1", "x-own: 2", "X-Owner: 3"], ["X-Owner: 3"]),
        (["X-Own: 1", "Connection: x-OWN ,\tuser-agent", "User-Agent: u", "connection: ACCEPT", "Accept: a"], []),
        (["Connection: X-Absent, Cache-Control"], []),
        (["Connection: not a token, \"x\", X-Own", "X-Own: 1"], []),
        (["Connection: ,, ,", "Accept: a"], ["Accept: a"]),
        (["Connection: caf\u{E9}", "Accept: a"], ["Accept: a"]),
    ])
    func requests(fields: [String], left: [String]) throws {
        var head = try requestHead(["GET / HTTP/1.1", "Host: a"] + fields)
        try HopByHop.strip(request: &head.headers)
        #expect(head.wireText == (["GET / HTTP/1.1", "Host: a"] + left).map { $0 + "\r\n" }.joined() + "\r\n")
    }

    @Test(arguments: [
        "Host", "host", "HOST", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "X-Forwarded-Port",
        "Forwarded",
        "Content-Length", "Content-Type", "Authorization", "Cookie", "Via", ":path", ":", "close, host",
        "a,b,c,d,e,f,g,h,Host",
    ])
    func protectedNames(options: String) throws {
        var head = try requestHead(["GET / HTTP/1.1", "Host: a", "Connection: \(options)"])
        let before = head.wireText
        #expect(throws: HTTP1.ParseError.protectedConnectionOption) { try HopByHop.strip(request: &head.headers) }
        #expect(head.wireText == before)
    }

    @Test("ten options are too many, however they are spread")
    func tooManyOptions() throws {
        for (options, isRefused) in [
            (["a,b,c,d,e,f,g,h,i"], false), (["a,b,c,d,e,f,g,h,i,j"], true), ([",a,,b,,c,,d,,e,,f,,g,,h,,i,,"], false),
            (["a,b,c,d,e", "f,g,h,i,j"], true),
            (["close,close,close,close,close", "close,close,close,close,close"], true),
            (["(,),<,>,@,;,\\,/,[,]"], true), ([String(repeating: ",", count: 1000)], false),
        ] {
            var head = try requestHead(["GET / HTTP/1.1", "Host: a"] + options.map { "Connection: \($0)" })
            var isThrown = false
            do throws(HTTP1.ParseError) {
                try HopByHop.strip(request: &head.headers)
            } catch {
                isThrown = error == .tooManyConnectionOptions
            }
            #expect(isThrown == isRefused, "\(options)")
        }
    }

    @Test(
        "TE keeps just `trailers` when asked to",
        arguments: [
            (["TE: trailers"], "trailers"),
            (["TE: trailers", "Connection: TE"], "trailers"),
            (["TE: gzip;q=0.5, Trailers", "Connection: te, close"], "trailers"),
            (["TE: gzip", "TE: trailers"], "trailers"),
            (["TE: gzip"], nil),
            (["TE:"], nil),
            (["Accept: trailers"], nil),
        ] as [([String], String?)]
    )
    func trailers(fields: [String], left: String?) throws {
        var head = try requestHead(["GET / HTTP/1.1", "Host: a"] + fields)
        try HopByHop.strip(request: &head.headers, keepsTrailersTE: true)
        #expect(head.headers.values(.te) == (left.map { [$0] } ?? []))
    }

    @Test(arguments: [
        (["Connection: close", "Server: s"], ["Server: s"]),
        (["Keep-Alive: timeout=5", "Connection: Keep-Alive"], []),
        (["Connection: X-Own, Content-Length, :a", "X-Own: 1", "Content-Length: 5"], ["Content-Length: 5"]),
        (["Connection: a,b,c,d,e,f,g,h,i,j,X-Own", "X-Own: 1"], []),
        (["Proxy-Authenticate: Basic", "Transfer-Encoding: chunked"], ["Proxy-Authenticate: Basic"]),
        (["Trailer: X-Sum", "Upgrade: h2c"], ["Trailer: X-Sum"]),
    ])
    func responses(fields: [String], left: [String]) throws {
        var head = try responseHead(["HTTP/1.1 200 OK"] + fields)
        HopByHop.strip(response: &head.headers)
        #expect(head.wireText == (["HTTP/1.1 200 OK"] + left).map { $0 + "\r\n" }.joined() + "\r\n")
    }

    @Test("a response that names more fields than it can have is stripped all the same")
    func countlessOptions() throws {
        let options = (0..<5000).map { "x\($0)" }.joined(separator: ",")
        var head = try responseHead([
            "HTTP/1.1 200 OK", "Connection: \(options), Server", "x0: 1", "x9: 1", "Server: s",
        ])
        HopByHop.strip(response: &head.headers)
        #expect(head.headers.isEmpty)
    }

    @Test("a copy keeps what is stripped from the original")
    func copies() throws {
        var head = try requestHead(["GET / HTTP/1.1", "Host: a", "Connection: X-Own, Accept", "X-Own: 1", "Accept: b"])
        let copy = head
        try HopByHop.strip(request: &head.headers)
        #expect(head.headers.count == 1)
        #expect(copy.headers.count == 4)
        #expect(copy.headers[.accept] == "b")
    }
}
