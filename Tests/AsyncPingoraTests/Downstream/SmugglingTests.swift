import AsyncPingoraTesting
import Testing

@Suite("Proxy and origin always agree on where a request ends", .serialized, .timeLimit(.minutes(5)))
struct SmugglingTests {
    /// A request whose body holds what looks like another request.
    struct Nested: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let body: String

        static let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"

        static let all: [Nested] = [
            Nested(
                testDescription: "in a body of a known length",
                text: "POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: \(inner.utf8.count)\r\n\r\n\(inner)",
                body: inner
            ),
            Nested(
                testDescription: "in a chunk",
                text: "POST /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "\(String(inner.utf8.count, radix: 16))\r\n\(inner)\r\n0\r\n\r\n",
                body: inner
            ),
            Nested(
                testDescription: "in a chunk, coding in another case",
                text: "POST /outer HTTP/1.1\r\nHost: a\r\nTrAnSfEr-EnCoDiNg: cHuNkEd\r\n\r\n"
                    + "\(String(inner.utf8.count, radix: 16))\r\n\(inner)\r\n0\r\n\r\n",
                body: inner
            ),
            Nested(
                testDescription: "in the body of a GET",
                text: "GET /outer HTTP/1.1\r\nHost: a\r\nContent-Length: \(inner.utf8.count)\r\n\r\n\(inner)",
                body: inner
            ),
            Nested(
                testDescription: "in a chunk extension's quotes",
                text: "POST /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2;a=\"0\";b=\"GET /inner HTTP/1.1\"\r\nhi\r\n0\r\n\r\n",
                body: "hi"
            ),
        ]
    }

    @Test(arguments: Nested.all, ProxyKind.allCases)
    func nested(_ nested: Nested, kind: ProxyKind) async throws {
        let bodies = Diary()
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                bodies.note(request.text)
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(nested.text + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.receiveResponse().text == "ok")
                #expect(try await client.receiveResponse().text == "ok")
                #expect(origin.requests.map(\.target) == ["/outer", "/next"])
                #expect(bodies.lines == [nested.body, ""])
            }
        }
    }

    /// An origin that answers before it has the body: what is left of that must not become the next request.
    @Test(arguments: ProxyKind.allCases)
    func earlyAnswer(kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            try await connection.awaitClose()
        }
        try await withProxy(kind, script) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
                let response = try await client.receiveResponse()
                #expect(response.status == 200)
                #expect(response["connection"] == "close")
                try? await client.send("GET /inner HTTP/1.1\r\nHost: a\r\n\r\n")
                try await client.awaitClose()
                #expect(origin.requests.map(\.target) == ["/outer"])
            }
        }
    }
}
