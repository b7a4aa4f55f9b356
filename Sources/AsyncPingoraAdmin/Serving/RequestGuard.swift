internal import AsyncTransport
internal import HTTPCodecs

/// Decides whether a request may be served, by what it says of where it comes from.
///
/// A browser on the same machine can be made to send requests here by any page that it shows. So the name it thinks it is talking to
/// must be one of ours (a foreign name that resolves to loopback is DNS rebinding), and what changes something must carry a field that
/// a page of another origin cannot send.
struct RequestGuard: Sendable {
    /// The field that a request needs which changes something; its value does not matter.
    static let intentField: HeaderName = "X-AsyncPingora-Admin"

    private let names: Set<String>
    private let allowsAnyAddress: Bool

    /// Makes a guard.
    ///
    /// - Parameters:
    ///   - names: host names that the page may be asked for by, beside `localhost` and loopback addresses.
    ///   - allowsAnyAddress: whether a `Host` that is an IP address needs not be a loopback one.
    init(names: [String], allowsAnyAddress: Bool) {
        self.names = Set(names.map { $0.lowercased() })
        self.allowsAnyAddress = allowsAnyAddress
    }

    /// Whether the request is for this server, by its `Host`.
    func isForUs(_ request: RequestHeader) -> Bool {
        guard request.headers.count(of: .host) == 1, let authority = request.authority else { return false }
        return isOurs(host: Self.host(of: authority))
    }

    /// Whether a request that changes something was meant to: sent by this server's page, or by a tool that says so.
    func isIntended(_ request: RequestHeader) -> Bool {
        guard request.headers.contains(Self.intentField) else { return false }
        if let site = request.headers["Sec-Fetch-Site"], site != "same-origin", site != "none" { return false }
        guard let origin = request.headers["Origin"] else { return true }
        guard let authority = request.authority else { return false }
        return origin == "http://\(authority)" || origin == "https://\(authority)"
    }

    func isOurs(host: String) -> Bool {
        let host = host.lowercased()
        if host == "localhost" || names.contains(host) { return true }
        guard let address = SocketAddress(host: host, port: 0) else { return false }
        return allowsAnyAddress || address.isLoopback
    }

    /// The host of `host[:port]`; an IPv6 address keeps its brackets.
    static func host(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            let rest = authority[authority.index(after: end)...]
            return rest.isEmpty || rest.hasPrefix(":") ? String(authority[...end]) : authority
        }
        return authority.firstIndex(of: ":").map { String(authority[..<$0]) } ?? authority
    }
}

extension SocketAddress {
    /// Whether only this machine can reach it: 127.0.0.0/8, `::1`, or a Unix-domain socket.
    var isLoopback: Bool {
        guard let host else { return true }
        return host == "::1" || host.hasPrefix("127.") || host.hasPrefix("::ffff:127.")
    }
}
