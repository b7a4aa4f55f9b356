import AsyncPingora
import AsyncPingoraConfiguration

/// The demonstration's own section of a configuration file.
///
///     demo:
///       listen: 127.0.0.1:6188
///       tls: { listen: 127.0.0.1:6189, certificate: server.pem, key: server.key }
///       upstream: 127.0.0.1:9000
struct DemoSection: Decodable, Hashable, Sendable {
    var listen: SocketAddress?
    var tls: TLSListenerSettings?
    var upstream: UpstreamAddress?
    var upstreamTLS: Bool?
    var upstreamServerName: String?

    enum CodingKeys: String, CodingKey {
        case listen, tls, upstream
        case upstreamTLS = "upstream_tls"
        case upstreamServerName = "upstream_sni"
    }

    static let section = ConfigurationSection(
        "demo",
        as: DemoSection.self,
        restart: { running, new in
            var keys: [String] = []
            if running?.listen != new?.listen { keys.append("listen") }
            if running?.tls?.listen != new?.tls?.listen { keys.append("tls.listen") }
            return keys
        },
        verify: { $0.tls?.problems(at: "tls") ?? [] }
    )
}

extension UpstreamAddress: Decodable {
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let address = UpstreamAddress(argument: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "expected HOST:PORT, where HOST may be a name, or unix:/PATH"
            )
        }
        self = address
    }
}
