/// How a listener speaks TLS.
///
///     var settings = TLSServerSettings.intermediate(chainFile: "server.pem", keyFile: "server.key")
///     settings.alpn = .http2OrHTTP1
public struct TLSServerSettings: Sendable {
    /// Which versions and cipher suites are agreed to, after Mozilla's recommendations (version 5.7).
    public enum Profile: Hashable, Sendable {
        /// TLS 1.2 and 1.3 with forward secrecy and AEAD ciphers, for clients of the last ten years.
        ///
        /// Without the finite-field DHE suites: they let a client spend a server's CPU, and clients that know them know ECDHE too.
        case intermediate
        /// TLS 1.3 alone.
        case modern
    }

    /// Whether clients are asked for a certificate.
    public enum ClientVerification: Hashable, Sendable {
        /// They are not.
        case off
        /// They are, and may have none; one that they have must be trusted.
        case optional
        /// They are, and must have one that is trusted.
        case required
    }

    /// The certificates, chosen by the name that the client asks for: an exact one first, then a wildcard; the first is the default.
    public var certificates: [TLSCertificateSource]
    /// Versions and cipher suites.
    ///
    /// Default intermediate.
    public var profile = Profile.intermediate
    /// Which application protocols are agreed to.
    ///
    /// Default HTTP/1.1.
    public var alpn = ALPNPolicy.http1
    /// Whether clients are asked for a certificate.
    ///
    /// Default off. The others need ``clientAuthorityFile``.
    public var clientVerification = ClientVerification.off
    /// The certificates (PEM) that clients' ones must come from.
    public var clientAuthorityFile: String?
    /// Revocation lists (PEM) of those authorities; nil checks none.
    public var clientRevocationFile: String?
    /// Whether sessions are resumed by tickets, which cost the server no memory.
    ///
    /// Default true.
    public var usesTickets = true
    /// How many tickets a TLS 1.3 client gets with its handshake.
    ///
    /// Default 2.
    public var ticketCount = 2
    /// How often the key that encrypts tickets is replaced; the two keys before it still decrypt.
    ///
    /// Default 12 h.
    public var ticketKeyLifetime: Duration = .seconds(43_200)
    /// How many sessions are remembered for clients without tickets; 0 remembers none.
    ///
    /// Default 4096. The workers share them.
    public var sessionCacheSize = 4_096
    /// How long a session may be resumed.
    ///
    /// Default 2 h.
    public var sessionLifetime: Duration = .seconds(7_200)
    /// How long a handshake may take, the callbacks included; nil has no limit.
    ///
    /// Default 10 s.
    public var handshakeTimeout: Duration? = .seconds(10)
    /// A file that session secrets are appended to, for debugging: whoever reads it can decrypt the traffic.
    public var keyLogFile: String?
    /// Chooses a certificate by what the client says, for as long as it takes; nil takes the settings' own.
    ///
    /// What it throws ends the handshake. It is not asked when a session is resumed.
    public var certificateCallback: (@Sendable (ClientHello) async throws -> TLSCertificate?)?
    /// Is told of each handshake that is done; what it returns is kept in ``TLSDigest/attachment``.
    ///
    /// What it throws ends the connection.
    public var handshakeCompleteCallback: (@Sendable (TLSDigest) async throws -> (any Sendable)?)?

    /// Makes settings with these certificates and defaults for the rest.
    public init(certificates: [TLSCertificateSource]) {
        self.certificates = certificates
    }

    /// Makes settings of Mozilla's intermediate profile.
    public static func intermediate(chainFile: String, keyFile: String) -> TLSServerSettings {
        TLSServerSettings(certificates: [TLSCertificateSource(chainFile: chainFile, keyFile: keyFile)])
    }

    /// Makes settings whose certificates are all chosen by a callback.
    public static func withCallback(
        _ callback: @escaping @Sendable (ClientHello) async throws -> TLSCertificate?
    ) -> TLSServerSettings {
        var settings = TLSServerSettings(certificates: [])
        settings.certificateCallback = callback
        return settings
    }
}
