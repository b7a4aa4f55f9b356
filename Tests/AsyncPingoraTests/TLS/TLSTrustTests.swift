import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// Chooses the peer by the request's path, and notes what was agreed on with both sides.
private struct TLSWatchingProxy: ProxyHttp {
    let peers: [String: HttpPeer]
    let diary: Diary

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer {
        guard let peer = peers[session.request.path] else { throw PingoraError(.httpStatus(404)) }
        return peer
    }

    func requestFilter(_ session: Session, context: inout Void) async throws -> RequestDisposition {
        diary.note("client \(session.tls?.peerCertificate?.commonName ?? "without a certificate")")
        return .forward
    }

    func upstreamResponseFilter(_ session: Session, response: inout ResponseHeader, context: inout Void) async throws {
        diary.note("upstream resumed \(session.upstreamTLS.map { "\($0.isResumed)" } ?? "nothing")")
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        diary.note(logLine(session, error))
    }
}

@Suite("What is trusted decides where requests go", .serialized)
struct TLSTrustTests {
    private static func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: a.test\r\n\r\n" }

    private static func request(_ configure: (inout TestAuthority.Request) -> Void) -> TestAuthority.Request {
        var request = TestAuthority.Request()
        configure(&request)
        return request
    }

    @Test("Bad certificates of upstreams are answered with 502, and logged as what they are")
    func badUpstreams() async throws {
        let authority = try await TestAuthority()
        let others = try await TestAuthority(name: "Others")
        let revoked = try await authority.issue()
        let list = try await authority.revoke(revoked)
        let certificates = [
            try await authority.issue(Self.request { $0.isExpired = true }),
            try await authority.issue(Self.request { $0.isSelfSigned = true }),
            try await authority.issue(Self.request { $0.names = "DNS:elsewhere.test" }),
            try await others.issue(),
            revoked,
        ]
        for (index, certificate) in certificates.enumerated() {
            let trust: @Sendable (inout UpstreamSetup, SocketAddress) -> Void = { setup, address in
                var tls = authority.trusted
                tls.revocationFile = list
                let peer = HttpPeer(address, tls: tls)
                setup.peer = { _ in peer }
            }
            try await withTLSProxy(authority, .ok("never"), origin: certificate, configure: trust) { fixture in
                let status = try await RawClient.withConnection(to: fixture.proxy, tls: authority.trusted) { client in
                    try await client.exchange(Self.get("/")).status
                }
                #expect(status == 502, "certificate \(index)")
                #expect(fixture.origin.requestCount == 0)
                let entry = try await fixture.journal.logged()[0]
                #expect(entry.error?.kind == .invalidCert, "certificate \(index): \(String(describing: entry.error))")
                #expect((entry.error?.cause as? TransportError)?.tls?.verifyResult != 0)
            }
        }
    }

    @Test("Upstreams that speak no TLS, or nothing, are answered with 502 and 504")
    func noTLS() async throws {
        let cases: [(OriginScript, String, Int)] = [
            (OriginScript { try await $0.send("HTTP/1.1 400 no\r\n\r\n") }, "TLSHandshakeFailure", 502),
            (OriginScript { _ in }, "TLSHandshakeFailure", 502), (.stalling, "TLSHandshakeTimedOut", 504),
        ]
        for (script, kind, status) in cases {
            try await withUpstream(script) { setup in
                guard let address = try? setup.peer(1).address else { return }
                var options = PeerOptions()
                options.tlsHandshakeTimeout = kind == "TLSHandshakeTimedOut" ? .milliseconds(200) : .seconds(20)
                let peer = HttpPeer(address, tls: TLSClientOptions(serverName: "localhost"), options: options)
                setup.peer = { _ in peer }
            } _: { fixture in
                let answered = try await fixture.response(to: Self.get("/")).status
                #expect(answered == status)
                let logged = try await fixture.journal.logged()[0].error?.kind.name
                #expect(logged == kind)
            }
        }
    }

    @Test("Peers that differ only in what they trust never share a connection, and sessions are resumed")
    func identities() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        try await TestExecutor.withExecutor { _ in
            let behind = try TLSAcceptor(TLSServerSettings(certificates: [certificate.source]))
            let script = OriginScript { connection in
                while let request = try await connection.nextRequest() {
                    let closes = request["x-last"] != nil
                    let field = closes ? "Connection: close\r\n" : ""
                    try await connection.send("HTTP/1.1 200 OK\r\n\(field)Content-Length: 0\r\n\r\n")
                    if closes { return }
                }
            }
            try await withScriptedOrigin(script, tls: behind) { origin in
                var lax = authority.trusted
                lax.verifiesHostname = false
                var listeners = Listeners()
                listeners.add(try loopback())
                let diary = Diary()
                let peers = [
                    "/strict": HttpPeer(origin.address, tls: authority.trusted),
                    "/lax": HttpPeer(origin.address, tls: lax),
                ]
                let service = httpProxyService(
                    TLSWatchingProxy(peers: peers, diary: diary),
                    listeners: listeners,
                    threadCount: 1,
                    logger: silentLogger
                )
                try await withService(service, diary: diary) { proxy in
                    for path in ["/strict", "/lax", "/strict", "/lax"] {
                        let outcome1 = try await proxy.response(to: Self.get(path)).status
                        #expect(outcome1 == 200)
                    }
                    #expect(origin.connectionCount == 2)
                    #expect(diary.count(of: "upstream resumed false") == 4)
                    let last = "GET /strict HTTP/1.1\r\nHost: a\r\nX-Last: 1\r\n\r\n"
                    let outcome2 = try await proxy.response(to: last).status
                    #expect(outcome2 == 200)
                    let outcome3 = try await proxy.response(to: Self.get("/strict")).status
                    #expect(outcome3 == 200)
                    #expect(origin.connectionCount == 3)
                    #expect(diary.count(of: "upstream resumed true") == 1)
                }
            }
        }
    }

    @Test("A client's certificate is seen by filters; without one there is no request")
    func clients() async throws {
        let authority = try await TestAuthority()
        let server = try await authority.issue()
        let client = try await authority.issue(.init(subject: "/CN=friend", names: "DNS:friend.test"))
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.ok("hello")) { origin in
                var settings = TLSServerSettings(certificates: [server.source])
                settings.clientVerification = .required
                settings.clientAuthorityFile = authority.authorityFile
                var listeners = Listeners()
                try listeners.addTLS(try loopback(), settings: settings)
                let diary = Diary()
                let service = httpProxyService(
                    TLSWatchingProxy(peers: ["/": HttpPeer(origin.address)], diary: diary),
                    listeners: listeners,
                    threadCount: 1,
                    logger: silentLogger
                )
                try await withService(service, diary: diary) { proxy in
                    var options = authority.trusted
                    await #expect(throws: (any Error).self) {
                        try await RawClient.withConnection(to: proxy.address, tls: options) {
                            try await $0.exchange(Self.get("/"))
                        }
                    }
                    options.clientCertificate = .init(chainFile: client.chainFile, keyFile: client.keyFile)
                    try await RawClient.withConnection(to: proxy.address, tls: options) { client in
                        let outcome4 = try await client.exchange(Self.get("/")).status
                        #expect(outcome4 == 200)
                    }
                    #expect(origin.requestCount == 1)
                    #expect(diary.count(of: "client friend") == 1)
                    #expect(diary.count(of: "upstream resumed nothing") == 1)
                }
            }
        }
    }
}
