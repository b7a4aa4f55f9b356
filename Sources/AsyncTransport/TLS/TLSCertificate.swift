internal import COpenSSL

/// Where a certificate, its chain and its private key come from: files, or texts, in PEM.
public struct TLSCertificateSource: Hashable, Sendable {
    enum Origin: Hashable, Sendable {
        case files(chain: String, key: String)
        case texts(chain: [UInt8], key: [UInt8])
    }

    let origin: Origin
    /// A file with an OCSP response in DER that is stapled to the certificate; nil staples none.
    ///
    /// It is read again by ``TLSAcceptor/reload(certificates:)``, and must be replaced before it expires: clients refuse an old one.
    public var ocspResponseFile: String?

    /// Names the files: the leaf certificate first, then the intermediate ones; and the key, without a password.
    public init(chainFile: String, keyFile: String, ocspResponseFile: String? = nil) {
        origin = .files(chain: chainFile, key: keyFile)
        self.ocspResponseFile = ocspResponseFile
    }

    /// Takes the texts themselves.
    public init(chain: String, key: String) {
        origin = .texts(chain: Array(chain.utf8), key: Array(key.utf8))
        ocspResponseFile = nil
    }

    /// Makes a certificate that signs itself, with a new P-256 key: for trying things out.
    ///
    /// - Parameters:
    ///   - names: what it is for: DNS names, and IP addresses with `IP:` in front.
    ///   - validity: how long it is valid from now.
    /// - Returns: the certificate and its key, as texts.
    /// - Throws: ``TLSConfigurationError`` when a name is of no use.
    public static func selfSigned(
        for names: [String],
        validity: Duration = .seconds(30 * 86_400)
    ) throws(TLSConfigurationError) -> TLSCertificateSource {
        let listed = names.map { $0.hasPrefix("IP:") ? $0 : "DNS:\($0)" }.joined(separator: ",")
        // SAFETY: both BIOs are freed below, after their contents have been copied.
        guard let certificate = unsafe BIO_new(BIO_s_mem()) else { throw OpenSSLErrors.configuration(listed) }
        defer { unsafe BIO_free(certificate) }
        guard let key = unsafe BIO_new(BIO_s_mem()) else { throw OpenSSLErrors.configuration(listed) }
        defer { unsafe BIO_free(key) }
        let seconds = Int(validity.components.seconds)
        guard
            unsafe copenssl_make_self_signed(names.first ?? "localhost", listed, seconds, certificate, key) == 1
        else { throw OpenSSLErrors.configuration(listed) }
        return unsafe TLSCertificateSource(origin: .texts(chain: contents(of: certificate), key: contents(of: key)))
    }

    init(origin: Origin) {
        self.origin = origin
        ocspResponseFile = nil
    }

    private static func contents(of bio: OpaquePointer) -> [UInt8] {
        // SAFETY: the bytes belong to the BIO and are copied.
        var bytes: UnsafePointer<UInt8>?
        let count = unsafe copenssl_memory_bytes(bio, &bytes)
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    }

    /// The same, read from its files.
    func read() throws(TLSConfigurationError) -> CertificateText {
        let ocsp: [UInt8]? = if let ocspResponseFile { try FileContents.read(ocspResponseFile) } else { nil }
        switch origin {
        case .files(let chain, let key):
            return CertificateText(
                name: chain,
                chain: try FileContents.read(chain),
                key: try FileContents.read(key),
                ocspResponse: ocsp
            )
        case .texts(let chain, let key):
            return CertificateText(name: "certificate", chain: chain, key: key, ocspResponse: ocsp)
        }
    }
}

/// A certificate as it was read: each worker makes objects of its own of it, so that they do not meet at OpenSSL's locks.
struct CertificateText: Hashable, Sendable {
    var name: String
    var chain: [UInt8]
    var key: [UInt8]
    var ocspResponse: [UInt8]?
}

/// A certificate with its chain and key, ready for use.
@safe public final class TLSCertificate: Sendable {
    // SAFETY: the three objects are this one's own, never changed after init, and freed in deinit; OpenSSL counts its references to
    // them atomically and locks what it caches in them.
    private nonisolated(unsafe) let leaf: OpaquePointer
    private nonisolated(unsafe) let chain: OpaquePointer
    private nonisolated(unsafe) let key: OpaquePointer
    let ocspResponse: [UInt8]?

    /// The DNS names the certificate is for, in lower case.
    public let dnsNames: [String]

    /// Reads and parses a certificate.
    ///
    /// - Throws: ``TLSConfigurationError`` naming the file.
    public convenience init(_ source: TLSCertificateSource) throws(TLSConfigurationError) {
        try self.init(text: source.read())
    }

    init(text: CertificateText) throws(TLSConfigurationError) {
        // SAFETY: what has been made is freed again when a later step fails.
        guard let pem = unsafe BIO_new_mem_buf(text.chain, Int32(clamping: text.chain.count)) else {
            throw OpenSSLErrors.configuration(text.name)
        }
        defer { unsafe BIO_free(pem) }
        var leaf: OpaquePointer?
        var chain: OpaquePointer?
        guard unsafe copenssl_read_chain(pem, &leaf, &chain) == 1, let leaf = unsafe leaf, let chain = unsafe chain
        else { throw OpenSSLErrors.configuration(text.name) }
        guard let keyPEM = unsafe BIO_new_mem_buf(text.key, Int32(clamping: text.key.count)) else {
            throw OpenSSLErrors.configuration(text.name)
        }
        defer { unsafe BIO_free(keyPEM) }
        let key = unsafe copenssl_read_key(keyPEM)
        guard let key = unsafe key, unsafe X509_check_private_key(leaf, key) == 1 else {
            let error = OpenSSLErrors.configuration("\(text.name), its key")
            unsafe X509_free(leaf)
            unsafe copenssl_free_chain(chain)
            unsafe EVP_PKEY_free(key)
            throw error
        }
        unsafe self.leaf = leaf
        unsafe self.chain = chain
        unsafe self.key = key
        ocspResponse = text.ocspResponse
        unsafe dnsNames = CertificateFacts.dnsNames(of: leaf).map { $0.lowercased() }
    }

    deinit {
        unsafe X509_free(leaf)
        unsafe copenssl_free_chain(chain)
        unsafe EVP_PKEY_free(key)
    }

    /// Makes it the certificate of one connection.
    func use(for ssl: OpaquePointer) -> Bool {
        unsafe SSL_use_cert_and_key(ssl, leaf, key, chain, 1) == 1
    }

    /// Makes it the certificate of a context.
    func use(in context: OpaquePointer) -> Bool {
        unsafe SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1
    }
}
