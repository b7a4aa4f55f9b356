import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// Writes its name wherever it can.
class SigningModule: HttpModule {
    let name: String
    let diary: Diary

    required init(_ name: String, _ diary: Diary) {
        self.name = name
        self.diary = diary
    }

    func requestHeaderFilter(_ request: inout RequestHeader) async throws {
        diary.note("\(name) request")
        try request.headers.append("X-Seen", name)
    }

    func responseHeaderFilter(_ response: inout ResponseHeader) async throws {
        diary.note("\(name) response \(response.statusCode)")
        response.headers.remove(.contentLength)
        try response.headers.append("X-Passed", name)
    }

    func responseBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws {
        guard let bytes = body else { return }
        body = bytes.isEmpty ? bytes : Bytes("\(name)(\(bytes))")
    }

    func responseDoneFilter() async throws -> Bytes? { Bytes("[\(name) done]") }
}

final class FirstModule: SigningModule {}
final class SecondModule: SigningModule {}
final class ThirdModule: SigningModule {}

@Suite("Modules run by their order, in every hook", .serialized, .timeLimit(.minutes(5)))
struct ModuleTests {
    private static func modules(_ diary: Diary) -> HttpModules {
        var modules = HttpModules()
        modules.add(ThirdModule.self, order: -1) { ThirdModule("c", diary) }
        modules.add(SecondModule.self) { SecondModule("replaced", diary) }
        modules.add(FirstModule.self, order: 5) { FirstModule("a", diary) }
        // One of a type: the last one counts.
        modules.add(SecondModule.self) { SecondModule("b", diary) }
        return modules
    }

    @Test func server() async throws {
        let diary = Diary()
        let serve: @Sendable (Session) async throws -> Void = { session in
            #expect(session.modules.module(SecondModule.self)?.name == "b")
            let seen = session.request.headers.values("X-Seen").joined()
            try await session.respond(.ok, body: Bytes(seen))
        }
        try await withServer(modules: Self.modules(diary), serve: serve) { service in
            for _ in 0..<2 {
                let response = try await service.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.values("x-passed") == ["a", "b", "c"])
                #expect(response.text == "c(b(a(abc)))[a done][b done][c done]")
            }
            let each = ["a request", "b request", "c request", "a response 200", "b response 200", "c response 200"]
            #expect(diary.lines == each + each)
        }
    }

    /// The framework's own answer to a failure is not theirs to change: its head promises an empty body.
    @Test func failure() async throws {
        let diary = Diary()
        try await withServer(
            modules: Self.modules(diary),
            serve: { _ in },
            { service in
                let response = try await service.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.status == 500)
                #expect(response.text.isEmpty)
                #expect(diary.lines == ["a request", "b request", "c request"])
            }
        )
    }

    /// Behind the proxy's own filters, informational heads included.
    @Test func proxy() async throws {
        struct Proxy: ProxyHttp {
            let inner: WatchingProxy

            func newContext() -> Int { 0 }
            func initDownstreamModules(_ modules: inout HttpModules) { modules = ModuleTests.modules(inner.diary) }
            func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer { inner.peer }
            func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Int) async throws {
                try response.headers.append("X-Passed", "proxy")
            }
        }
        let script = OriginScript.replying(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
        let make: @Sendable (HttpPeer, Diary) -> Proxy = { Proxy(inner: WatchingProxy(peer: $0, diary: $1)) }
        try await withProxy(script, make: make) { service, origin in
            let response = try await service.response(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.values("x-passed") == ["proxy", "a", "b", "c"])
            #expect(response.text == "c(b(a(ok)))[a done][b done][c done]")
            #expect(origin.requests.first?.values("x-seen") == ["a", "b", "c"])
            #expect(
                service.diary.lines == [
                    "a request", "b request", "c request", "a response 103", "b response 103", "c response 103",
                    "a response 200", "b response 200", "c response 200",
                ]
            )
        }
    }
}
