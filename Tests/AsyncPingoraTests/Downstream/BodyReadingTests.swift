import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// Reads the request's body, or some of it, before it decides.
struct ReadingProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer { peer }

    func requestFilter(_ session: Session, context: inout Void) async throws -> RequestDisposition {
        switch session.request.path {
        case "/all":
            var size = 0
            while let bytes = try await session.readRequestBody() { size += bytes.count }
            diary.note("read \(size)")
        case "/some":
            let first = try await session.readRequestBody()
            diary.note(first == nil ? "read nothing" : "read some")
        case "/answer":
            var text = ""
            while let bytes = try await session.readRequestBody() { text += bytes.description }
            try await session.respond(.ok, body: Bytes("got \(text)"))
            return .responded
        default:
            break
        }
        return .forward
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        diary.note(logLine(session, error))
    }
}

@Suite(
    "A body that a filter has read still reaches the upstream, whole or not at all",
    .serialized,
    .timeLimit(.minutes(5))
)
struct BodyReadingTests {
    private static let script = OriginScript { connection in
        while let request = try await connection.nextRequest() {
            let trailers = request.trailers.map { "\($0.name)=\($0.value)" }.joined()
            let body = "\(request.body.count)\(request.text.prefix(10))\(trailers)"
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
    }

    @Test(arguments: ["/all", "/some", "/none"])
    func passedOn(path: String) async throws {
        try await withProxy(Self.script, make: ReadingProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                let head = "POST \(path) HTTP/1.1\r\nHost: a\r\n"
                for _ in 0..<2 {
                    let known = try await client.exchange(head + "Content-Length: 6\r\n\r\nabcdef")
                    #expect(known.text == "6abcdef")
                    let chunked = try await client.exchange(
                        head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nX-T: y\r\n\r\n"
                    )
                    #expect(chunked.text == "6abcdefX-T=y")
                    #expect(try await client.exchange(head + "Content-Length: 0\r\n\r\n").text == "0")
                    let large = String(repeating: "z", count: 60_000)
                    #expect(
                        try await client.exchange(head + "Content-Length: 60000\r\n\r\n" + large).text
                            == "60000zzzzzzzzzz"
                    )
                }
                #expect(origin.connectionCount == 1)
            }
        }
    }

    /// Beyond what is kept, a body that has been read cannot be sent: the request fails instead of reaching the upstream cut.
    @Test func tooLarge() async throws {
        try await withProxy(Self.script, make: ReadingProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
                try await client.send([UInt8](repeating: 122, count: 200_000))
                #expect(try await client.receiveResponse().status == 500)
                try await service.diary.wait(for: "logged InternalError")
                #expect(origin.requestCount == 0)
            }
        }
    }

    @Test func answered() async throws {
        try await withProxy(Self.script, make: ReadingProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    try await client.send(
                        "POST /answer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
                    )
                    #expect(try await client.receiveHead() == "HTTP/1.1 100 Continue\r\n\r\n")
                    try await client.send("hi")
                    #expect(try await client.receiveResponse(skipsInformational: false).text == "got hi")
                }
                #expect(origin.connectionCount == 0)
            }
        }
    }

    /// A client that has been told to go on, or did not wait for it, needs no word from the upstream; one that waits does.
    @Test(arguments: [("/all", false), ("/some", false), ("/none", true)])
    func expectation(path: String, isPassedOn: Bool) async throws {
        let script = OriginScript { connection in
            while let head = try await connection.nextRequestHead() {
                #expect((head["expect"] == "100-continue") == isPassedOn)
                if isPassedOn { try await connection.send("HTTP/1.1 100 Continue\r\n\r\n") }
                let request = try await connection.receiveBody(of: head)
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\(request.text)")
            }
        }
        try await withProxy(script, make: ReadingProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<2 {
                    try await client.send(
                        "POST \(path) HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
                    )
                    #expect(try await client.receiveHead() == "HTTP/1.1 100 Continue\r\n\r\n")
                    try await client.send("body")
                    #expect(try await client.receiveResponse(skipsInformational: false).text == "body")
                }
            }
            #expect(origin.failures.isEmpty)
        }
    }

    /// A filter that meets a bad chunk or a client that has gone fails its request as the body itself does.
    @Test(arguments: ["/all", "/answer", "/some", "/none"])
    func broken(path: String) async throws {
        try await withProxy(Self.script, make: ReadingProxy.init) { service, origin in
            let text = try await service.transcript(
                of: "POST \(path) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"
            )
            #expect(text.hasPrefix("HTTP/1.1 400 "))
            try await service.diary.wait(for: "logged InvalidBody")
            #expect(origin.requestCount == 0)
            let client = try await RawClient.connect(to: service.address)
            try await client.send("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            client.close()
            try await service.diary.wait { $0.count { $0.hasPrefix("logged") } == 2 }
        }
    }
}
