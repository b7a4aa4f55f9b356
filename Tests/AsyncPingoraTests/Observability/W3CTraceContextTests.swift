import AsyncPingora
import HTTPCodecs
import Testing
import Tracing

@Suite("Trace fields of W3C are read by the rules and written in version 00")
struct W3CTraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"
    private static let valid = "00-\(trace)-\(span)-01"

    @Test(arguments: [
        (valid, true),
        ("00-\(trace)-\(span)-00", false),
        // Flags that nobody knows.
        ("00-\(trace)-\(span)-03", true),
        ("00-\(trace)-\(span)-fe", false),
        // Later versions: what they add is left out.
        ("01-\(trace)-\(span)-01", true),
        ("cc-\(trace)-\(span)-01-what-the-future-brings", true),
        ("cc-\(trace)-\(span)-01-", true),
    ])
    func accepted(traceparent: String, isSampled: Bool) throws {
        let context = try #require(W3CTraceContext(traceparent: traceparent))
        #expect("\(context.traceID)" == Self.trace)
        #expect("\(context.parentID)" == Self.span)
        #expect(context.isSampled == isSampled)
        #expect(context.traceparent == "00-\(Self.trace)-\(Self.span)-\(isSampled ? "01" : "00")")
        #expect(context.state.isEmpty)
    }

    @Test(arguments: [
        "", "00", "00-", valid + "-", valid + "x", valid + "-00", " " + valid, valid + " ", String(valid.dropLast()),
        "ff-\(trace)-\(span)-01",
        "0-\(trace)-\(span)-01", "000-\(trace)-\(span)-01", ".0-\(trace)-\(span)-01", "0x-\(trace)-\(span)-01",
        "00-\(String(repeating: "0", count: 32))-\(span)-01",
        "00-\(trace)-\(String(repeating: "0", count: 16))-01",
        "00-\(trace.uppercased())-\(span)-01", "00-\(trace)-\(span.uppercased())-01", "0A-\(trace)-\(span)-01",
        "00-\(trace)-\(span)-0A",
        "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01", "00-\(trace)-\(span)_01",
        "00-\(trace.dropLast())-\(span)-01", "00-\(trace)0-\(span)-01", "00-\(trace)-\(span)0-01",
        "00-\(trace.dropLast())g-\(span)-01", "00-\(trace)-\(span)-0g", "00-\(trace)-\(span)-1",
        "cc-\(trace)-\(span)-01.what", "cc-\(trace)-\(span)-011",
        "cc-\(trace)-\(span)-01-" + String(repeating: "x", count: 1_000),
        // Two fields, as they are joined.
        "\(valid),\(valid)", "\(valid), \(valid)",
        "00-\(trace)-\(span)-0é",
    ])
    func refused(traceparent: String) {
        #expect(W3CTraceContext(traceparent: traceparent, tracestate: "a=1") == nil)
    }

    @Test(arguments: [
        ("", ""), ("a=1", "a=1"), ("a=1,b=2", "a=1,b=2"), (" a=1 ,\tb=2\t", "a=1,b=2"), ("a=1,,b=2,", "a=1,b=2"),
        (",", ""), ("t@v=1", "t@v=1"), ("0t_*/-@vendor=x", "0t_*/-@vendor=x"), ("a= leading", "a= leading"),
        ("a=1,t@a=2", "a=1,t@a=2"), ("a=~!#$%&'()*+-./:;<>?@[]^_`{|}", "a=~!#$%&'()*+-./:;<>?@[]^_`{|}"),
        ("\(String(repeating: "k", count: 200))=v", "\(String(repeating: "k", count: 200))=v"),
    ])
    func acceptedState(value: String, description: String) {
        #expect(TraceState(value)?.description == description)
    }

    @Test(arguments: [
        "a", "=1", "a=", "A=1", "a=b=c", "a=1,a=2", "1a=1", "a b=1", "a =1", "@a=1", "a@=1", "a@1b=1", "a@b@c=1",
        "a=é", "a=\u{7}", "a=1;b\u{0}", "é=1",
        "\(String(repeating: "k", count: 257))=v", "k=\(String(repeating: "v", count: 257))",
        "\(String(repeating: "t", count: 242))@v=1", "t@\(String(repeating: "v", count: 15))=1",
        (0..<33).map { "k\($0)=1" }.joined(separator: ","),
        String(repeating: ",", count: 20_000),
    ])
    func refusedState(value: String) {
        #expect(TraceState(value) == nil)
        // The trace itself goes on.
        #expect(W3CTraceContext(traceparent: Self.valid, tracestate: value)?.state == TraceState())
    }

    @Test("Of a long state, large entries go first, then the last ones")
    func longState() throws {
        let large = "l=" + String(repeating: "x", count: 200)
        let small = (0..<30).map { "k\($0)=" + String(repeating: "y", count: 16) }
        let state = try #require(TraceState(([large] + small).joined(separator: ",")))
        #expect(state.description.utf8.count <= 512)
        #expect(state.description.hasPrefix("k0=y"))
        #expect(state.description.split(separator: ",").map(String.init) == Array(small.prefix(24)))
        let alone = try #require(TraceState(large + ",a=1"))
        #expect(alone.description == large + ",a=1")
    }

    @Test("A child stays in its trace and has a span of its own")
    func child() throws {
        let context = try #require(W3CTraceContext(traceparent: Self.valid, tracestate: "a=1"))
        let child = context.child()
        #expect(child.traceID == context.traceID && child.parentID != context.parentID)
        #expect(child.isSampled && child.state == context.state)
        #expect(W3CTraceContext(traceparent: child.traceparent, tracestate: child.state.description) == child)
    }

    @Test("A new trace is valid and like no other")
    func new() {
        let contexts = (0..<100).map { _ in W3CTraceContext() }
        #expect(Set(contexts.map(\.traceID)).count == 100)
        #expect(contexts.allSatisfy { W3CTraceContext(traceparent: $0.traceparent) == $0 })
    }

    @Test("Fields are carried as the rules for lists and duplicates want it")
    func carriers() throws {
        var headers = HeaderMap()
        try headers.append("Traceparent", Self.valid)
        try headers.append("tracestate", "a=1")
        try headers.append("Tracestate", "b=2,c=3")
        let extractor = HeaderExtractor()
        #expect(extractor.extract(key: "traceparent", from: headers) == Self.valid)
        #expect(extractor.extract(key: "tracestate", from: headers) == "a=1,b=2,c=3")
        #expect(extractor.extract(key: "absent", from: headers) == nil)
        #expect(extractor.extract(key: "no name", from: headers) == nil)
        var context = InstrumentationContext.topLevel
        W3CPropagation().extract(headers, into: &context, using: extractor)
        #expect(context.w3cTraceContext?.state.description == "a=1,b=2,c=3")
        try headers.append("traceparent", Self.valid)
        context = .topLevel
        W3CPropagation().extract(headers, into: &context, using: extractor)
        #expect(context.w3cTraceContext == nil)
        var injected = HeaderMap()
        HeaderInjector().inject("x\r\ny", forKey: "a", into: &injected)
        HeaderInjector().inject("x", forKey: "a b", into: &injected)
        #expect(injected.isEmpty)
    }
}
