import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Sessions are resumed")
struct TLSResumptionTests {
    /// Shakes hands on a worker, and passes a byte each way so that tickets arrive; returns whether both ends resumed a session.
    private static func connect(
        _ acceptor: TLSAcceptor,
        _ connector: TLSConnector,
        _ options: TLSClientOptions,
        on worker: any TaskExecutor
    ) async throws -> TLSDigest? {
        try await withThrowingTaskGroup(of: TLSDigest?.self) { group in
            group.addTask(executorPreference: worker) {
                let pair = try await shakeHands(acceptor, connector, options).client.get()
                _ = try await transfer(Bytes("x"), from: pair.client, to: pair.server)
                _ = try await transfer(Bytes("y"), from: pair.server, to: pair.client)
                defer {
                    pair.client.close(reset: false)
                    pair.server.close(reset: false)
                }
                #expect(pair.client.tls?.isResumed == pair.server.tls?.isResumed)
                return pair.server.tls
            }
            return try await group.next() ?? nil
        }
    }

    @Test("By ticket and by cache, across workers", arguments: TLSVersion.allCases, [true, false])
    func acrossWorkers(_ version: TLSVersion, _ usesTickets: Bool) async throws {
        let authority = try await TestAuthority()
        var settings = TLSServerSettings(try await authority.issue())
        settings.usesTickets = usesTickets
        let acceptor = try TLSAcceptor(settings)
        try await TestExecutor.withExecutor(threads: 2) { executor in
            var options = TLSClientOptions(serverName: "localhost", trusting: authority)
            options.maximumVersion = version
            let connector = TLSConnector()
            for (round, isResumed) in [false, true, true, true].enumerated() {
                let worker = executor.executors[round % 2]
                let digest = try await Self.connect(acceptor, connector, options, on: worker)
                #expect(digest?.isResumed == isResumed, "round \(round)")
                #expect(digest?.version == version.rawValue)
            }
        }
    }

    @Test("Not at all when it is turned off on either side, nor between different options")
    func turnedOff() async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        try await TestExecutor.withExecutor { executor in
            for version in TLSVersion.allCases {
                var options = TLSClientOptions(serverName: "localhost", trusting: authority)
                options.maximumVersion = version
                var settings = TLSServerSettings(certificate)
                settings.usesTickets = false
                settings.sessionCacheSize = 0
                let off = try TLSAcceptor(settings)
                let on = try TLSAcceptor(TLSServerSettings(certificate))
                var without = options
                without.reusesSessions = false
                var other = options
                other.verifiesHostname = false
                let connector = TLSConnector()
                for (acceptor, options) in [
                    (off, options), (off, options), (on, without), (on, without), (on, options), (on, other),
                ] {
                    let digest = try await Self.connect(acceptor, connector, options, on: executor.nextExecutor())
                    #expect(digest?.isResumed == false)
                }
            }
        }
    }

    @Test("Tickets outlive two changes of the key, and no more", arguments: TLSVersion.allCases)
    func rotation(_ version: TLSVersion) async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        try await TestExecutor.withExecutor { executor in
            var options = TLSClientOptions(serverName: "localhost", trusting: authority)
            options.maximumVersion = version
            for (rotations, isResumed) in [(1, true), (2, true), (3, false)] {
                let connector = TLSConnector()
                _ = try await Self.connect(acceptor, connector, options, on: executor.nextExecutor())
                for _ in 0..<rotations { try acceptor.rotateTicketKeys() }
                let digest = try await Self.connect(acceptor, connector, options, on: executor.nextExecutor())
                #expect(digest?.isResumed == isResumed, "\(rotations) rotations")
            }
        }
    }

    @Test("A resumed session keeps the client's certificate", arguments: TLSVersion.allCases)
    func clientCertificate(_ version: TLSVersion) async throws {
        let authority = try await TestAuthority()
        let client = try await authority.issue(.init(subject: "/CN=client", names: "DNS:client.test"))
        var settings = TLSServerSettings(try await authority.issue())
        settings.clientVerification = .required
        settings.clientAuthorityFile = authority.authorityFile
        let acceptor = try TLSAcceptor(settings)
        try await TestExecutor.withExecutor { executor in
            var options = TLSClientOptions(serverName: "localhost", trusting: authority)
            options.maximumVersion = version
            options.clientCertificate = .init(chainFile: client.chainFile, keyFile: client.keyFile)
            let connector = TLSConnector()
            for isResumed in [false, true] {
                let digest = try await Self.connect(acceptor, connector, options, on: executor.nextExecutor())
                #expect(digest?.isResumed == isResumed)
                #expect(digest?.peerCertificate?.commonName == "client")
            }
        }
    }
}
