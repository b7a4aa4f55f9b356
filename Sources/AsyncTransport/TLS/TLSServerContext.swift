internal import COpenSSL

/// One worker's OpenSSL objects for the connections that it accepts.
@safe final class TLSServerContext: Sendable {
    // SAFETY: the context is this object's own, set up in init and not changed after; OpenSSL counts its references atomically and locks
    // what it keeps in it, for in the stealing flavour several threads may use it.
    private nonisolated(unsafe) let context: OpaquePointer
    private let certificates: [TLSCertificate]
    private let names: CertificateNames
    private let alpn: ALPNPolicy
    private let asksCallback: Bool
    private let usesTickets: Bool
    private let shared: TLSServerShared

    init(
        settings: TLSServerSettings,
        files: TLSServerFiles,
        shared: TLSServerShared
    ) throws(TLSConfigurationError) {
        copenssl_initialize()
        var certificates: [TLSCertificate] = []
        for text in files.certificates { certificates.append(try TLSCertificate(text: text)) }
        guard !certificates.isEmpty || settings.certificateCallback != nil else {
            throw TLSConfigurationError(subject: "certificates", reason: "there is none, and no callback to choose one")
        }
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
            throw OpenSSLErrors.configuration("TLS context")
        }
        unsafe self.context = context
        self.certificates = certificates
        names = CertificateNames(certificates.map(\.dnsNames))
        alpn = settings.alpn
        asksCallback = settings.certificateCallback != nil
        usesTickets = settings.usesTickets
        self.shared = shared
        unsafe copenssl_ctx_set_modes(context)
        try setProtocol(settings)
        if let first = certificates.first, unsafe !first.use(in: context) {
            throw OpenSSLErrors.configuration(files.certificates[0].name)
        }
        try verifyClients(settings, files)
        setResumption(settings, files)
        setCallbacks()
    }

    deinit {
        unsafe SSL_CTX_free(context)
    }

    /// An engine for a new connection.
    func makeEngine() throws(TransportError) -> TLSEngine {
        try unsafe TLSEngine(context: context, isServer: true, exchange: TLSHandshakeState(), keeping: self)
    }

    // MARK: - Setting up

    private func setProtocol(_ settings: TLSServerSettings) throws(TLSConfigurationError) {
        let minimum = settings.profile == .modern ? TLSVersion.tls13 : .tls12
        guard unsafe copenssl_ctx_set_versions(context, minimum.number, TLSVersion.tls13.number) == 1,
            unsafe SSL_CTX_set_ciphersuites(context, CipherSuites.tls13) == 1,
            unsafe SSL_CTX_set_cipher_list(context, CipherSuites.tls12) == 1,
            unsafe copenssl_ctx_set_groups(context, CipherSuites.groups) == 1
        else { throw OpenSSLErrors.configuration("TLS profile") }
    }

    private func verifyClients(
        _ settings: TLSServerSettings,
        _ files: TLSServerFiles
    ) throws(TLSConfigurationError) {
        guard let authorities = files.clientAuthorities else { return }
        let required = settings.clientVerification == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, nil)
        let file = settings.clientAuthorityFile ?? ""
        try unsafe TrustStore.addAuthorities(authorities, named: file, to: context, announces: true)
        if let revocations = files.clientRevocations {
            try unsafe TrustStore.addRevocations(revocations, named: settings.clientRevocationFile ?? "", to: context)
        }
    }

    private func setResumption(_ settings: TLSServerSettings, _ files: TLSServerFiles) {
        // A session is resumed only where clients are verified alike.
        var scope = Array("\(settings.clientVerification)".utf8)
        scope += files.clientAuthorities ?? []
        scope += files.clientRevocations ?? []
        let digest = SHA256Digest.of(scope)
        unsafe SSL_CTX_set_session_id_context(context, digest, UInt32(digest.count))
        unsafe SSL_CTX_set_timeout(context, Int(clamping: settings.sessionLifetime.components.seconds))
        let keeps = settings.sessionCacheSize > 0
        // Without tickets, those of TLS 1.3 name a remembered session; where none is remembered they would be for nothing.
        let ticketCount = settings.usesTickets || keeps ? max(settings.ticketCount, 0) : 0
        unsafe SSL_CTX_set_num_tickets(context, ticketCount)
        if settings.usesTickets {
            unsafe copenssl_ctx_set_ticket_callback(context, ServerCallbacks.ticket)
        } else {
            unsafe SSL_CTX_set_options(context, UInt64(1) << 14)  // SSL_OP_NO_TICKET, a macro with a cast
        }
        // Only the shared cache: OpenSSL's own would be one per worker.
        unsafe copenssl_ctx_set_cache_mode(
            context,
            Int(keeps ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF)
        )
        guard keeps else { return }
        unsafe SSL_CTX_sess_set_new_cb(context, ServerCallbacks.newSession)
        unsafe SSL_CTX_sess_set_get_cb(context, ServerCallbacks.findSession)
    }

    private func setCallbacks() {
        // SAFETY: index 0 points to this object, which every engine of the context keeps alive.
        unsafe SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque())
        unsafe SSL_CTX_set_client_hello_cb(context, ServerCallbacks.clientHello, nil)
        if asksCallback || certificates.count > 1 {
            unsafe SSL_CTX_set_cert_cb(context, ServerCallbacks.certificate, nil)
        }
        if !alpn.protocols.isEmpty { unsafe SSL_CTX_set_alpn_select_cb(context, ServerCallbacks.alpn, nil) }
        if asksCallback || certificates.contains(where: { $0.ocspResponse != nil }) {
            unsafe copenssl_ctx_set_status_callback(context, ServerCallbacks.staple, nil)
        }
        if shared.keyLog != nil { unsafe SSL_CTX_set_keylog_callback(context, ServerCallbacks.keyLog) }
    }

    // MARK: - What the callbacks ask

    /// Chooses the certificate of a connection: 1 to go on, 0 to end the handshake, -1 to be asked again later.
    fileprivate func chooseCertificate(for ssl: OpaquePointer, _ exchange: TLSHandshakeState) -> Int32 {
        if asksCallback {
            guard case .chosen(let chosen) = exchange.certificate else {
                exchange.certificate = .asked
                return -1
            }
            if let chosen {
                exchange.ocspResponse = chosen.ocspResponse
                return unsafe chosen.use(for: ssl) ? 1 : 0
            }
        }
        guard let index = names.index(for: exchange.serverName), certificates.indices.contains(index) else { return 0 }
        exchange.ocspResponse = certificates[index].ocspResponse
        if index == 0 { return 1 }
        return unsafe certificates[index].use(for: ssl) ? 1 : 0
    }

    fileprivate func staple(for ssl: OpaquePointer, _ exchange: TLSHandshakeState) -> Int32 {
        guard let response = exchange.ocspResponse ?? (certificates.count == 1 ? certificates[0].ocspResponse : nil),
            unsafe copenssl_staple(ssl, response, response.count) == 1
        else { return SSL_TLSEXT_ERR_NOACK }
        return SSL_TLSEXT_ERR_OK
    }

    /// The index in `offered` of the name of the protocol agreed on; nil without agreement.
    fileprivate func agree(on offered: UnsafeBufferPointer<UInt8>) -> Int? {
        for wanted in alpn.protocols.map(\.rawValue.utf8) {
            var index = 0
            while index < offered.count, unsafe index + 1 + Int(offered[index]) <= offered.count {
                let length = unsafe Int(offered[index])
                if unsafe offered[(index + 1)..<(index + 1 + length)].elementsEqual(wanted) { return index }
                index += 1 + length
            }
        }
        return nil
    }

    fileprivate func remember(_ session: OpaquePointer, of ssl: OpaquePointer?) {
        // TLS 1.3 with tickets keeps nothing here: OpenSSL reports the session all the same.
        if usesTickets, unsafe SSL_version(ssl) == TLS1_3_VERSION { return }
        unsafe shared.sessions.insert(session)
    }

    fileprivate var refusesOthers: Bool { alpn.refusesOthers }
    fileprivate var tickets: TicketKeys { shared.tickets }
    fileprivate var sessions: TLSSessionCache { shared.sessions }
    fileprivate var keyLog: KeyLog? { shared.keyLog }

    /// The object that made the context of an SSL.
    fileprivate static func of(_ ssl: OpaquePointer?) -> TLSServerContext? {
        // SAFETY: see setCallbacks.
        guard let raw = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0) else { return nil }
        return unsafe Unmanaged<TLSServerContext>.fromOpaque(raw).takeUnretainedValue()
    }
}

/// Which of several certificates is for a name.
struct CertificateNames: Sendable {
    private var exact: [String: Int] = [:]
    /// By what follows the asterisk and its dot.
    private var wildcards: [String: Int] = [:]

    /// - Parameter names: each certificate's names, in lower case.
    init(_ names: [[String]]) {
        for (index, names) in names.enumerated() {
            for name in names {
                if name.hasPrefix("*.") {
                    let parent = String(name.dropFirst(2))
                    if wildcards[parent] == nil { wildcards[parent] = index }
                } else if exact[name] == nil {
                    exact[name] = index
                }
            }
        }
    }

    /// The certificate for a name: an exact one, then a wildcard for its first label, then the first.
    func index(for name: String?) -> Int? {
        guard let name else { return 0 }
        if let index = exact[name] { return index }
        if let dot = name.firstIndex(of: "."), dot != name.startIndex {
            let parent = String(name[name.index(after: dot)...])
            if let index = wildcards[parent] { return index }
        }
        return 0
    }
}

/// What OpenSSL calls during a handshake and after it, in the connection's task.
// SAFETY: OpenSSL passes its own objects, which live during the call; the objects behind their ex-data are kept alive by the engine
// in whose method the callback runs.
private enum ServerCallbacks {
    static let clientHello: SSL_client_hello_cb_fn = { ssl, _, _ in
        guard let ssl = unsafe ssl, let exchange = unsafe TLSHandshakeState.of(ssl) else {
            return SSL_CLIENT_HELLO_SUCCESS
        }
        let hello = unsafe ClientHello(of: ssl)
        exchange.clientHello = hello
        exchange.serverName = hello.serverName
        return SSL_CLIENT_HELLO_SUCCESS
    }

    static let certificate: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { ssl, _ in
        guard let ssl = unsafe ssl, let exchange = unsafe TLSHandshakeState.of(ssl),
            let context = unsafe TLSServerContext.of(ssl)
        else { return 0 }
        return unsafe context.chooseCertificate(for: ssl, exchange)
    }

    static let staple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = { ssl, _ in
        guard let ssl = unsafe ssl, let exchange = unsafe TLSHandshakeState.of(ssl),
            let context = unsafe TLSServerContext.of(ssl)
        else { return SSL_TLSEXT_ERR_NOACK }
        return unsafe context.staple(for: ssl, exchange)
    }

    static let alpn: SSL_CTX_alpn_select_cb_func = { ssl, selected, selectedLength, offered, offeredLength, _ in
        guard let context = unsafe TLSServerContext.of(ssl) else { return SSL_TLSEXT_ERR_NOACK }
        let names = unsafe UnsafeBufferPointer(start: offered, count: Int(offeredLength))
        guard let index = unsafe context.agree(on: names), let base = unsafe offered else {
            return context.refusesOthers ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK
        }
        unsafe selected?.pointee = base + index + 1
        unsafe selectedLength?.pointee = names[index]
        return SSL_TLSEXT_ERR_OK
    }

    static let ticket:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?, OpaquePointer?,
            Int32
        ) -> Int32 = { ssl, name, vector, cipher, mac, encrypts in
            guard let context = unsafe TLSServerContext.of(ssl), let name = unsafe name, let vector = unsafe vector,
                let cipher = unsafe cipher, let mac = unsafe mac
            else { return -1 }
            return unsafe context.tickets.begin(
                name: name,
                vector: vector,
                cipher: cipher,
                mac: mac,
                encrypts: encrypts == 1,
                renews: SSL_version(ssl) == TLS1_3_VERSION
            )
        }

    static let newSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = { ssl, session in
        guard let context = unsafe TLSServerContext.of(ssl), let session = unsafe session else { return 0 }
        unsafe context.remember(session, of: ssl)
        return 0
    }

    static let findSession:
        @convention(c) (OpaquePointer?, UnsafePointer<UInt8>?, Int32, UnsafeMutablePointer<Int32>?) -> OpaquePointer? =
            {
                ssl,
                id,
                length,
                copies in
                unsafe copies?.pointee = 0
                guard let context = unsafe TLSServerContext.of(ssl) else { return nil }
                return unsafe context.sessions.find(Array(UnsafeBufferPointer(start: id, count: Int(length))))
            }

    static let keyLog: SSL_CTX_keylog_cb_func = { ssl, line in
        guard let line = unsafe line else { return }
        unsafe TLSServerContext.of(ssl)?.keyLog?.write(line)
    }
}

/// What is agreed to, after Mozilla's recommendations 5.7.
enum CipherSuites {
    static let tls13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    static let tls12 = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ].joined(separator: ":")
    static let groups = "X25519:P-256:P-384"
}

/// What a context trusts.
enum TrustStore {
    static func addAuthorities(
        _ text: [UInt8],
        named name: String,
        to context: OpaquePointer,
        announces: Bool
    ) throws(TLSConfigurationError) {
        // SAFETY: the BIO reads the array during the calls, and is freed.
        guard let pem = unsafe BIO_new_mem_buf(text, Int32(clamping: text.count)) else {
            throw OpenSSLErrors.configuration(name)
        }
        defer { unsafe BIO_free(pem) }
        guard unsafe copenssl_ctx_add_authorities(context, pem, announces) > 0 else {
            throw TLSConfigurationError(subject: name, reason: "holds no certificate that could be trusted")
        }
    }

    static func addRevocations(
        _ text: [UInt8],
        named name: String,
        to context: OpaquePointer
    ) throws(TLSConfigurationError) {
        // SAFETY: as above.
        guard let pem = unsafe BIO_new_mem_buf(text, Int32(clamping: text.count)) else {
            throw OpenSSLErrors.configuration(name)
        }
        defer { unsafe BIO_free(pem) }
        guard unsafe copenssl_ctx_add_crls(context, pem) > 0 else {
            throw TLSConfigurationError(subject: name, reason: "holds no revocation list")
        }
    }
}
