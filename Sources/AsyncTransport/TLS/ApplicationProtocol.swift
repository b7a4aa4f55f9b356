/// A protocol that is agreed on in a TLS handshake, by its registered name (RFC 7301).
public struct ApplicationProtocol: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The name as it is on the wire; bytes that are no UTF-8 are replaced.
    public let rawValue: String

    /// Makes one of a registered or private name.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    /// HTTP/1.1.
    public static let http11 = ApplicationProtocol(rawValue: "http/1.1")
    /// HTTP/2 over TLS.
    public static let http2 = ApplicationProtocol(rawValue: "h2")

    /// The name.
    public var description: String { rawValue }

    /// A list of protocols as ALPN writes it; names that are empty or too long are left out.
    static func wireList(_ protocols: [ApplicationProtocol]) -> [UInt8] {
        var bytes: [UInt8] = []
        for name in protocols.map(\.rawValue.utf8) where (1...255).contains(name.count) {
            bytes.append(UInt8(name.count))
            bytes += name
        }
        return bytes
    }

    /// Takes a list apart; what follows the first malformed entry is ignored.
    static func parse(wireList bytes: [UInt8]) -> [ApplicationProtocol] {
        var found: [ApplicationProtocol] = []
        var index = 0
        while index < bytes.count {
            let length = Int(bytes[index])
            guard length > 0, index + 1 + length <= bytes.count else { break }
            found.append(
                ApplicationProtocol(
                    rawValue: String(decoding: bytes[(index + 1)..<(index + 1 + length)], as: UTF8.self)
                )
            )
            index += 1 + length
        }
        return found
    }
}

/// Which protocols a listener agrees to.
///
/// A client that offers none, or only others, is served without an agreement, which means HTTP/1.1: except that ``http2`` alone
/// refuses a client that offers only others, as RFC 7301 asks.
public struct ALPNPolicy: Hashable, Sendable {
    /// What is agreed to, most wanted first.
    public let protocols: [ApplicationProtocol]
    /// Whether a client that offers none of them is refused.
    public let refusesOthers: Bool

    private init(_ protocols: [ApplicationProtocol], refusesOthers: Bool = false) {
        self.protocols = protocols
        self.refusesOthers = refusesOthers
    }

    /// No agreement at all.
    public static let off = ALPNPolicy([])
    /// HTTP/1.1.
    public static let http1 = ALPNPolicy([.http11])
    /// HTTP/2 and nothing else.
    public static let http2 = ALPNPolicy([.http2], refusesOthers: true)
    /// HTTP/2, or HTTP/1.1 with clients that do not offer it.
    public static let http2OrHTTP1 = ALPNPolicy([.http2, .http11])

    /// A protocol of one's own.
    public static func custom(_ name: ApplicationProtocol) -> ALPNPolicy { ALPNPolicy([name]) }
}
