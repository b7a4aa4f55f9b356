internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs
internal import Tracing

/// The spans of one exchange: one for the client's request, and one for each attempt to have an upstream answer it.
///
/// Names and attributes are those of OpenTelemetry's semantic conventions for HTTP.
final class ExchangeTrace {
    private let tracer: any Tracer
    private let span: any Span
    private var attempt: (any Span)?

    /// Longer texts are cut: they come from the client.
    private static let textLimit = 1_024

    /// Begins the request's span, as a child of the one that the request names.
    init(_ tracer: any Tracer, _ session: Session) {
        self.tracer = tracer
        let request = session.request
        var parent = InstrumentationContext.topLevel
        tracer.extract(request.headers, into: &parent, using: HeaderExtractor())
        span = tracer.startSpan(Self.name(of: request), context: parent, ofKind: .server)
        guard span.isRecording else { return }
        span.updateAttributes { attributes in
            Self.setMethod(of: request, in: &attributes)
            attributes["url.path"] = Self.cut(request.path)
            attributes["url.scheme"] = session.tls == nil ? "http" : "https"
            attributes["network.protocol.version"] = request.version.number
            if let authority = request.authority {
                let (host, port) = Self.split(authority)
                attributes["server.address"] = Self.cut(host)
                if let port { attributes["server.port"] = Int(port) }
            }
            if let client = session.clientAddress {
                attributes["client.address"] = client.host ?? client.description
                if let port = client.port { attributes["client.port"] = Int(port) }
            }
        }
    }

    /// What users' own spans are children of.
    var context: InstrumentationContext { span.context }

    /// Ends the request's span.
    func end(_ session: Session) {
        let status = session.responseStatus
        if span.isRecording {
            span.updateAttributes { attributes in
                if let status { attributes["http.response.status_code"] = status }
                if let type = Self.errorType(session.failure, status: status, failsFrom: 500) {
                    attributes["error.type"] = type
                }
            }
            if let failure = session.failure { span.recordError(failure) }
            // A client that leaves or asks for nonsense is no failure of the server's.
            let isOwnFailure = session.failure.map { $0.source != .downstream } ?? false
            if status ?? 0 >= 500 || (status == nil && isOwnFailure) { span.setStatus(SpanStatus(code: .error)) }
        }
        span.end()
    }

    // MARK: - Attempts

    /// Begins the span of an attempt to have `peer` answer.
    func beginAttempt(_ session: Session, peer: HttpPeer) {
        let request = session.request
        let span = tracer.startSpan(Self.name(of: request), context: span.context, ofKind: .client)
        attempt = span
        guard span.isRecording else { return }
        span.updateAttributes { attributes in
            Self.setMethod(of: request, in: &attributes)
            let scheme = peer.tls == nil ? "http" : "https"
            let host = peer.address.host ?? peer.address.description
            attributes["server.address"] = peer.tls?.serverName ?? host
            if let port = peer.address.port { attributes["server.port"] = Int(port) }
            attributes["network.peer.address"] = host
            attributes["url.scheme"] = scheme
            // Without the query, which may hold secrets.
            let authority = request.authority ?? peer.address.description
            attributes["url.full"] = Self.cut("\(scheme)://\(authority)\(request.path)")
            if session.attemptCount > 1 {
                attributes["http.request.resend_count"] = session.attemptCount - 1
            }
        }
    }

    /// Has a request to an upstream say which span it is made in.
    func inject(into request: inout RequestHeader, upstreamVersion: HTTPVersion) {
        guard let attempt else { return }
        var fields = HeaderMap()
        tracer.inject(attempt.context, into: &fields, using: HeaderInjector())
        // The client's state belongs to the client's parent.
        if fields.contains("traceparent") { request.headers.remove("tracestate") }
        for field in fields {
            if let name = HeaderName(field.name) { try? request.headers.set(name, field.value) }
        }
        if attempt.isRecording {
            attempt.updateAttributes { $0["network.protocol.version"] = upstreamVersion.number }
        }
    }

    /// Ends the span of the attempt that was begun last.
    func endAttempt(_ session: Session, error: PingoraError?) {
        guard let span = attempt.take() else { return }
        if span.isRecording {
            let status = session.upstreamStatus
            span.updateAttributes { attributes in
                if let status { attributes["http.response.status_code"] = status }
                if let type = Self.errorType(error, status: status, failsFrom: 400) {
                    attributes["error.type"] = type
                }
            }
            if let error { span.recordError(error) }
            // To whoever asks, 4xx is a failure too.
            if error != nil || status ?? 0 >= 400 { span.setStatus(SpanStatus(code: .error)) }
        }
        span.end()
    }

    /// The exchange's place in its trace, if the tracer writes W3C's fields.
    var traceContext: W3CTraceContext? {
        var fields = HeaderMap()
        tracer.inject(span.context, into: &fields, using: HeaderInjector())
        return fields["traceparent"].flatMap { W3CTraceContext(traceparent: $0, tracestate: fields["tracestate"]) }
    }

    // MARK: - Names

    private static func name(of request: RequestHeader) -> String {
        request.methodKind == .other ? "HTTP" : request.method.rawValue
    }

    /// Methods that are none of the known ones would be names without number.
    private static func setMethod(of request: RequestHeader, in attributes: inout SpanAttributes) {
        guard request.methodKind == .other else {
            attributes["http.request.method"] = request.method.rawValue
            return
        }
        attributes["http.request.method"] = "_OTHER"
        attributes["http.request.method_original"] = cut(request.method.rawValue)
    }

    private static func errorType(_ error: PingoraError?, status: Int?, failsFrom limit: Int) -> String? {
        if let error { return cut(error.kind.name) }
        guard let status, status >= limit else { return nil }
        return String(status)
    }

    private static func split(_ authority: String) -> (host: String, port: UInt16?) {
        guard let colon = authority.lastIndex(of: ":"), authority[colon...].firstIndex(of: "]") == nil,
            let port = UInt16(authority[authority.index(after: colon)...])
        else { return (authority, nil) }
        return (String(authority[..<colon]), port)
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= textLimit ? text : String(decoding: text.utf8.prefix(textLimit), as: UTF8.self)
    }
}

extension HTTPVersion {
    /// As in `network.protocol.version`.
    fileprivate var number: String {
        switch self {
        case .http10: "1.0"
        case .http11: "1.1"
        case .http2: "2"
        }
    }
}
