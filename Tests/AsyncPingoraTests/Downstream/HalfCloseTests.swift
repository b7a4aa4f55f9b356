import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// A proxy for clients that close their sending side and still read.
struct PatientProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer { peer }

    func earlyRequestFilter(_ session: Session, context: inout Void) async throws { session.abortsOnClose = false }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        diary.note(logLine(session, error))
    }
}

@Suite(
    "A client that closes its sending side is heard out or given up, as the proxy wants",
    .serialized,
    .timeLimit(.minutes(5))
)
struct HalfCloseTests {
    private static let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func heardOut() async throws {
        let closed = Diary()
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await closed.wait(for: "closed")
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
            try await connection.send([UInt8](repeating: 7, count: 300_000))
        }
        try await withProxy(script, make: PatientProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                try await origin.wait { $0.requestCount == 1 }
                client.closeWrite()
                closed.note("closed")
                let response = try await client.receiveResponse()
                #expect(response.body.count == 300_000)
                #expect(try await client.receiveToEnd().isEmpty)
                #expect(service.diary.lines == ["logged 200"])
            }
        }
    }

    /// All that was asked for before the end is answered.
    @Test func pipelined() async throws {
        try await withProxy(.ok("hello"), make: PatientProxy.init) { service, _ in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request + Self.request + Self.request)
                client.closeWrite()
                for _ in 0..<3 { #expect(try await client.receiveResponse().text == "hello") }
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    @Test(arguments: ProxyKind.allCases)
    func givenUp(kind: ProxyKind) async throws {
        try await withProxy(kind, .stalling) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send(Self.request)
                try await origin.wait { $0.requestCount == 1 }
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
                try await origin.wait { $0.openConnectionCount == 0 }
                try await service.diary.wait(for: "logged ConnectionClosed")
                #expect(service.diary.lines.count == 1)
            }
        }
    }

    /// The client vanishes in the middle of a response, with and without a reset.
    @Test(arguments: [true, false], ProxyKind.allCases)
    func vanishesInResponse(withReset: Bool, kind: ProxyKind) async throws {
        let script = OriginScript { connection in
            _ = try await connection.expectRequest()
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            try await connection.awaitClose()
        }
        try await withProxy(kind, script) { service, origin in
            let client = try await RawClient.connect(to: service.address)
            try await client.send(Self.request)
            _ = try await client.receive(upThrough: "half")
            withReset ? client.reset() : client.close()
            try await service.diary.wait { $0.count == 1 }
            try await origin.wait { $0.openConnectionCount == 0 }
            #expect(service.diary.lines.count == 1)
            #expect(service.diary.lines != ["logged 200"])
        }
    }

    /// The client vanishes in the middle of its request's body: the origin must not take the half for the whole.
    @Test(
        arguments: ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
        [true, false]
    )
    func vanishesInRequest(rest: String, withReset: Bool) async throws {
        let bodies = Diary()
        let script = OriginScript { connection in
            guard let head = try await connection.nextRequestHead() else { return }
            bodies.note((try? await connection.receiveBody(of: head)) == nil ? "cut off" : "whole")
        }
        try await withProxy(.plain, script) { service, origin in
            let client = try await RawClient.connect(to: service.address)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\n" + rest)
            try await origin.wait { $0.requestCount == 1 }
            withReset ? client.reset() : client.close()
            try await bodies.wait { !$0.isEmpty }
            try await service.diary.wait { $0.count == 1 }
            #expect(bodies.lines == ["cut off"])
        }
    }

    /// A body cut off by half a close: there is somebody to answer, but nothing to say but the end.
    @Test func cutOff() async throws {
        try await withProxy(.stalling, make: PatientProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
                client.closeWrite()
                _ = try await client.receiveToEnd()
                try await service.diary.wait { $0.count == 1 }
                try await origin.wait { $0.openConnectionCount == 0 }
            }
        }
    }
}
