import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("Two ends agree on TLS")
struct TLSHandshakeTests {
    private static let versionCases: [(TLSServerSettings.Profile, TLSVersion, String?)] = [
        (.intermediate, .tls12, "TLSv1.2"), (.intermediate, .tls13, "TLSv1.3"), (.modern, .tls13, "TLSv1.3"),
        (.modern, .tls12, nil),
    ]

    @Test("Versions and profiles", arguments: versionCases.indices)
    func versions(_ index: Int) async throws {
        let (profile, newest, agreed) = Self.versionCases[index]
        let authority = try await TestAuthority()
        var settings = TLSServerSettings(try await authority.issue())
        settings.profile = profile
        let acceptor = try TLSAcceptor(settings)
        var options = TLSClientOptions(serverName: "localhost", trusting: authority)
        options.maximumVersion = newest
        try await TestExecutor.withExecutor { [options] _ in
            let (client, server) = try await shakeHands(acceptor, TLSConnector(), options)
            guard let agreed else {
                #expect(throws: TransportError.self) { try client.get() }
                #expect(server?.tls?.kind == .handshakeFailed)
                return
            }
            let pair = try client.get()
            #expect(pair.client.tls?.version == agreed)
            #expect(pair.server.tls?.version == agreed)
            #expect(pair.server.tls?.serverName == "localhost")
            #expect(pair.server.tls?.clientHello?.applicationProtocols == [.http11])
            #expect(pair.client.tls?.peerCertificate?.organization == "Test")
            #expect(pair.server.tls?.peerCertificate == nil)
            #expect(try await transfer(Bytes("hello"), from: pair.client, to: pair.server) == Array("hello".utf8))
            #expect(try await transfer(Bytes("you"), from: pair.server, to: pair.client) == Array("you".utf8))
        }
    }

    private static let alpnCases: [(ALPNPolicy, [ApplicationProtocol], ApplicationProtocol?, Bool)] = [
        (.http1, [.http2, .http11], .http11, true),
        (.http1, [.http2], nil, true),
        (.http1, [], nil, true),
        (.http2OrHTTP1, [.http11, .http2], .http2, true),
        (.http2OrHTTP1, [.http11], .http11, true),
        (.http2OrHTTP1, [ApplicationProtocol(rawValue: "x")], nil, true),
        (.http2, [.http2, .http11], .http2, true),
        (.http2, [.http11], nil, false),
        (.http2, [], nil, true),
        (
            .custom(ApplicationProtocol(rawValue: "x")), [.http11, ApplicationProtocol(rawValue: "x")],
            .init(rawValue: "x"), true
        ),
        (.custom(ApplicationProtocol(rawValue: "x")), [.http11], nil, true),
        (.off, [.http2, .http11], nil, true),
    ]

    @Test("ALPN: what each policy agrees to", arguments: alpnCases.indices)
    func applicationProtocols(_ index: Int) async throws {
        let (policy, offered, agreed, succeeds) = Self.alpnCases[index]
        let authority = try await TestAuthority()
        var settings = TLSServerSettings(try await authority.issue())
        settings.alpn = policy
        let acceptor = try TLSAcceptor(settings)
        let options = TLSClientOptions(serverName: "localhost", trusting: authority)
        try await TestExecutor.withExecutor { _ in
            let (client, server) = try await shakeHands(acceptor, TLSConnector(), options, protocols: offered)
            guard succeeds else {
                #expect(throws: TransportError.self) { try client.get() }
                #expect(server?.tls?.kind == .handshakeFailed)
                return
            }
            let pair = try client.get()
            #expect(pair.client.tls?.applicationProtocol == agreed)
            #expect(pair.server.tls?.applicationProtocol == agreed)
        }
    }

    @Test("A certificate is chosen by the name that the client asks for")
    func serverNames() async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(
            TLSServerSettings(
                try await authority.issue(.init(subject: "/CN=first", names: "DNS:first.test")),
                try await authority.issue(.init(subject: "/CN=wild", names: "DNS:*.w.test,DNS:w.test")),
                try await authority.issue(.init(subject: "/CN=exact", names: "DNS:exact.w.test"))
            )
        )
        let expected: [(String?, String)] = [
            ("first.test", "first"), ("a.w.test", "wild"), ("W.test", "wild"), ("EXACT.w.test", "exact"),
            ("a.b.w.test", "first"), ("other.test", "first"), (nil, "first"),
        ]
        try await TestExecutor.withExecutor { _ in
            for (name, chosen) in expected {
                var options = TLSClientOptions(serverName: name, trusting: authority)
                options.verifiesHostname = false
                let pair = try await shakeHands(acceptor, TLSConnector(), options).client.get()
                #expect(pair.client.tls?.peerCertificate?.commonName == chosen, "asked for \(name ?? "nothing")")
                #expect(pair.server.tls?.serverName == name?.lowercased())
            }
        }
    }

    @Test("Clients show certificates when they are asked to")
    func clientCertificates() async throws {
        let authority = try await TestAuthority()
        let others = try await TestAuthority(name: "Others")
        let good = try await authority.issue(.init(subject: "/CN=client/O=Friends", names: "DNS:client.test"))
        let revoked = try await authority.issue(.init(subject: "/CN=former", names: "DNS:former.test"))
        let foreign = try await others.issue()
        let list = try await authority.revoke(revoked)
        let server = try await authority.issue()
        let cases: [(TLSServerSettings.ClientVerification, TestAuthority.Certificate?, String??)] = [
            (.off, good, .some(nil)), (.optional, nil, .some(nil)), (.optional, good, "client"),
            (.optional, foreign, nil),
            (.required, nil, nil), (.required, good, "client"), (.required, foreign, nil), (.required, revoked, nil),
        ]
        try await TestExecutor.withExecutor { _ in
            for (index, (verification, certificate, outcome)) in cases.enumerated() {
                for newest in TLSVersion.allCases {
                    var settings = TLSServerSettings(server)
                    settings.clientVerification = verification
                    settings.clientAuthorityFile = authority.authorityFile
                    settings.clientRevocationFile = list
                    var options = TLSClientOptions(serverName: "localhost", trusting: authority)
                    options.maximumVersion = newest
                    options.clientCertificate = certificate.map {
                        .init(chainFile: $0.chainFile, keyFile: $0.keyFile)
                    }
                    let (client, error) = try await shakeHands(try TLSAcceptor(settings), TLSConnector(), options)
                    guard let name = outcome else {
                        #expect(throws: TransportError.self, "case \(index)") { try client.get() }
                        #expect(error?.tls?.kind == (certificate == nil ? .handshakeFailed : .certificateInvalid))
                        continue
                    }
                    #expect(try client.get().server.tls?.peerCertificate?.commonName == name, "case \(index) \(newest)")
                }
            }
        }
    }

    @Test("The callbacks decide, each in its own time")
    func callbacks() async throws {
        let authority = try await TestAuthority()
        let chosen = try await authority.issue(.init(subject: "/CN=chosen", names: "DNS:chosen.test"))
        var settings = TLSServerSettings.withCallback { hello in
            await Task.yield()
            guard hello.serverName == "chosen.test" else { throw TransportError(.tls, errno: EACCES) }
            return try TLSCertificate(TLSCertificateSource(chainFile: chosen.chainFile, keyFile: chosen.keyFile))
        }
        settings.handshakeCompleteCallback = { digest in
            await Task.yield()
            return "seen \(digest.serverName ?? "")"
        }
        let acceptor = try TLSAcceptor(settings)
        try await TestExecutor.withExecutor { _ in
            let options = TLSClientOptions(serverName: "chosen.test", trusting: authority)
            let pair = try await shakeHands(acceptor, TLSConnector(), options).client.get()
            #expect(pair.client.tls?.peerCertificate?.commonName == "chosen")
            #expect(pair.server.tls?.attachment as? String == "seen chosen.test")
            let refused = TLSClientOptions(serverName: "other.test", trusting: authority)
            let (client, error) = try await shakeHands(acceptor, TLSConnector(), refused)
            #expect(throws: TransportError.self) { try client.get() }
            #expect(error?.tls?.kind == .refused)
        }
    }

    @Test("JA4 of a known hello")
    func fingerprint() {
        let hello = ClientHello(
            serverName: "a.test",
            applicationProtocols: [.http2, .http11],
            versions: [0x0304, 0x0303],
            cipherSuites: [0x0A0A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8]
                + [0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035],
            extensions: [0xDADA, 0x0000, 0x0017, 0xFF01, 0x000A, 0x000B, 0x0023, 0x0010, 0x0005, 0x000D, 0x0012]
                + [0x0033, 0x002D, 0x002B, 0x001B, 0x4469, 0x0015],
            signatureAlgorithms: [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
        )
        #expect(hello.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1")
    }
}
