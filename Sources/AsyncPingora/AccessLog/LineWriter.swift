internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs

/// Writes the fields of one line.
struct LineWriter {
    let session: Session
    /// The session's own answer while the head is lent to the line.
    let hasRequest: Bool
    let buffer: TextBuffer
    let isJSON: Bool
    let limit: Int

    private var escape: TextBuffer.Escape { isJSON ? .json : .hexadecimal }

    /// Writes what lines most often have; the rest is elsewhere.
    func write(_ code: AccessLogField.Code, of request: borrowing RequestHeader, clock: borrowing LogClock) {
        switch code {
        case .timeISO8601: quoted { clock.writeISO8601(to: buffer) }
        case .timeLocal: quoted { clock.writeLocal(to: buffer) }
        case .secondsSinceEpoch: clock.writeSeconds(to: buffer)
        case .clientAddress: host(session.clientAddress)
        case .requestLine: writeRequestLine(of: request)
        case .method: if hasRequest { request.withMethodBytes { text($0) } } else { absent() }
        case .target: if hasRequest { request.withTarget { text($0) } } else { absent() }
        case .version: if hasRequest { quoted { buffer.append(version(of: request)) } } else { absent() }
        case .status: writeStatus()
        case .bytesSent: buffer.append(decimal: session.bodyBytesSent)
        case .bytesReceived: buffer.append(decimal: session.bodyBytesReceived)
        case .requestTime: duration(from: session.timings.start, to: session.timings.end)
        case .upstreamAddress: address(session.upstreamPeer?.address)
        default: writeMore(code, of: request)
        }
    }

    /// Writes the request's first field of a name.
    func write(_ name: HeaderName, of request: borrowing RequestHeader) {
        if request.headers.withValue(name, { text($0) }) == nil { absent() }
    }

    private func writeMore(_ code: AccessLogField.Code, of request: borrowing RequestHeader) {
        let timings = session.timings
        switch code {
        case .clientPort: number(session.clientAddress?.port)
        case .clientUser: writeUser(of: request)
        case .serverAddress: host(session.serverAddress)
        case .serverPort: number(session.serverAddress?.port)
        case .path: text(hasRequest ? request.path : nil)
        case .query: text(hasRequest ? request.query : nil)
        case .scheme: quoted { buffer.append(session.tls == nil ? "http" : "https") }
        case .host: writeHost(of: request)
        case .filterTime: duration(from: timings.start, to: timings.filtered)
        case .peerTime: duration(from: timings.filtered, to: timings.peerChosen)
        case .connectTime: duration(from: timings.peerChosen, to: timings.connected)
        case .upstreamHeaderTime: duration(from: timings.peerChosen, to: timings.upstreamHead)
        case .upstreamResponseTime: duration(from: timings.peerChosen, to: timings.end)
        case .upstreamStatus: number(session.upstreamStatus)
        case .upstreamBytesReceived: number(session.upstreamPeer == nil ? nil : session.upstreamBodyBytesReceived)
        case .attempts: number(session.attemptCount)
        case .isUpstreamReused: flag(timings.connected == 0 ? nil : session.isUpstreamReused)
        default: writeRest(code, of: request)
        }
    }

    private func writeRest(_ code: AccessLogField.Code, of request: borrowing RequestHeader) {
        switch code {
        case .tlsVersion: text(session.tls?.version)
        case .tlsCipher: text(session.tls?.cipher)
        case .tlsServerName: text(session.tls?.serverName)
        case .tlsProtocol: text(session.tls?.applicationProtocol?.rawValue)
        case .tlsIsResumed: flag(session.tls?.isResumed)
        case .ja4: text(session.tls?.clientHello?.ja4)
        case .errorKind: text(session.failure?.kind.name)
        case .errorSource: text(session.failure?.source.rawValue)
        case .errorMessage: text(session.failure?.description)
        case .requestID: write(Self.requestID, of: request)
        case .traceID: text(session.traceContext(of: request).map { "\($0.traceID)" })
        default: absent()
        }
    }

    // MARK: - Values with a form of their own

    private static let requestID: HeaderName = "X-Request-Id"
    private static let basic: (text: StaticString, byteCount: Int) = ("Basic ", 6)

    private func version(of request: borrowing RequestHeader) -> StaticString {
        switch request.version {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2.0"
        }
    }

    private func writeRequestLine(of request: borrowing RequestHeader) {
        guard hasRequest else { return absent() }
        quoted {
            request.withMethodBytes { buffer.append($0, escapedAs: escape, limit: limit) }
            buffer.append(UInt8(ascii: " "))
            request.withTarget { buffer.append($0, escapedAs: escape, limit: limit) }
            buffer.append(UInt8(ascii: " "))
            buffer.append(version(of: request))
        }
    }

    private func writeStatus() {
        if let status = session.responseStatus {
            buffer.append(decimal: UInt64(status), digitCount: 3)
        } else if isJSON {
            absent()
        } else {
            buffer.append("000")
        }
    }

    private func writeHost(of request: borrowing RequestHeader) {
        guard hasRequest else { return absent() }
        switch request.targetForm {
        case .origin, .asterisk: write(.host, of: request)
        case .authority, .absolute: text(request.authority)
        }
    }

    private func writeUser(of request: borrowing RequestHeader) {
        let user = request.headers.withValue(.authorization) { value in
            value.byteCount > Self.basic.byteCount
                && value.extracting(0..<Self.basic.byteCount).equalsIgnoringCase(Self.basic.text)
                ? BasicCredentials.user(value.extracting(Self.basic.byteCount..<value.byteCount).utf8String) : nil
        }
        guard let user = user ?? nil, !user.isEmpty else { return absent() }
        Bytes(user).withSpan { text($0) }
    }

    // MARK: - Values by type

    private func absent() {
        if isJSON { buffer.append("null") } else { buffer.append(UInt8(ascii: "-")) }
    }

    @inline(__always)
    private func quoted(_ body: () -> Void) {
        if isJSON { buffer.append(UInt8(ascii: "\"")) }
        body()
        if isJSON { buffer.append(UInt8(ascii: "\"")) }
    }

    private func text(_ bytes: RawSpan) {
        quoted { buffer.append(bytes, escapedAs: escape, limit: limit) }
    }

    private func text(_ text: String?) {
        guard let text else { return absent() }
        quoted { buffer.append(text, escapedAs: escape, limit: limit) }
    }

    private func number(_ value: (some BinaryInteger)?) {
        guard let value else { return absent() }
        buffer.append(decimal: UInt64(value))
    }

    private func flag(_ value: Bool?) {
        guard let value else { return absent() }
        if isJSON {
            buffer.append(value ? "true" : "false")
        } else {
            buffer.append(UInt8(ascii: value ? "1" : "0"))
        }
    }

    /// Seconds with six decimals.
    private func duration(from start: UInt64, to end: UInt64) {
        guard start != 0, end >= start else { return absent() }
        let microseconds = (end - start) / 1_000
        buffer.append(decimal: microseconds / 1_000_000)
        buffer.append(UInt8(ascii: "."))
        buffer.append(decimal: microseconds % 1_000_000, digitCount: 6)
    }

    private func host(_ address: SocketAddress?) {
        guard let address else { return absent() }
        quoted { address.writeHost(to: buffer) }
    }

    private func address(_ address: SocketAddress?) {
        guard let address else { return absent() }
        quoted { address.write(to: buffer, escapedAs: escape) }
    }
}
