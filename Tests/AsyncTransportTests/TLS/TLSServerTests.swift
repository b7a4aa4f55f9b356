import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A TLS server holds out, and can be changed while it runs")
struct TLSServerTests {
    /// Starts the server's side of a handshake on a hand-driven executor; the client is the test.
    private static func accept(
        _ acceptor: TLSAcceptor,
        _ body: (ManualExecutor, PendingTask<Void>, MemoryStream) throws -> Void
    ) throws {
        let executor = try ManualExecutor()
        let (client, server) = MemoryStream.makePair()
        let pending = executor.start { () async throws -> Void in
            try await withParker { parker in
                server.attach(to: parker)
                _ = try await acceptor.accept(server)
            }
        }
        executor.runUntilIdle()
        try body(executor, pending, client)
    }

    private static func error(of pending: PendingTask<Void>) -> TransportError? {
        guard case .failure(let error) = pending.result else { return nil }
        return error as? TransportError
    }

    @Test("What is no handshake ends it, with an alert where that makes sense")
    func garbage() async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        let requests: [[UInt8]] = [
            Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), [UInt8](repeating: 0, count: 100),
            [22, 3, 1, 0, 5, 1, 0, 0, 1, 0], [22, 3, 1, 0xFF, 0xFF] + [UInt8](repeating: 1, count: 100),
            [21, 3, 3, 0, 2, 2, 40],
        ]
        for bytes in requests {
            try Self.accept(acceptor) { executor, pending, client in
                client.put(bytes)
                executor.runUntilIdle()
                #expect(Self.error(of: pending)?.operation == .tls)
                #expect(Self.error(of: pending)?.tls?.kind == .handshakeFailed)
                #expect(client.isAtEnd)
            }
        }
    }

    @Test("A handshake that does not go on ends at its deadline, or when nobody wants it")
    func halfOpen() async throws {
        let authority = try await TestAuthority()
        var settings = TLSServerSettings(try await authority.issue())
        settings.handshakeTimeout = .seconds(3)
        let acceptor = try TLSAcceptor(settings)
        for beginning: [UInt8] in [[], [22, 3, 1], [22, 3, 1, 2, 0, 1, 0, 1, 0xFC]] {
            try Self.accept(acceptor) { executor, pending, client in
                client.put(beginning)
                executor.advance(by: .seconds(2))
                #expect(!pending.isFinished)
                executor.advance(by: .seconds(2))
                #expect(Self.error(of: pending)?.isTimeout == true)
                #expect(client.isAtEnd)
            }
            try Self.accept(acceptor) { executor, pending, client in
                client.put(beginning)
                client.closeWrite()
                executor.runUntilIdle()
                #expect(Self.error(of: pending)?.tls?.kind == .handshakeFailed)
            }
            try Self.accept(acceptor) { executor, pending, _ in
                pending.cancel()
                executor.runUntilIdle()
                #expect(Self.error(of: pending)?.isCancellation == true)
            }
        }
    }

    @Test("Settings that cannot be used are refused, with the file's name")
    func settings() async throws {
        let authority = try await TestAuthority()
        let first = try await authority.issue()
        let second = try await authority.issue()
        let mixed = TestAuthority.Certificate(chainFile: first.chainFile, keyFile: second.keyFile)
        let empty = try authority.write("nothing", to: "empty.pem")
        let hollow = TestAuthority.Certificate(chainFile: empty, keyFile: empty)
        let missing = TestAuthority.Certificate(chainFile: "/nowhere/a.pem", keyFile: "/nowhere/a.key")
        var unverifiable = TLSServerSettings(first)
        unverifiable.clientVerification = .required
        var unreadable = unverifiable
        unreadable.clientAuthorityFile = empty
        let cases = [
            (TLSServerSettings(mixed), first.chainFile), (TLSServerSettings(hollow), empty),
            (TLSServerSettings(missing), "/nowhere/a.pem"), (TLSServerSettings(certificates: []), "certificates"),
            (unverifiable, "clientAuthorityFile"), (unreadable, empty),
        ]
        for (settings, subject) in cases {
            do throws(TLSConfigurationError) {
                _ = try TLSAcceptor(settings)
                Issue.record("\(subject) was accepted")
            } catch {
                #expect(error.subject.contains(subject), "\(error)")
            }
        }
    }

    @Test("New files are used by new handshakes, bad ones by none, and connections go on")
    func reload() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue(.init(subject: "/CN=old"))
        let acceptor = try TLSAcceptor(TLSServerSettings(certificate))
        var options = TLSClientOptions(serverName: "localhost", trusting: authority)
        options.reusesSessions = false
        let renewed = try await authority.issue(.init(subject: "/CN=new"))
        try await TestExecutor.withExecutor { [options] _ in
            let old = try await shakeHands(acceptor, TLSConnector(), options).client.get()
            #expect(old.client.tls?.peerCertificate?.commonName == "old")
            try authority.replace(certificate, by: renewed)
            #expect(
                try await shakeHands(acceptor, TLSConnector(), options).client.get().client.tls?.peerCertificate?
                    .commonName == "old"
            )
            try acceptor.reload()
            let new = try await shakeHands(acceptor, TLSConnector(), options).client.get()
            #expect(new.client.tls?.peerCertificate?.commonName == "new")
            #expect(try await transfer(Bytes("on"), from: old.client, to: old.server) == Array("on".utf8))
            try authority.write(
                "no certificate",
                to: certificate.chainFile.split(separator: "/").last.map(String.init) ?? ""
            )
            #expect(throws: TLSConfigurationError.self) { try acceptor.reload() }
            let kept = try await shakeHands(acceptor, TLSConnector(), options).client.get()
            #expect(kept.client.tls?.peerCertificate?.commonName == "new")
        }
    }

    @Test("Other files can be named while it runs; those that are of no use change nothing")
    func reloadFromElsewhere() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue(.init(subject: "/CN=old"))
        let moved = try await authority.issue(.init(subject: "/CN=new"))
        let acceptor = try TLSAcceptor(TLSServerSettings(certificate))
        var options = TLSClientOptions(serverName: "localhost", trusting: authority)
        options.reusesSessions = false
        try await TestExecutor.withExecutor { [options] _ in
            func expect(_ name: String) async throws {
                let pair = try await shakeHands(acceptor, TLSConnector(), options).client.get()
                #expect(pair.client.tls?.peerCertificate?.commonName == name)
            }
            let mismatch = TLSCertificateSource(chainFile: moved.chainFile, keyFile: certificate.keyFile)
            for useless in [mismatch, TLSCertificateSource(chainFile: "/nowhere.pem", keyFile: moved.keyFile)] {
                #expect(throws: TLSConfigurationError.self) { try acceptor.reload(certificates: [useless]) }
                try await expect("old")
                try acceptor.reload()
                try await expect("old")
            }
            try acceptor.reload(
                certificates: [TLSCertificateSource(chainFile: moved.chainFile, keyFile: moved.keyFile)]
            )
            try await expect("new")
            // From now on those are read again.
            try acceptor.reload()
            try await expect("new")
        }
    }

    @Test("A certificate that signs itself serves for trying things out")
    func selfSigned() async throws {
        let source = try TLSCertificateSource.selfSigned(for: ["localhost", "IP:127.0.0.1"])
        let acceptor = try TLSAcceptor(TLSServerSettings(certificates: [source]))
        var options = TLSClientOptions(serverName: "localhost")
        options.verifiesCertificate = false
        try await TestExecutor.withExecutor { [options] _ in
            let pair = try await shakeHands(acceptor, TLSConnector(), options).client.get()
            #expect(pair.client.tls?.peerCertificate?.dnsNames == ["localhost"])
        }
    }
}
