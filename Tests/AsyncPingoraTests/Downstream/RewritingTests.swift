import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// Changes bodies on their way, as its case says.
struct RewritingProxy: ProxyHttp {
    enum Mode: String, CaseIterable, Sendable {
        /// Makes each chunk twice as long, and says so in the head.
        case doubling
        /// The same without saying so.
        case lying
        /// Holds everything back until the end, and writes it then.
        case collecting
        /// Drops everything.
        case dropping
        /// Lets a moment pass at each chunk.
        case delaying
    }

    let peer: HttpPeer
    let diary: Diary
    let mode: Mode

    struct Held {
        var request = ""
        var response = ""
    }

    func newContext() -> Held { Held() }
    func upstreamPeer(_ session: Session, context: inout Held) async throws -> HttpPeer { peer }

    func upstreamRequestFilter(_ session: Session, request: inout RequestHeader, context: inout Held) async throws {
        if mode != .lying, mode != .delaying { request.headers.remove(.contentLength) }
    }

    func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Held) async throws {
        if mode != .lying, mode != .delaying { response.headers.remove(.contentLength) }
    }

    func requestBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Held
    ) async throws {
        if session.request.path == "/response" { return }
        rewrite(&body, endOfStream: endOfStream, held: &context.request)
    }

    func responseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Held
    ) async throws -> Duration? {
        if session.request.path == "/request" { return nil }
        rewrite(&body, endOfStream: endOfStream, held: &context.response)
        return mode == .delaying ? .milliseconds(1) : nil
    }

    private func rewrite(_ body: inout Bytes?, endOfStream: Bool, held: inout String) {
        let text = body?.description
        switch mode {
        case .doubling, .lying: body = text.map { Bytes($0 + $0) }
        case .collecting:
            held += text ?? ""
            body = endOfStream ? Bytes(held) : nil
        case .dropping: body = nil
        case .delaying: break
        }
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Held) async {
        diary.note(logLine(session, error))
    }
}

@Suite(
    "Filters may change bodies; what they make of them is framed right or not at all",
    .serialized,
    .timeLimit(.minutes(5))
)
struct RewritingTests {
    private static let script = OriginScript { connection in
        while let request = try await connection.nextRequest() {
            let body = request.text.isEmpty ? "nothing" : request.text
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
    }

    private static let framings = [
        "Content-Length: 6\r\n\r\nabcdef", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    ]

    struct Expectation: Sendable {
        let mode: RewritingProxy.Mode
        let path: String
        let text: String
    }

    @Test(
        arguments: [
            Expectation(mode: .doubling, path: "/response", text: "abcdefabcdef"),
            Expectation(mode: .collecting, path: "/response", text: "abcdef"),
            Expectation(mode: .collecting, path: "/request", text: "abcdef"),
            Expectation(mode: .collecting, path: "/both", text: "abcdef"),
            Expectation(mode: .dropping, path: "/response", text: ""),
            Expectation(mode: .dropping, path: "/request", text: "nothing"),
            Expectation(mode: .delaying, path: "/both", text: "abcdef"),
        ],
        framings
    )
    func rewritten(_ expected: Expectation, framing: String) async throws {
        let make: @Sendable (HttpPeer, Diary) -> RewritingProxy = {
            RewritingProxy(peer: $0, diary: $1, mode: expected.mode)
        }
        try await withProxy(Self.script, make: make) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("POST \(expected.path) HTTP/1.1\r\nHost: a\r\n\(framing)")
                    #expect(response.text == expected.text)
                    #expect(response["connection"] == "keep-alive")
                }
                #expect(origin.connectionCount == 1)
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// More than was promised reaches neither side; nobody takes what did arrive for whole, and nothing is read as a next message.
    @Test func lyingAboutResponse() async throws {
        let make: @Sendable (HttpPeer, Diary) -> RewritingProxy = { RewritingProxy(peer: $0, diary: $1, mode: .lying) }
        try await withProxy(.ok("abcdef"), make: make) { service, _ in
            let text = try await service.transcript(of: "GET /response HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(!text.contains("abcdef"))
            try await service.diary.wait { $0.count == 1 }
            #expect(service.diary.lines == ["logged InternalError"])
        }
    }

    @Test func lyingAboutRequest() async throws {
        let make: @Sendable (HttpPeer, Diary) -> RewritingProxy = { RewritingProxy(peer: $0, diary: $1, mode: .lying) }
        let origin = Diary()
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                origin.note(request.text)
                try await connection.send("HTTP/1.1 204 No Content\r\n\r\n")
            }
        }
        try await withProxy(script, make: make) { service, _ in
            let request = "POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef"
            let text = try await service.transcript(of: request)
            #expect(text.hasPrefix("HTTP/1.1 500 "))
            try await service.diary.wait { $0.count == 1 }
            #expect(service.diary.lines == ["logged InternalError"])
            #expect(origin.lines.isEmpty)
        }
    }
}
