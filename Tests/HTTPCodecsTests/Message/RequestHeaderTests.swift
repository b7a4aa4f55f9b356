import HTTPCodecs
import HTTPTypes
import Testing

@Suite("A request head goes out as it came in, but for what was changed")
struct RequestHeaderTests {
    private func parse(_ text: String) throws -> RequestHeader {
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var request = RequestHeader()
        #expect(try parser.feed(Array(text.utf8), into: &request) == text.utf8.count)
        return request
    }

    static let fields = "Host: a.example\r\nX-One: 1\r\ncookie:loose\r\nX-Two: 2\r\nAccept: */*\r\n"
    static let text = "GET /p?q HTTP/1.1\r\n\(fields)\r\n"

    @Test func unchangedHeadIsWrittenAsItCame() throws {
        #expect(try parse(Self.text).wireText == Self.text.replacing("cookie:", with: "cookie: "))
        let canonical = Self.text.replacing("cookie:", with: "cookie: ")
        #expect(try parse(canonical).wireText == canonical)
        #expect(try parse("\r\n" + canonical).wireText == canonical)
        #expect(try parse("GET / HTTP/1.1\r\n\r\n").wireText == "GET / HTTP/1.1\r\n\r\n")
    }

    typealias Change = @Sendable (inout RequestHeader) throws -> Void

    static let changes: [(change: Change, wire: String)] = [
        (
            { $0.headers.remove(.host) },
            "GET /p?q HTTP/1.1\r\nX-One: 1\r\ncookie: loose\r\nX-Two: 2\r\nAccept: */*\r\n\r\n"
        ),
        (
            { $0.headers.remove(.accept) },
            "GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\ncookie: loose\r\nX-Two: 2\r\n\r\n"
        ),
        (
            { try $0.headers.set("X-One", "9") },
            "GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-One: 9\r\ncookie: loose\r\nX-Two: 2\r\nAccept: */*\r\n\r\n"
        ),
        (
            { try $0.headers.append(.via, "1.1 p") },
            "GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\ncookie: loose\r\nX-Two: 2\r\nAccept: */*\r\nVia: 1.1 p\r\n\r\n"
        ),
        ({ $0.headers.removeAll() }, "GET /p?q HTTP/1.1\r\n\r\n"),
        (
            {
                $0.method = .init("PURGE") ?? .get
                try $0.setTarget("/z")
                $0.headers.removeAll()
                $0.headers.set(.host, staticBytes: "b")
            }, "PURGE /z HTTP/1.1\r\nHost: b\r\n\r\n"
        ),
    ]

    @Test(arguments: changes.indices)
    func changedHeadIsWrittenWithTheChange(_ index: Int) throws {
        let (change, wire) = Self.changes[index]
        for text in [Self.text, Self.text.replacing("cookie:", with: "cookie: ")] {
            let original = try parse(text)
            var changed = original
            try change(&changed)
            #expect(changed.wireText == wire)
            #expect(changed.wireText.utf8.count <= changed.wireByteCount)
            // The other value is another value.
            #expect(original.wireText == Self.text.replacing("cookie:", with: "cookie: "))
            // A used head takes over everything of another one, and nothing of what it was remains.
            var copy = try parse("POST /longer/than/that HTTP/1.0\r\nA: b\r\nTE: x\r\n\r\n")
            copy.copy(from: changed)
            #expect(copy.wireText == wire)
            #expect(!copy.headers.contains(.te) && copy.version == .http11)
        }
    }

    @Test func foreverChangedHeadDoesNotGrow() throws {
        var request = try parse(Self.text)
        for step in 0..<20_000 {
            request.headers.set(.age, integer: step)
            try request.headers.set("X-One", "step \(step)")
        }
        #expect(request.wireByteCount < 8_192)
        #expect(request.headers.map(\.name) == ["Host", "X-One", "cookie", "X-Two", "Accept", "Age"])
        #expect(request.headers["x-one"] == "step 19999" && request.headers["cookie"] == "loose")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1", RequestHeader.MethodKind.get, true, true), ("HEAD / HTTP/1.1", .head, true, true),
        ("POST / HTTP/1.1", .post, false, false), ("PUT / HTTP/1.1", .put, false, true),
        ("DELETE / HTTP/1.1", .delete, false, true),
        ("CONNECT a:1 HTTP/1.1", .connect, false, false), ("OPTIONS * HTTP/1.1", .options, true, true),
        ("TRACE / HTTP/1.1", .trace, true, true), ("PATCH / HTTP/1.1", .patch, false, false),
        ("get / HTTP/1.1", .other, false, false),
        ("GETS / HTTP/1.1", .other, false, false), ("PURGE / HTTP/1.1", .other, false, false),
    ])
    func methodIsKnown(_ line: String, _ kind: RequestHeader.MethodKind, _ isSafe: Bool, _ isIdempotent: Bool) throws {
        let request = try parse(line + "\r\n\r\n")
        #expect(request.methodKind == kind && request.isSafe == isSafe && request.isIdempotent == isIdempotent)
        let made = try RequestHeader(method: request.method, target: request.target)
        #expect(made.methodKind == kind && made.wireText == request.wireText)
    }

    static let targets: [(String, RequestHeader.TargetForm, String, String?, String?)] = [
        ("GET /a?b?c", RequestHeader.TargetForm.origin, "/a", "b?c", "h"), ("GET /a", .origin, "/a", nil, "h"),
        ("GET /a?", .origin, "/a", "", "h"), ("GET http://x:8/a?b", .absolute, "http://x:8/a", "b", "x:8"),
        ("GET http://x", .absolute, "http://x", nil, "x"), ("GET http://x?q", .absolute, "http://x", "q", "x"),
        ("CONNECT x:1", .authority, "x:1", nil, "x:1"), ("OPTIONS *", .asterisk, "*", nil, "h"),
        ("GET a:", .absolute, "a:", nil, "h"), ("GET :/", .absolute, ":/", nil, "h"),
        ("GET ://", .absolute, "://", nil, ""),
    ]

    @Test(arguments: targets)
    func targetIsTakenApart(
        _ start: String,
        _ form: RequestHeader.TargetForm,
        _ path: String,
        _ query: String?,
        _ authority: String?
    ) throws {
        let request = try parse("\(start) HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(
            request.targetForm == form && request.path == path && request.query == query
                && request.authority == authority
        )
    }

    @Test(arguments: ["", "/a b", "/\r\n", "/\u{0}", "/é", "/\u{7F}", "/\t"])
    func targetsThatSplitMessagesAreRefused(_ target: String) throws {
        #expect(throws: HeaderError.invalidTarget) { try RequestHeader(method: .get, target: target) }
        var request = RequestHeader()
        #expect(throws: HeaderError.invalidTarget) { try request.setTarget(target) }
        #expect(request.target == "/")
    }

    @Test func descriptionEscapesWhatSteersTerminals() throws {
        let request = try parse("GET /x HTTP/1.1\r\nHost: a\tb\u{9B}31m\r\n\r\n")
        #expect(request.description == "GET /x, Host: a\\u{9}b\\u{9b}31m")
    }

    @Test func convertsToAndFromHTTPTypes() throws {
        let request = try parse("GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nX-One: 2\r\nCookie: c\r\n\r\n")
        let converted = HTTPRequest(request, scheme: "https")
        #expect(converted.method == .get && converted.path == "/p?q" && converted.scheme == "https")
        #expect(converted.authority == "a.example")
        #expect(converted.headerFields.map { "\($0.name.rawName)=\($0.value)" } == ["X-One=1", "X-One=2", "Cookie=c"])
        #expect(try RequestHeader(converted).wireText == request.wireText)
        let connect = HTTPRequest(try parse("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), scheme: "https")
        #expect(connect.authority == "a:1" && connect.path == nil && connect.scheme == nil)
        #expect(try RequestHeader(connect).wireText == "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
        #expect(throws: HeaderError.invalidTarget) {
            try RequestHeader(HTTPRequest(method: .get, scheme: nil, authority: "a", path: nil))
        }
    }
}
