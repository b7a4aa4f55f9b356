import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

extension TestAuthority {
    /// Options that trust this authority, for `localhost`.
    var trusted: TLSClientOptions {
        var options = TLSClientOptions(serverName: "localhost")
        options.authorityFiles = [authorityFile]
        return options
    }
}

extension TestAuthority.Certificate {
    var source: TLSCertificateSource { TLSCertificateSource(chainFile: chainFile, keyFile: keyFile) }
}

/// Runs `body` with a proxy that encrypts both sides, in front of an origin that follows `script`.
func withTLSProxy(
    _ authority: TestAuthority,
    _ script: OriginScript,
    origin certificate: TestAuthority.Certificate? = nil,
    front: @escaping @Sendable (inout TLSServerSettings) -> Void = { _ in },
    configure: @escaping @Sendable (inout UpstreamSetup, SocketAddress) -> Void = { _, _ in },
    _ body: @escaping @Sendable (UpstreamFixture) async throws -> Void
) async throws {
    let server = try await authority.issue()
    let chosen = if let certificate { certificate } else { try await authority.issue() }
    let trusted = authority.trusted
    try await TestExecutor.withExecutor { _ in
        let behind = try TLSAcceptor(TLSServerSettings(certificates: [chosen.source]))
        try await withScriptedOrigin(script, tls: behind) { origin in
            var settings = TLSServerSettings(certificates: [server.source])
            front(&settings)
            var setup = UpstreamSetup(upstream: origin.address)
            let peer = HttpPeer(origin.address, tls: trusted)
            setup.peer = { _ in peer }
            setup.tls = try TLSAcceptor(settings)
            configure(&setup, origin.address)
            try await withUpstreamProxy(setup, origin: origin, body)
        }
    }
}
