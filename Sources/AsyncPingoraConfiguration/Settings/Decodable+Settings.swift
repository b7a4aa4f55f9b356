public import AsyncTransport

extension SocketAddress: Decodable {
    /// Decodes `127.0.0.1:80`, `[::1]:80` or `unix:/path`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let address = SocketAddress(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "expected an address such as 127.0.0.1:80, [::1]:80 or unix:/path"
            )
        }
        self = address
    }
}

/// An address whose connections are encrypted, as a section of a configuration file says it.
///
///     tls:
///       listen: 0.0.0.0:443
///       certificate: /etc/proxy/server.pem
///       key: /etc/proxy/server.key
public struct TLSListenerSettings: Decodable, Hashable, Sendable {
    /// Where to listen.
    public var listen: SocketAddress
    /// The file with the certificate and those between it and the authority.
    public var certificate: String
    /// The file with its key.
    public var key: String

    /// Makes settings.
    public init(listen: SocketAddress, certificate: String, key: String) {
        self.listen = listen
        self.certificate = certificate
        self.key = key
    }

    /// The files.
    public var source: TLSCertificateSource { TLSCertificateSource(chainFile: certificate, keyFile: key) }

    /// Settings for a listener that also agrees to HTTP/2.
    public var settings: TLSServerSettings {
        var settings = TLSServerSettings(certificates: [source])
        settings.alpn = .http2OrHTTP1
        return settings
    }

    /// Reads the files; returns what is wrong with them, where the keys that lead here are `path`.
    public func problems(at path: String) -> [SectionProblem] {
        do throws(TLSConfigurationError) {
            _ = try TLSAcceptor(settings)
            return []
        } catch {
            return [SectionProblem(at: path, error.subject == key ? "key" : "certificate", message: error.description)]
        }
    }
}
