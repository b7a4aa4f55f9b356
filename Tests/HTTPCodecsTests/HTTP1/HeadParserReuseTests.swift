import HTTPCodecs
import Testing

@Suite("A head stays whole whatever its parser does")
struct HeadParserReuseTests {
    private static let good = "GET /first HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\n\r\n"

    private func parsed(_ text: String, into request: inout RequestHeader) throws {
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        _ = try parser.feed(Array(text.utf8), into: &request)
    }

    @Test func failureLeavesTheOldHead() throws {
        var request = RequestHeader()
        try parsed(Self.good, into: &request)
        let bad =
            "GET /second HTTP/1.1\r\nX-Long: \(String(repeating: "a", count: 20_000))\r\nHost: b.example\r\nbad\r\n\r\n"
        #expect(throws: HTTP1.ParseError.malformedFieldName) { try parsed(bad, into: &request) }
        #expect(request.target == "/first")
        #expect(request.headers[.host] == "a.example")
        #expect(request.headers["x-one"] == "1")
    }

    @Test func incompleteHeadLeavesTheOldHead() throws {
        var request = RequestHeader()
        try parsed(Self.good, into: &request)
        try parsed(
            "GET /second HTTP/1.1\r\nX-Long: \(String(repeating: "a", count: 20_000))\r\nHost: b",
            into: &request
        )
        #expect(request.headers[.host] == "a.example")
        #expect(request.headers.map(\.name) == ["Host", "X-One"])
    }

    @Test func anotherHeadMayBeGivenHalfWay() throws {
        let bytes = Array(Self.good.utf8)
        var first = RequestHeader()
        var second = RequestHeader()
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        #expect(try parser.feed(bytes, first: 40, into: &first) == nil)
        #expect(try parser.feed(bytes, into: &second) == bytes.count)
        #expect(second.headers[.host] == "a.example")
        #expect(second.headers["x-one"] == "1")
    }

    @Test func headsCopiedOrChangedHalfWayStayApart() throws {
        let bytes = Array(Self.good.utf8)
        var request = RequestHeader()
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        #expect(try parser.feed(bytes, first: 40, into: &request) == nil)
        let copy = request
        try request.headers.append("X-Between", String(repeating: "b", count: 5_000))
        #expect(try parser.feed(bytes, into: &request) == bytes.count)
        #expect(request.headers.map(\.name) == ["Host", "X-One"])
        #expect(copy.headers.isEmpty)
    }

    @Test func fewerBytesThanBeforeBeginAnew() throws {
        let bytes = Array(Self.good.utf8)
        var request = RequestHeader()
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        #expect(try parser.feed(bytes, first: 45, into: &request) == nil)
        #expect(try parser.feed(bytes, first: 10, into: &request) == nil)
        #expect(try parser.feed(bytes, into: &request) == bytes.count)
        #expect(request.headers.count == 2)
    }

    @Test func parserIsReadyForTheNextHead() throws {
        let bytes = Array(Self.good.utf8)
        var request = RequestHeader()
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        for _ in 0..<3 { #expect(try parser.feed(bytes, into: &request) == bytes.count) }
        #expect(request.headers.count == 2)
    }
}
