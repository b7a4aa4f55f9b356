internal import COpenSSL

/// One worker's OpenSSL objects for connections to upstreams that trust alike.
@safe final class TLSClientContext: Sendable {
    // SAFETY: as in TLSServerContext.
    private nonisolated(unsafe) let context: OpaquePointer
    private let keyLog: KeyLog?

    init(_ key: TLSClientOptions.ContextKey) throws(TLSConfigurationError) {
        copenssl_initialize()
        keyLog = try key.keyLogFile.map { path throws(TLSConfigurationError) in try KeyLog(path) }
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw OpenSSLErrors.configuration("TLS context")
        }
        unsafe self.context = context
        unsafe copenssl_ctx_set_modes(context)
        guard unsafe copenssl_ctx_set_versions(context, key.minimumVersion.number, key.maximumVersion.number) == 1,
            unsafe SSL_CTX_set_ciphersuites(context, CipherSuites.tls13) == 1,
            unsafe SSL_CTX_set_cipher_list(context, CipherSuites.tls12) == 1
        else { throw OpenSSLErrors.configuration("TLS versions") }
        let curves = key.curves ?? CipherSuites.groups
        guard unsafe copenssl_ctx_set_groups(context, curves) == 1 else { throw OpenSSLErrors.configuration(curves) }
        try trust(key)
        if let certificate = key.clientCertificate {
            let source = TLSCertificateSource(chainFile: certificate.chainFile, keyFile: certificate.keyFile)
            guard try unsafe TLSCertificate(source).use(in: context) else {
                throw OpenSSLErrors.configuration(certificate.chainFile)
            }
        }
        unsafe copenssl_ctx_set_cache_mode(context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        unsafe SSL_CTX_sess_set_new_cb(context, ClientCallbacks.newSession)
        unsafe SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque())
        if keyLog != nil { unsafe SSL_CTX_set_keylog_callback(context, ClientCallbacks.keyLog) }
    }

    deinit {
        unsafe SSL_CTX_free(context)
    }

    private func trust(_ key: TLSClientOptions.ContextKey) throws(TLSConfigurationError) {
        if key.authorityFiles.isEmpty, unsafe SSL_CTX_set_default_verify_paths(context) != 1 {
            throw OpenSSLErrors.configuration("the system's authorities")
        }
        for file in key.authorityFiles {
            try unsafe TrustStore.addAuthorities(FileContents.read(file), named: file, to: context, announces: false)
        }
        if let file = key.revocationFile {
            try unsafe TrustStore.addRevocations(FileContents.read(file), named: file, to: context)
        }
    }

    /// An engine for a new connection.
    func makeEngine(_ key: TLSClientSessions.Key, sessions: TLSClientSessions) throws(TransportError) -> TLSEngine {
        let options = key.options
        let exchange = TLSHandshakeState(
            sessions: options.reusesSessions ? sessions : nil,
            sessionKey: options.reusesSessions ? key : nil
        )
        let engine = try unsafe TLSEngine(context: context, isServer: false, exchange: exchange, keeping: self)
        try unsafe engine.configure { (ssl) throws(TransportError) in
            try unsafe Self.setNames(options, address: key.address, of: ssl, exchange)
            if !key.protocols.isEmpty {
                let list = ApplicationProtocol.wireList(key.protocols)
                unsafe SSL_set_alpn_protos(ssl, list, UInt32(list.count))
            }
            if options.reusesSessions, let session = unsafe sessions.take(for: key) {
                unsafe SSL_set_session(ssl, session)
                unsafe SSL_SESSION_free(session)
            }
        }
        return engine
    }

    /// Says which name is wanted, and what the certificate must be for.
    private static func setNames(
        _ options: TLSClientOptions,
        address: SocketAddress?,
        of ssl: OpaquePointer,
        _ exchange: TLSHandshakeState
    ) throws(TransportError) {
        // SAFETY: texts are copied during the calls; the verification parameters belong to the SSL.
        let name = TLSClientOptions.withoutFinalDot(options.serverName ?? "")
        let parameters = unsafe SSL_get0_param(ssl)
        // An address is no name for SNI (RFC 6066, section 3), but a certificate may be for it.
        let isAddress = SocketAddress(host: name, port: 0) != nil
        if !name.isEmpty {
            exchange.serverName = name
            if !isAddress, unsafe copenssl_set_server_name(ssl, name) != 1 {
                throw .tls(.configuration, "\(name) is no server name")
            }
        }
        unsafe SSL_set_verify(ssl, options.verifiesCertificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        guard options.verifiesCertificate, options.verifiesHostname else { return }
        unsafe SSL_set_hostflags(
            ssl,
            UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
        )
        let addressText = isAddress ? name : name.isEmpty ? address?.host : nil
        let names = options.acceptedNames.filter { !isAddress || $0 != name }
        for accepted in names where unsafe SSL_add1_host(ssl, accepted) != 1 {
            throw .tls(.configuration, "\(accepted) is no host name")
        }
        if names.isEmpty {
            guard let addressText, unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, addressText) == 1 else {
                throw .tls(.configuration, "neither a server name nor an IP address to verify the certificate for")
            }
        }
    }

    fileprivate func log(_ line: UnsafePointer<CChar>) {
        unsafe keyLog?.write(line)
    }

    fileprivate static func of(_ ssl: OpaquePointer?) -> TLSClientContext? {
        // SAFETY: index 0 points to the object that made the context, which every engine keeps alive.
        guard let raw = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0) else { return nil }
        return unsafe Unmanaged<TLSClientContext>.fromOpaque(raw).takeUnretainedValue()
    }
}

/// What OpenSSL calls in a client's handshake and after it, in the connection's task.
// SAFETY: as in ServerCallbacks.
private enum ClientCallbacks {
    static let newSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = { ssl, session in
        guard let exchange = unsafe TLSHandshakeState.of(ssl), let sessions = exchange.sessions,
            let key = exchange.sessionKey, let session = unsafe session, unsafe SSL_SESSION_is_resumable(session) == 1
        else { return 0 }
        // 1 keeps the reference that OpenSSL passes.
        unsafe sessions.insert(session, for: key)
        return 1
    }

    static let keyLog: SSL_CTX_keylog_cb_func = { ssl, line in
        guard let line = unsafe line else { return }
        unsafe TLSClientContext.of(ssl)?.log(line)
    }
}
