/// How connections to an upstream are encrypted, and what of it is trusted.
///
/// Part of a peer's identity: connections are shared only between peers whose options are equal.
public struct TLSClientOptions: Hashable, Sendable {
    /// A client's certificate and key, in PEM files.
    public struct ClientCertificate: Hashable, Sendable {
        /// The certificate, then the intermediate ones.
        public var chainFile: String
        /// The key, without a password.
        public var keyFile: String

        /// Names both files.
        public init(chainFile: String, keyFile: String) {
            self.chainFile = chainFile
            self.keyFile = keyFile
        }
    }

    /// The name that the upstream is asked for (SNI), and that its certificate must be for; nil or empty sends none.
    ///
    /// Without one the certificate must be for the peer's IP address: verification is not turned off by leaving the name away.
    public var serverName: String?
    /// Whether the certificate must come from a trusted authority and be valid now.
    ///
    /// Default true.
    public var verifiesCertificate = true
    /// Whether the certificate must be for the name, or the address; ignored where the certificate itself is not verified.
    ///
    /// Default true.
    public var verifiesHostname = true
    /// A second name that the certificate may be for.
    public var alternativeName: String?
    /// Files (PEM) with the authorities that are trusted instead of the system's; empty trusts the system's.
    public var authorityFiles: [String] = []
    /// A file (PEM) with the authorities' revocation lists; nil checks none.
    public var revocationFile: String?
    /// What this side shows when it is asked for a certificate.
    public var clientCertificate: ClientCertificate?
    /// The curves offered, most wanted first, as OpenSSL names them: `X25519:P-256`; nil takes the library's.
    public var curves: String?
    /// The oldest version agreed to.
    ///
    /// Default TLS 1.2.
    public var minimumVersion = TLSVersion.tls12
    /// The newest version agreed to.
    ///
    /// Default TLS 1.3.
    public var maximumVersion = TLSVersion.tls13
    /// Whether sessions are resumed, which saves the upstream and this side most of a handshake's work.
    ///
    /// Default true.
    public var reusesSessions = true
    /// A file that session secrets are appended to, for debugging: whoever reads it can decrypt the traffic.
    public var keyLogFile: String?

    /// Makes options that verify the upstream's certificate for `serverName`.
    public init(serverName: String? = nil) {
        self.serverName = serverName
    }

    /// Reads the files that the options name, blocking, and checks that all of it can be used.
    ///
    /// - Throws: ``TLSConfigurationError`` naming the file or setting.
    public func check() throws(TLSConfigurationError) {
        _ = try TLSClientContext(contextKey)
    }

    /// What a context is made of; the rest belongs to the connection.
    struct ContextKey: Hashable, Sendable {
        var authorityFiles: [String]
        var revocationFile: String?
        var clientCertificate: ClientCertificate?
        var curves: String?
        var minimumVersion: TLSVersion
        var maximumVersion: TLSVersion
        var keyLogFile: String?
    }

    var contextKey: ContextKey {
        ContextKey(
            authorityFiles: authorityFiles,
            revocationFile: revocationFile,
            clientCertificate: clientCertificate,
            curves: curves,
            minimumVersion: minimumVersion,
            maximumVersion: maximumVersion,
            keyLogFile: keyLogFile
        )
    }

    /// The names that a certificate may be for.
    ///
    /// Names with an underscore in their first label, which no authority certifies, may be certified with a dash instead.
    var acceptedNames: [String] {
        var names: [String] = []
        for name in [serverName, alternativeName].compactMap({ $0 }).map(Self.withoutFinalDot) where !name.isEmpty {
            names.append(name)
            let labels = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            if labels.count == 2, labels[0].contains("_"), labels[1].contains(".") {
                names.append(String(labels[0].map { $0 == "_" ? "-" : $0 }) + "." + labels[1])
            }
        }
        return names
    }

    static func withoutFinalDot(_ name: String) -> String {
        name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}
