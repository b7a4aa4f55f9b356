import AsyncPingora

/// Answers /health itself, passes all else to the first upstream that accepts a connection, and tells it who asked.
struct FirstProxy: ProxyHttp {
    let upstreams = [9_000, 9_001].compactMap { SocketAddress(host: "127.0.0.1", port: $0) }.map { HttpPeer($0) }

    func newContext() -> Int { 0 }  // upstreams that this request has tried in vain

    func requestFilter(_ session: Session, context: inout Int) async throws -> RequestDisposition {
        guard session.request.path == "/health" else { return .forward }
        try await session.respond(.ok, body: Bytes("in good health\n"))
        return .responded
    }

    func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer { upstreams[context] }

    func upstreamRequestFilter(_ session: Session, request: inout RequestHeader, context: inout Int) async throws {
        try request.headers.set("X-Forwarded-For", session.clientAddress?.host ?? "unknown")
    }

    func failToConnect(_ session: Session, peer: HttpPeer, error: PingoraError, context: inout Int) -> PingoraError {
        context += 1
        var error = error
        error.retry = .decided(context < upstreams.count)
        return error
    }
}

var listeners = Listeners()
if let address = SocketAddress("127.0.0.1:6188") { listeners.add(address) }
let server = Server()
await server.add(httpProxyService(FirstProxy(), listeners: listeners))
try await server.run()
