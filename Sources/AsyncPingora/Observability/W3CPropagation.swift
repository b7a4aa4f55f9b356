public import Tracing

/// A tracer that records nothing and still passes traces on: spans get identifiers, and requests carry them in `traceparent` and
/// `tracestate`.
///
/// Give it to a service as its `tracer` where no tracing system runs, so that those in front of the proxy and behind it see one
/// trace, and log lines can name it. Without any tracer a proxy passes both fields on as they came.
public struct W3CPropagation: Tracer {
    /// Makes the tracer.
    public init() {}

    /// Begins a span: one of the trace that the context belongs to, else of a new trace, which is not sampled.
    public func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> InstrumentationContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> NoOpTracer.NoOpSpan {
        var context = context()
        context.w3cTraceContext = context.w3cTraceContext?.child() ?? W3CTraceContext()
        return NoOpTracer.NoOpSpan(context: context)
    }

    /// Has nothing to flush.
    public func forceFlush() {}

    /// Reads `traceparent` and `tracestate`.
    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout InstrumentationContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let traceparent = extractor.extract(key: "traceparent", from: carrier) else { return }
        context.w3cTraceContext = W3CTraceContext(
            traceparent: traceparent,
            tracestate: extractor.extract(key: "tracestate", from: carrier)
        )
    }

    /// Writes `traceparent` and, if there is any, `tracestate`.
    public func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.w3cTraceContext else { return }
        injector.inject(trace.traceparent, forKey: "traceparent", into: &carrier)
        if !trace.state.isEmpty { injector.inject(trace.state.description, forKey: "tracestate", into: &carrier) }
    }
}

extension InstrumentationContext {
    /// The trace and span of ``W3CPropagation``; nil when there is none.
    public var w3cTraceContext: W3CTraceContext? {
        get { self[W3CTraceContextKey.self] }
        set { self[W3CTraceContextKey.self] = newValue }
    }
}

private enum W3CTraceContextKey: InstrumentationContextKey {
    typealias Value = W3CTraceContext
}
