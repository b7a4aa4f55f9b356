internal import COpenSSL

/// What a client says first: the facts by which it may be recognised, and a certificate chosen.
public struct ClientHello: Hashable, Sendable {
    /// The name it wants to reach, in lower case; nil when it does not say.
    public let serverName: String?
    /// The protocols it offers, in its order.
    public let applicationProtocols: [ApplicationProtocol]
    /// The versions it offers, as on the wire (0x0304 is TLS 1.3), in its order; without the greasing values of RFC 8701.
    public let versions: [UInt16]
    /// The cipher suites it offers, in its order, greasing values included.
    public let cipherSuites: [UInt16]
    /// The types of its extensions, in its order, greasing values included.
    public let extensions: [UInt16]
    /// The signature algorithms it offers, in its order.
    public let signatureAlgorithms: [UInt16]

    /// Makes a hello of its facts.
    public init(
        serverName: String?,
        applicationProtocols: [ApplicationProtocol],
        versions: [UInt16],
        cipherSuites: [UInt16],
        extensions: [UInt16],
        signatureAlgorithms: [UInt16]
    ) {
        self.serverName = serverName
        self.applicationProtocols = applicationProtocols
        self.versions = versions
        self.cipherSuites = cipherSuites
        self.extensions = extensions
        self.signatureAlgorithms = signatureAlgorithms
    }

    /// Whether a value is one of those that clients strew in so that servers tolerate unknown ones (RFC 8701).
    static func isGrease(_ value: UInt16) -> Bool {
        value & 0x0F0F == 0x0A0A && value >> 8 == value & 0xFF
    }
}

extension ClientHello {
    /// Reads the hello that `ssl` is processing; only inside the client-hello callback.
    init(of ssl: OpaquePointer) {
        let name = unsafe Self.extensionBytes(0, of: ssl)
        let offered = unsafe Self.extensionBytes(16, of: ssl)
        let supported = unsafe Self.extensionBytes(43, of: ssl)
        let algorithms = unsafe Self.extensionBytes(13, of: ssl)
        var versions = Self.words(supported, from: 1).filter { !Self.isGrease($0) }
        if versions.isEmpty {
            unsafe versions = [UInt16(truncatingIfNeeded: SSL_client_hello_get0_legacy_version(ssl))]
        }
        // SAFETY: both lists are copied; the first belongs to the SSL, the second is allocated for us and freed.
        var ciphers: UnsafePointer<UInt8>?
        let cipherBytes = unsafe SSL_client_hello_get0_ciphers(ssl, &ciphers)
        var types: UnsafeMutablePointer<Int32>?
        var typeCount = 0
        var extensions: [UInt16] = []
        if unsafe SSL_client_hello_get1_extensions_present(ssl, &types, &typeCount) == 1 {
            unsafe extensions = UnsafeBufferPointer(start: types, count: typeCount).map {
                UInt16(truncatingIfNeeded: $0)
            }
            unsafe copenssl_free(types)
        }
        unsafe self.init(
            serverName: Self.hostName(name),
            applicationProtocols: ApplicationProtocol.parse(wireList: Array(offered.dropFirst(2))),
            versions: versions,
            cipherSuites: Self.words(Array(UnsafeBufferPointer(start: ciphers, count: cipherBytes)), from: 0),
            extensions: extensions,
            signatureAlgorithms: Self.words(algorithms, from: 2)
        )
    }

    private static func extensionBytes(_ type: UInt32, of ssl: OpaquePointer) -> [UInt8] {
        // SAFETY: the bytes belong to the SSL and are copied.
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        guard unsafe SSL_client_hello_get0_ext(ssl, type, &bytes, &count) == 1 else { return [] }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    }

    private static func words(_ bytes: [UInt8], from start: Int) -> [UInt16] {
        stride(from: start, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    }

    /// RFC 6066 §3: a list of at most one name of type 0.
    private static func hostName(_ bytes: [UInt8]) -> String? {
        guard bytes.count > 5, bytes[2] == 0 else { return nil }
        let length = Int(bytes[3]) << 8 | Int(bytes[4])
        guard length > 0, 5 + length <= bytes.count else { return nil }
        return String(decoding: bytes[5..<(5 + length)], as: UTF8.self).lowercased()
    }
}

extension ClientHello {
    /// The fingerprint of the client's software, as JA4 defines it: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    public var ja4: String {
        let ciphers = cipherSuites.filter { !Self.isGrease($0) }
        let types = extensions.filter { !Self.isGrease($0) }
        let version: String =
            switch versions.max() ?? 0 {
            case 0x0304: "13"
            case 0x0303: "12"
            case 0x0302: "11"
            case 0x0301: "10"
            case 0x0300: "s3"
            default: "00"
            }
        let parts = [
            "t", version, serverName == nil ? "i" : "d", Self.count(ciphers), Self.count(types), protocolMark,
        ]
        var listed = Self.list(types.filter { $0 != 0 && $0 != 16 }.sorted())
        // The algorithms' order is the client's own, and they are left out with their separator when there are none.
        if !signatureAlgorithms.isEmpty { listed += "_" + Self.list(signatureAlgorithms.filter { !Self.isGrease($0) }) }
        return parts.joined() + "_" + Self.digest(Self.list(ciphers.sorted())) + "_" + Self.digest(listed)
    }

    /// First and last character of the first protocol.
    private var protocolMark: String {
        guard let name = applicationProtocols.first?.rawValue.utf8, let first = name.first, let last = name.last else {
            return "00"
        }
        let isPlain = { (byte: UInt8) in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        }
        if isPlain(first), isPlain(last) { return String(decoding: [first, last], as: UTF8.self) }
        return String(Hexadecimal.text([first]).prefix(1) + Hexadecimal.text([last]).suffix(1))
    }

    private static func count(_ values: [UInt16]) -> String {
        let number = min(values.count, 99)
        return number < 10 ? "0\(number)" : "\(number)"
    }

    private static func list(_ values: [UInt16]) -> String {
        values.map { Hexadecimal.text([UInt8($0 >> 8), UInt8($0 & 0xFF)]) }.joined(separator: ",")
    }

    private static func digest(_ text: String) -> String {
        guard !text.isEmpty else { return "000000000000" }
        return String(Hexadecimal.text(SHA256Digest.of(Array(text.utf8))).prefix(12))
    }
}

/// SHA-256.
enum SHA256Digest {
    static func of(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        // SAFETY: the function writes 32 bytes.
        _ = unsafe SHA256(bytes, bytes.count, &digest)
        return digest
    }
}
