internal import COpenSSL

/// What a handshake learns and decides, for the callbacks that OpenSSL makes while it is under way.
///
/// Confined to the connection's task, in which they are made.
final class TLSHandshakeState {
    /// What the client said first; servers only.
    var clientHello: ClientHello?
    /// The name that the connection is for.
    var serverName: String?
    /// Whether the certificate callback has been asked, and what it chose.
    var certificate = CertificateChoice.open
    /// The staple that belongs to the certificate chosen.
    var ocspResponse: [UInt8]?
    /// Why a callback refused the handshake.
    var refusal: TLSFailure?
    /// Where a client keeps the sessions that it gets.
    let sessions: TLSClientSessions?
    let sessionKey: TLSClientSessions.Key?

    /// Where the choice of a certificate stands.
    enum CertificateChoice {
        /// Nobody has been asked.
        case open
        /// The user's callback is being asked.
        case asked
        /// It has chosen; nil takes what the settings say.
        case chosen(TLSCertificate?)
    }

    init(sessions: TLSClientSessions? = nil, sessionKey: TLSClientSessions.Key? = nil) {
        self.sessions = sessions
        self.sessionKey = sessionKey
    }

    /// The state that belongs to an SSL; nil when it has none.
    static func of(_ ssl: OpaquePointer?) -> TLSHandshakeState? {
        // SAFETY: index 0 holds the state that the SSL's engine keeps alive, and callbacks run inside the engine's methods.
        guard let raw = unsafe SSL_get_ex_data(ssl, 0) else { return nil }
        return unsafe Unmanaged<TLSHandshakeState>.fromOpaque(raw).takeUnretainedValue()
    }
}
