import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("CONNECT, where it is allowed, makes a tunnel if the upstream says so", .serialized, .timeLimit(.minutes(5)))
struct ConnectTests {
    private static let request = "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n"

    private static var options: HttpServerOptions {
        var options = HttpServerOptions()
        options.allowsConnect = true
        return options
    }

    /// Says yes in one of the ways there are, and sends back what comes.
    private static func echo(_ answer: String) -> OriginScript {
        OriginScript { connection in
            let request = try await connection.expectRequest()
            #expect(request.startLine == "CONNECT b.example:443 HTTP/1.1")
            #expect(request.values("host") == ["b.example:443"])
            #expect(request["transfer-encoding"] == nil)
            // Bytes that come in one piece with the head are the tunnel's first.
            try await connection.send(answer + "early")
            while true {
                let some = try await connection.receiveSome()
                if some.isEmpty { break }
                try await connection.send(some)
            }
            try await connection.send("bye")
        }
    }

    @Test(
        arguments: [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.1 204 Fine\r\nVia: x\r\n\r\n",
            // Lengths mean nothing here (RFC 9110 9.3.6).
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ],
        ProxyKind.allCases
    )
    func tunnel(answer: String, kind: ProxyKind) async throws {
        try await withProxy(kind, Self.echo(answer), server: Self.options) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request + "sent at once")
                var head = RawMessage(head: try await client.receiveHead())
                if head.status == 103 { head = RawMessage(head: try await client.receiveHead()) }
                #expect(head.status == 200 || head.status == 204)
                #expect(head["content-length"] == nil)
                #expect(head["transfer-encoding"] == nil)
                let greeting = "earlysent at once"
                #expect(try await text(client, greeting) == greeting)
                for message in ["\0\u{1}", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", String(repeating: "x", count: 300_000)]
                {
                    try await client.send(message)
                    #expect(try await text(client, message) == message)
                }
                client.closeWrite()
                #expect(String(decoding: try await client.receiveToEnd(), as: UTF8.self) == "bye")
                try await service.diary.wait { $0.count == 1 }
                #expect(origin.requestCount == 1)
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// The far end closes its side first; the client goes on sending, and all of it arrives.
    @Test(arguments: ProxyKind.allCases)
    func farEndCloses(kind: ProxyKind) async throws {
        let received = Diary()
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send("HTTP/1.1 200 OK\r\n\r\nall I have to say")
            connection.closeWrite()
            received.note(String(decoding: try await connection.receiveToEnd(), as: UTF8.self))
        }
        try await withProxy(kind, script, server: Self.options) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                _ = try await client.receiveHead()
                #expect(String(decoding: try await client.receiveToEnd(), as: UTF8.self) == "all I have to say")
                let message = String(repeating: "y", count: 200_000)
                try await client.send(message)
                client.closeWrite()
                try await received.wait(for: message)
                try await service.diary.wait(for: "logged 200")
                #expect(origin.failures.isEmpty)
            }
        }
    }

    /// No is an ordinary response; the connections go on.
    @Test(arguments: ProxyKind.allCases)
    func refused(kind: ProxyKind) async throws {
        let script = OriginScript.sequence([
            "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ])
        try await withProxy(kind, script, server: Self.options) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                let answer = try await client.receiveResponse()
                #expect(answer.status == 407)
                #expect(answer.text == "no")
                #expect(answer["connection"] == "keep-alive")
                #expect(try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text == "ok")
                #expect(origin.connectionCount == 1)
            }
        }
    }

    /// A body before the tunnel is there would be read in two ways.
    @Test(arguments: ["Content-Length: 3", "Transfer-Encoding: chunked"])
    func body(field: String) async throws {
        try await withProxy(.plain, .ok(), server: Self.options) { service, origin in
            let text = try await service.transcript(
                of: "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\(field)\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            )
            #expect(text.hasPrefix("HTTP/1.1 400 "))
            #expect(origin.connectionCount == 0)
        }
    }

    private func text(_ client: RawClient, _ expected: String) async throws -> String {
        String(decoding: try await client.receive(count: expected.utf8.count), as: UTF8.self)
    }
}
