/// Which trace a request belongs to, as `traceparent` and `tracestate` say it (W3C Trace Context, level 1).
public struct W3CTraceContext: Sendable, Hashable {
    /// 128 bits that all spans of a trace share; never all zero.
    public struct TraceID: Sendable, Hashable, CustomStringConvertible {
        let high: UInt64
        let low: UInt64

        init?(high: UInt64, low: UInt64) {
            guard high | low != 0 else { return nil }
            self.high = high
            self.low = low
        }

        /// 32 lower-case hexadecimal digits.
        public var description: String { high.hexadecimal + low.hexadecimal }
    }

    /// 64 bits that name a span within its trace; never all zero.
    public struct SpanID: Sendable, Hashable, CustomStringConvertible {
        let value: UInt64

        init?(_ value: UInt64) {
            guard value != 0 else { return nil }
            self.value = value
        }

        /// 16 lower-case hexadecimal digits.
        public var description: String { value.hexadecimal }
    }

    /// The trace.
    public let traceID: TraceID
    /// The span that the request was made in: the parent of what its receiver does.
    public private(set) var parentID: SpanID
    /// Whether the caller may have recorded its span.
    public var isSampled: Bool
    /// What tracing systems keep for themselves, in the form of the `tracestate` field; empty for nothing.
    public let state: TraceState

    /// Begins a trace, with identifiers at random.
    public init(isSampled: Bool = false) {
        var random = SystemRandomNumberGenerator()
        self.init(isSampled: isSampled, using: &random)
    }

    init(isSampled: Bool, using random: inout some RandomNumberGenerator) {
        traceID = Self.draw { TraceID(high: random.next(), low: random.next()) }
        parentID = Self.draw { SpanID(random.next()) }
        self.isSampled = isSampled
        state = TraceState()
    }

    /// Reads the fields of a request; nil when `traceparent` is not valid, and then `tracestate` counts for nothing either.
    ///
    /// A `tracestate` that is not valid is left out. Of versions after 00 the part that 00 has is read.
    ///
    /// - Parameters:
    ///   - traceparent: the field's value; several fields, joined by commas, are not valid.
    ///   - tracestate: the field's value, several joined by commas.
    public init?(traceparent: String, tracestate: String? = nil) {
        guard traceparent.utf8.count <= TraceState.byteLimit, let fields = Self.parse(Array(traceparent.utf8).span)
        else { return nil }
        traceID = fields.traceID
        parentID = fields.parentID
        isSampled = fields.flags & 1 == 1
        state = tracestate.flatMap { TraceState($0) } ?? TraceState()
    }

    /// The value for a `traceparent` field, in version 00; of the flags only `sampled`, for no other is known.
    public var traceparent: String {
        "00-\(traceID)-\(parentID)-\(isSampled ? "01" : "00")"
    }

    /// The context for requests that are made on the way: the same trace, in a span of its own.
    public func child() -> W3CTraceContext {
        var random = SystemRandomNumberGenerator()
        var child = self
        child.parentID = Self.draw { SpanID(random.next()) }
        return child
    }

    private static func draw<ID>(_ make: () -> ID?) -> ID {
        while true {
            if let id = make() { return id }
        }
    }

    // MARK: - traceparent

    private struct Fields {
        let traceID: TraceID
        let parentID: SpanID
        let flags: UInt8
    }

    /// `00-` 32 digits `-` 16 digits `-` 2 digits; a later version may go on behind another `-`.
    private static func parse(_ text: Span<UInt8>) -> Fields? {
        let length = 55
        let dash = UInt8(ascii: "-")
        guard text.count >= length, text[2] == dash, text[35] == dash, text[52] == dash else { return nil }
        guard let version = number(text, 0..<2), version != 0xFF else { return nil }
        if version == 0 {
            guard text.count == length else { return nil }
        } else if text.count > length {
            guard text[length] == dash else { return nil }
        }
        guard let high = number(text, 3..<19), let low = number(text, 19..<35), let parent = number(text, 36..<52),
            let flags = number(text, 53..<55), let traceID = TraceID(high: high, low: low),
            let parentID = SpanID(parent)
        else { return nil }
        return Fields(traceID: traceID, parentID: parentID, flags: UInt8(flags))
    }

    /// Lower-case digits only.
    private static func number(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        for index in range {
            switch text[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(text[index] - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(text[index] - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}

extension UInt64 {
    fileprivate var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
