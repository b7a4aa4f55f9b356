internal import COpenSSL

/// What was agreed on in a TLS handshake, and with whom.
public final class TLSDigest: Sendable {
    /// The version: `TLSv1.3`.
    public let version: String
    /// The cipher suite by OpenSSL's name: `TLS_AES_128_GCM_SHA256`.
    public let cipher: String
    /// The protocol agreed on by ALPN; nil when there was no agreement.
    public let applicationProtocol: ApplicationProtocol?
    /// The name the client asked for; nil when it did not.
    public let serverName: String?
    /// Whether an earlier session was resumed.
    public let isResumed: Bool
    /// The peer's certificate: the upstream's, or a client's that was asked for one; nil when there is none.
    ///
    /// A client's has been verified; an upstream's unless its peer's options turn that off.
    public let peerCertificate: CertificateFacts?
    /// What the client said first; nil on connections to upstreams.
    public let clientHello: ClientHello?
    /// What the handshake-complete callback returned.
    public let attachment: (any Sendable)?

    init(of ssl: OpaquePointer, clientHello: ClientHello?, requestedName: String?) {
        // SAFETY: the SSL is alive and its handshake complete; texts are copied, and the certificate is only looked at.
        unsafe version = String(cString: SSL_get_version(ssl))
        unsafe cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)).map { unsafe String(cString: $0) } ?? ""
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &length)
        unsafe applicationProtocol = name.map {
            unsafe ApplicationProtocol(
                rawValue: String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self)
            )
        }
        serverName = requestedName
        unsafe isResumed = SSL_session_reused(ssl) == 1
        unsafe peerCertificate = SSL_get0_peer_certificate(ssl).map { unsafe CertificateFacts($0) }
        self.clientHello = clientHello
        attachment = nil
    }

    private init(_ digest: TLSDigest, attachment: any Sendable) {
        version = digest.version
        cipher = digest.cipher
        applicationProtocol = digest.applicationProtocol
        serverName = digest.serverName
        isResumed = digest.isResumed
        peerCertificate = digest.peerCertificate
        clientHello = digest.clientHello
        self.attachment = attachment
    }

    func attaching(_ value: (any Sendable)?) -> TLSDigest {
        value.map { TLSDigest(self, attachment: $0) } ?? self
    }
}
