import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// Counts the requests of each connection by what it leaves for the next one.
struct CountingProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func newContext() -> Int { 1 }

    func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer { peer }

    func requestFilter(_ session: Session, context: inout Int) async throws -> RequestDisposition {
        if session.request.path == "/fail" { throw PingoraError(.httpStatus(503)) }
        return .forward
    }

    func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Int) async throws {
        response.headers.set("X-Count", integer: context)
    }

    func persistConnectionContext(_ session: Session, context: Int) -> (any Sendable)? {
        session.request.path == "/forget" ? nil : context
    }

    func onConnectionReuse(_ session: Session, context: inout Int, previous: any Sendable) {
        context += previous as? Int ?? 1_000
    }
}

@Suite("A connection remembers what its last request left", .serialized, .timeLimit(.minutes(5)))
struct ConnectionContextTests {
    @Test func counted() async throws {
        try await withProxy(.ok(), make: CountingProxy.init) { service, _ in
            let other = try await RawClient.connect(to: service.address)
            try await RawClient.withConnection(to: service.address) { client in
                for count in ["1", "2", "3"] {
                    #expect(try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")["x-count"] == count)
                }
                #expect(try await other.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")["x-count"] == "1")
                #expect(try await client.exchange("GET /forget HTTP/1.1\r\nHost: a\r\n\r\n")["x-count"] == "4")
                #expect(try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")["x-count"] == "1")
                try await client.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 2))
                #expect(try await client.receiveResponse()["x-count"] == "2")
                #expect(try await client.receiveResponse()["x-count"] == "3")
            }
        }
    }
}
