public import HTTPCodecs
public import Tracing

/// Lets a tracer read the fields of a request.
public struct HeaderExtractor: Extractor {
    /// Makes the extractor.
    public init() {}

    /// The field's value; several fields of the name as one, joined by commas (RFC 9110 5.3); nil when there is none.
    public func extract(key: String, from carrier: HeaderMap) -> String? {
        guard let name = HeaderName(key), carrier.contains(name) else { return nil }
        return carrier.values(name).joined(separator: ",")
    }
}

/// Lets a tracer write fields of a request.
public struct HeaderInjector: Injector {
    /// Makes the injector.
    public init() {}

    /// Sets the field; what is no valid field is left out.
    public func inject(_ value: String, forKey key: String, into carrier: inout HeaderMap) {
        guard let name = HeaderName(key) else { return }
        try? carrier.set(name, value)
    }
}
