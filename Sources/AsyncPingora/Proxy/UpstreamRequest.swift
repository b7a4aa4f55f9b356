internal import AsyncConnectors
internal import HTTPCodecs

/// Which upgrades (RFC 9110 7.8) a proxy passes on.
///
/// h2c never is: it would let a client talk past the proxy.
public enum UpgradePolicy: Sendable {
    /// Every protocol that the client names with HTTP/1.1 and `Connection: upgrade`.
    case any
    /// WebSocket alone.
    case webSocketOnly
    /// None.
    case deny
}

/// Makes the head for the upstream out of the client's.
enum UpstreamRequest {
    /// Removes what concerns the client's connection only, keeps an upgrade that the policy allows, and announces the body's framing.
    static func prepare(
        _ request: inout RequestHeader,
        framing: HTTP1.BodyFraming,
        awaitsContinue: Bool,
        upgrades: UpgradePolicy,
        peer: HttpPeer?,
        upstreamVersion: HTTPVersion
    ) throws(HTTP1.ParseError) {
        let upgrade = allowedUpgrade(in: request, policy: upgradePolicy(upgrades, towards: upstreamVersion))
        try HopByHop.strip(request: &request.headers, keepsTrailersTE: true)
        if request.headers.contains(.te) { request.headers.set(.connection, staticBytes: "TE") }
        if let upgrade {
            request.headers.set(.connection, staticBytes: "Upgrade")
            try setUpgrade(upgrade, in: &request)
        }
        if framing == .chunked { request.headers.set(.transferEncoding, staticBytes: "chunked") }
        request.makeTargetRelative()
        // Once the client has been told to go on, or has not waited for that, nobody waits for the upstream's word.
        if !awaitsContinue, request.headers.contains(.expect), request.headers.hasToken("100-continue", in: .expect) {
            request.headers.remove(.expect)
        }
        if request.version < .http11 { try raiseVersion(of: &request, peer: peer) }
    }

    /// The upstream is asked in HTTP/1.1, which needs a Host (RFC 9112 3.2): a 1.0 client may have left it out.
    private static func raiseVersion(
        of request: inout RequestHeader,
        peer: HttpPeer?
    ) throws(HTTP1.ParseError) {
        request.version = .http11
        guard !request.headers.contains(.host) else { return }
        let address = peer?.address.host == nil ? "localhost" : peer?.address.description
        do {
            try request.headers.set(.host, request.authority ?? address ?? "")
        } catch {
            throw .forbiddenByte
        }
    }

    /// The framing that the head announces after the user's filter has had it; a body without any gets chunked.
    static func framing(
        of request: inout RequestHeader,
        hasBody: Bool
    ) throws(PingoraError) -> HTTP1.BodyFraming {
        do throws(HTTP1.ParseError) {
            let framing = try HTTP1.requestFraming(request)
            guard framing == .none, hasBody, request.methodKind != .connect else { return framing }
            request.headers.set(.transferEncoding, staticBytes: "chunked")
            return .chunked
        } catch {
            throw PingoraError(.invalidHTTPHeader(error), context: "request head for the upstream")
        }
    }

    private static func setUpgrade(_ value: String, in request: inout RequestHeader) throws(HTTP1.ParseError) {
        do {
            try request.headers.set(.upgrade, value)
        } catch {
            throw .forbiddenByte
        }
    }

    /// HTTP/2 can carry a WebSocket (RFC 8441) and no other upgrade.
    private static func upgradePolicy(_ policy: UpgradePolicy, towards version: HTTPVersion) -> UpgradePolicy {
        policy == .any && version == .http2 ? .webSocketOnly : policy
    }

    private static func allowedUpgrade(in request: borrowing RequestHeader, policy: UpgradePolicy) -> String? {
        guard policy != .deny, request.version >= .http11, request.headers.contains(.upgrade),
            request.headers.hasToken("upgrade", in: .connection), request.headers.count(of: .upgrade) == 1,
            let value = request.headers[.upgrade], !value.isEmpty, !value.lowercased().contains("h2c")
        else { return nil }
        return policy == .any || value.lowercased() == "websocket" ? value : nil
    }
}
