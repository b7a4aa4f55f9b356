import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("A peer that chooses HTTP/2 and does not do it well is spoken to in HTTP/1.1", .serialized)
struct HTTP2FallbackTests {
    /// What is wrong with the HTTP/2 of the upstream.
    enum Defect: CaseIterable, Sendable {
        case http11Required, garbage
    }

    @Test(
        "The request is made again, and later ones at once, in HTTP/1.1",
        .timeLimit(.minutes(5)),
        arguments: Defect.allCases
    )
    func fallback(defect: Defect) async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        let trusted = authority.trusted
        let http2Count = Lock(0)
        let script = OriginScript { connection in
            let start = try await connection.receive(count: 3)
            connection.unread(start)
            guard start == Array("PRI".utf8) else { return try await Self.answer(connection) }
            http2Count.withLock { $0 += 1 }
            switch defect {
            case .garbage:
                try await connection.send("HTTP/1.1 400 Bad Request\r\n\r\n")
                try await connection.awaitClose()
            case .http11Required:
                let server = RawHTTP2Connection(on: connection, role: .server)
                while true { try await server.reset(try await server.nextRequest(), .http11Required) }
            }
        }
        try await TestExecutor.withExecutor { _ in
            var behind = TLSServerSettings(certificates: [certificate.source])
            behind.alpn = .http2OrHTTP1
            try await withScriptedOrigin(script, tls: try TLSAcceptor(behind)) { origin in
                var options = PeerOptions()
                options.httpVersions = .negotiated
                let peer = HttpPeer(origin.address, tls: trusted, options: options)
                var setup = UpstreamSetup(upstream: origin.address)
                setup.peer = { _ in peer }
                try await withUpstreamProxy(setup, origin: origin) { proxy in
                    for _ in 0..<3 {
                        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
                        let response = try await proxy.response(to: request)
                        #expect(response.status == 200 && response.text == "HTTP/1.1 body")
                    }
                    let entries = try await proxy.journal.logged(3)
                    #expect(entries.map(\.attempts) == [2, 1, 1])
                    #expect(entries.allSatisfy { $0.error == nil })
                    #expect(http2Count.withLock { $0 } == 1)
                }
            }
        }
    }

    private static func answer(_ connection: OriginConnection) async throws {
        while let request = try await connection.nextRequest() {
            let text = "HTTP/1.1 \(request.text)"
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
        }
    }
}
