internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs

/// What a WebSocket's opening handshake has in HTTP/1.1 (RFC 6455 4) and not in HTTP/2 (RFC 8441 5), where the two sides differ.
///
/// In memory both are an upgrade that is answered with 101.
enum WebSocketHandshake {
    private static let key: HeaderName = "Sec-WebSocket-Key"
    private static let accept: HeaderName = "Sec-WebSocket-Accept"

    /// Gives an HTTP/1.1 upstream the key that an HTTP/2 client has not sent, and takes an HTTP/1.1 client's from an HTTP/2 upstream.
    ///
    /// - Returns: the key that was made up, to check the upstream's answer by.
    static func convert(request: inout RequestHeader, client: HTTPVersion, upstream: HTTPVersion) -> String? {
        guard request.headers.contains(.upgrade) else { return nil }
        if upstream == .http2 {
            request.headers.remove(key)
            return nil
        }
        guard client == .http2, request.headers[.upgrade]?.lowercased() == "websocket" else { return nil }
        let nonce = base64((0..<16).map { _ in UInt8.random(in: .min ... .max) })
        // Base64 is a valid field value.
        try? request.headers.set(key, nonce)
        return nonce
    }

    /// Answers an HTTP/1.1 client's key in the place of an HTTP/2 upstream, and checks an HTTP/1.1 upstream's answer to ours.
    ///
    /// - Parameters:
    ///   - response: a 101.
    ///   - request: the client's request.
    ///   - nonce: the key that was made up for the upstream, if one was.
    ///   - upstream: the upstream's version.
    /// - Throws: ``PingoraError`` with source upstream when its answer is not the one to the key.
    static func convert(
        response: inout ResponseHeader,
        request: borrowing RequestHeader,
        nonce: String?,
        upstream: HTTPVersion
    ) throws(PingoraError) {
        if let nonce {
            guard response.headers[accept] == answer(to: nonce) else {
                throw PingoraError(
                    .connectError,
                    source: .upstream,
                    context: "the upstream's Sec-WebSocket-Accept is wrong"
                )
            }
            response.headers.remove(accept)
        } else if upstream == .http2, request.version != .http2, let sent = request.headers[key] {
            // Base64 is a valid field value.
            try? response.headers.set(accept, answer(to: sent))
        }
    }

    /// What a server answers to a key (RFC 6455 4.2.2).
    private static func answer(to key: String) -> String {
        base64(SHA1.digest(of: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for byte in group { bits = bits << 8 | Int(byte) }
            bits <<= 8 * (3 - group.count)
            for index in 0..<4 {
                text.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
