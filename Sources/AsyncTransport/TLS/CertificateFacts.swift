internal import COpenSSL

/// What a peer's certificate says.
public struct CertificateFacts: Hashable, Sendable {
    /// Whose it is, as RFC 2253 writes it: `CN=client,O=Example`.
    public let subject: String
    /// The subject's common name; nil when it has none.
    public let commonName: String?
    /// The subject's organisation; nil when it has none.
    public let organization: String?
    /// Who signed it, as RFC 2253 writes it.
    public let issuer: String
    /// The serial number in hexadecimal.
    public let serialNumber: String
    /// The DNS names it is for.
    public let dnsNames: [String]
    /// SHA-256 of the whole certificate, in lower-case hexadecimal.
    public let sha256: String
    /// From when it is valid, in seconds since 1970.
    public let notBefore: Int64
    /// Until when it is valid, in seconds since 1970.
    public let notAfter: Int64

    init(_ certificate: OpaquePointer) {
        // SAFETY: the certificate lives as long as the caller holds it; texts are copied and then freed; `get0` results belong to it.
        let name = unsafe X509_get_subject_name(certificate)
        subject = unsafe Self.text(copenssl_name_text(name)) ?? ""
        commonName = unsafe Self.text(copenssl_name_entry(name, NID_commonName))
        organization = unsafe Self.text(copenssl_name_entry(name, NID_organizationName))
        issuer = unsafe Self.text(copenssl_name_text(X509_get_issuer_name(certificate))) ?? ""
        serialNumber = unsafe Self.text(copenssl_serial_text(certificate)) ?? ""
        dnsNames = unsafe Self.dnsNames(of: certificate)
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        unsafe X509_digest(certificate, EVP_sha256(), &digest, &length)
        sha256 = Hexadecimal.text(digest)
        notBefore = unsafe copenssl_time_seconds(X509_get0_notBefore(certificate))
        notAfter = unsafe copenssl_time_seconds(X509_get0_notAfter(certificate))
    }

    /// The DNS names among a certificate's alternative names.
    static func dnsNames(of certificate: OpaquePointer) -> [String] {
        // SAFETY: as in the initializer.
        let joined = unsafe text(copenssl_dns_names(certificate)) ?? ""
        return joined.split(separator: "\n").map(String.init)
    }

    private static func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String? {
        // SAFETY: a C string that OpenSSL allocated for us, or nil.
        guard let pointer = unsafe pointer else { return nil }
        defer { unsafe copenssl_free(pointer) }
        return unsafe String(cString: pointer)
    }
}

/// Bytes as text.
enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }
}
