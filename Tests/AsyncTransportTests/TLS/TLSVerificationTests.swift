import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Which certificates of upstreams are trusted")
struct TLSVerificationTests {
    /// A certificate, how it is asked for, and whether that is to be trusted.
    private struct Case: Sendable {
        var title: String
        var request = TestAuthority.Request(names: "DNS:a.test,DNS:*.w.test")
        var configure: @Sendable (inout TLSClientOptions, TestAuthority) -> Void = { _, _ in }
        var address = "127.0.0.1"
        var isTrusted: Bool
        /// OpenSSL's number for what is wrong.
        var defect = 0
    }

    private static let cases: [Case] = [
        Case(title: "exact name", isTrusted: true),
        Case(title: "final dot", configure: { options, _ in options.serverName = "a.test." }, isTrusted: true),
        Case(title: "wildcard", configure: { options, _ in options.serverName = "x.w.test" }, isTrusted: true),
        Case(
            title: "wildcard is one label",
            configure: { options, _ in options.serverName = "x.y.w.test" },
            isTrusted: false,
            defect: 62
        ),
        Case(
            title: "wrong name",
            configure: { options, _ in options.serverName = "b.test" },
            isTrusted: false,
            defect: 62
        ),
        Case(
            title: "alternative name",
            configure: { options, _ in
                options.serverName = "b.test"
                options.alternativeName = "a.test"
            },
            isTrusted: true
        ),
        Case(
            title: "underscore for a dash",
            request: .init(names: "DNS:an-old.name.test"),
            configure: { options, _ in options.serverName = "an_old.name.test" },
            isTrusted: true
        ),
        Case(
            title: "underscore in a short name",
            request: .init(names: "DNS:an-old.test"),
            configure: { options, _ in options.serverName = "an_old.test" },
            isTrusted: false,
            defect: 62
        ),
        Case(
            title: "any name",
            configure: { options, _ in
                options.serverName = "b.test"
                options.verifiesHostname = false
            },
            isTrusted: true
        ),
        Case(
            title: "no name and the right address",
            request: .init(names: "IP:127.0.0.1"),
            configure: { options, _ in options.serverName = nil },
            isTrusted: true
        ),
        Case(
            title: "no name and the right IPv6 address",
            request: .init(names: "IP:::1"),
            configure: { options, _ in options.serverName = "" },
            address: "::1",
            isTrusted: true
        ),
        Case(
            title: "no name and another address",
            request: .init(names: "IP:127.0.0.2"),
            configure: { options, _ in options.serverName = "" },
            isTrusted: false,
            defect: 64
        ),
        Case(
            title: "address as a name",
            request: .init(names: "IP:127.0.0.9"),
            configure: { options, _ in options.serverName = "127.0.0.9" },
            isTrusted: true
        ),
        Case(title: "expired", request: expired, isTrusted: false, defect: 10),
        Case(title: "self-signed", request: selfSigned, isTrusted: false, defect: 18),
        Case(
            title: "self-signed, by explicit option",
            request: selfSigned,
            configure: { options, _ in options.verifiesCertificate = false },
            isTrusted: true
        ),
        Case(
            title: "another authority",
            configure: { options, _ in options.authorityFiles = [] },
            isTrusted: false,
            defect: 20
        ),
    ]

    private static var expired: TestAuthority.Request {
        var request = TestAuthority.Request(names: "DNS:a.test")
        request.isExpired = true
        return request
    }

    private static var selfSigned: TestAuthority.Request {
        var request = TestAuthority.Request(names: "DNS:a.test")
        request.isSelfSigned = true
        return request
    }

    @Test("Names, addresses, authorities, dates", arguments: cases.indices)
    func verification(_ index: Int) async throws {
        let entry = Self.cases[index]
        let authority = try await TestAuthority()
        var options = TLSClientOptions(serverName: "a.test", trusting: authority)
        entry.configure(&options, authority)
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue(entry.request)))
        let (isTrusted, defect, address, title) = (entry.isTrusted, entry.defect, entry.address, entry.title)
        try await TestExecutor.withExecutor { [options] _ in
            let client = try await shakeHands(acceptor, TLSConnector(), options, address: address).client
            switch client {
            case .success:
                #expect(isTrusted, "\(title)")
            case .failure(let error):
                #expect(!isTrusted, "\(title): \(error)")
                #expect(error.tls?.kind == .certificateInvalid, "\(title): \(error)")
                #expect(error.tls?.verifyResult == defect, "\(title): \(error)")
            }
        }
    }

    @Test("Revoked by a list")
    func revocation() async throws {
        let authority = try await TestAuthority()
        let revoked = try await authority.issue(.init(names: "DNS:a.test"))
        let good = try await authority.issue(.init(names: "DNS:a.test"))
        let list = try await authority.revoke(revoked)
        try await TestExecutor.withExecutor { _ in
            for (certificate, file, isTrusted) in [(revoked, list, false), (good, list, true), (revoked, nil, true)] {
                var options = TLSClientOptions(serverName: "a.test", trusting: authority)
                options.revocationFile = file
                let acceptor = try TLSAcceptor(TLSServerSettings(certificate))
                switch try await shakeHands(acceptor, TLSConnector(), options).client {
                case .success: #expect(isTrusted)
                case .failure(let error):
                    #expect(!isTrusted)
                    #expect(error.tls?.verifyResult == 23)
                }
            }
        }
    }

    @Test("Options that cannot be used fail the connection with the file's name")
    func configuration() async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        let empty = try authority.write("nothing", to: "empty.pem")
        let cases: [(String, @Sendable (inout TLSClientOptions) -> Void)] = [
            ("missing.pem", { $0.authorityFiles = ["/nowhere/missing.pem"] }),
            ("empty.pem", { $0.authorityFiles = [empty] }),
            ("empty.pem", { $0.revocationFile = empty }),
            ("empty.pem", { $0.clientCertificate = .init(chainFile: empty, keyFile: empty) }),
            ("no-curve", { $0.curves = "no-curve" }),
        ]
        try await TestExecutor.withExecutor { _ in
            for (subject, configure) in cases {
                var options = TLSClientOptions(serverName: "localhost", trusting: authority)
                configure(&options)
                let client = try await shakeHands(acceptor, TLSConnector(), options).client
                guard case .failure(let error) = client else {
                    Issue.record("\(subject) was accepted")
                    continue
                }
                #expect(error.tls?.kind == .configuration)
                #expect(error.tls?.reason.contains(subject) == true, "\(error)")
            }
        }
    }
}
