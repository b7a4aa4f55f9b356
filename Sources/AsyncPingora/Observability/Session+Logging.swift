internal import HTTPCodecs
public import Logging

// What the log lines of a request have in common.

extension Session {
    /// Longer texts are cut: they come from the client.
    private static var textLimit: Int { 256 }

    /// For log lines about this exchange: they carry ``logMetadata``.
    ///
    /// Made when it is asked for.
    public var logger: Logger {
        var logger = downstream.shared.logger
        for (key, value) in logMetadata { logger[metadataKey: key] = value }
        return logger
    }

    /// What log lines about this exchange carry, the framework's included: `client`, `method`, `host`, `path`, and `trace_id` if the
    /// request belongs to a trace.
    ///
    /// Control bytes are escaped and long texts cut. Add what identifies a request to you; made when it is first asked for.
    public var logMetadata: Logger.Metadata {
        get {
            if let ownLogMetadata { return ownLogMetadata }
            let made = makeLogMetadata()
            ownLogMetadata = made
            return made
        }
        set { ownLogMetadata = newValue }
    }

    /// The exchange's place in its trace: of its span if the service is traced, else what the client's fields say; nil when there is none.
    public var traceContext: W3CTraceContext? { traceContext(of: request) }

    /// The same, for those to whom the head is lent.
    func traceContext(of request: borrowing RequestHeader) -> W3CTraceContext? {
        if let trace { return trace.traceContext }
        let carriers = HeaderExtractor()
        guard let traceparent = carriers.extract(key: "traceparent", from: request.headers) else { return nil }
        return W3CTraceContext(
            traceparent: traceparent,
            tracestate: carriers.extract(key: "tracestate", from: request.headers)
        )
    }

    private func makeLogMetadata() -> Logger.Metadata {
        var metadata: Logger.Metadata = ["method": .string(Self.clean(request.method.rawValue))]
        if let clientAddress { metadata["client"] = .string("\(clientAddress)") }
        if let host = request.authority { metadata["host"] = .string(Self.clean(host)) }
        metadata["path"] = .string(Self.clean(request.path))
        if let traceContext { metadata["trace_id"] = .string("\(traceContext.traceID)") }
        return metadata
    }

    private static func clean(_ text: String) -> String {
        let cut = text.utf8.count <= textLimit ? text : String(decoding: text.utf8.prefix(textLimit), as: UTF8.self)
        return cut.escapingControls
    }
}
