import HTTPCodecs
import Testing

@Suite("A request's body has one end that every reader finds")
struct RequestFramingTests {
    struct Accepted: Sendable, CustomTestStringConvertible {
        let fields: [String]
        let framing: HTTP1.BodyFraming
        var testDescription: String { fields.joined(separator: " | ") }

        init(_ framing: HTTP1.BodyFraming, _ fields: String...) {
            self.fields = fields
            self.framing = framing
        }
    }

    @Test(arguments: [
        Accepted(.none),
        Accepted(.none, "Accept: */*"),
        Accepted(.length(0), "Content-Length: 0"),
        Accepted(.length(123), "content-length:123"),
        Accepted(.length(5), "Content-Length: \t 5 \t"),
        Accepted(.length(5), "Content-Length: 0000000000000000000000005"),
        Accepted(.length(9_223_372_036_854_775_807), "Content-Length: 9223372036854775807"),
        Accepted(.chunked, "Transfer-Encoding: chunked"),
        Accepted(.chunked, "TRANSFER-ENCODING:\tChunkED \t"),
        Accepted(.none, "X-Content-Length: 5", "Transfer-Encoding2: chunked"),
    ])
    func accepted(_ row: Accepted) throws {
        let head = try requestHead(["POST / HTTP/1.1", "Host: a"] + row.fields)
        #expect(try HTTP1.requestFraming(head) == row.framing)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let fields: [String]
        let error: HTTP1.ParseError
        var testDescription: String { fields.joined(separator: " | ") }

        init(_ error: HTTP1.ParseError, _ fields: String...) {
            self.fields = fields
            self.error = error
        }
    }

    static let smuggling = [
        // CL.TE and TE.CL, in both orders.
        Refused(.transferEncodingAndContentLength, "Content-Length: 6", "Transfer-Encoding: chunked"),
        Refused(.transferEncodingAndContentLength, "Transfer-Encoding: chunked", "Content-Length: 6"),
        Refused(.transferEncodingAndContentLength, "Transfer-Encoding: x", "Content-Length: 0"),
        Refused(.transferEncodingAndContentLength, "Transfer-Encoding:", "Content-Length: 0"),
        // CL.CL, even when they agree.
        Refused(.repeatedContentLength, "Content-Length: 5", "Content-Length: 6"),
        Refused(.repeatedContentLength, "Content-Length: 5", "Content-Length: 5"),
        Refused(.repeatedContentLength, "Content-Length: 5", "Content-Length:"),
        Refused(.repeatedContentLength, "Content-Length: 5, 5"),
        Refused(.repeatedContentLength, "Content-Length: 5,"),
        // TE.TE: codings that one reader overlooks.
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked, chunked"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked, gzip"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked", "Transfer-Encoding: x"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: identity"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: identity, chunked"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked, identity"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: , chunked"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: chunked,"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding: , , , chunked"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding:"),
        Refused(.invalidTransferEncoding, "Transfer-Encoding:", "Transfer-Encoding: chunked"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: gzip, chunked"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: gzip"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: xchunked"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: chunkedx"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: chunked;q=1"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: \"chunked\""),
        Refused(.unknownTransferCoding, "Transfer-Encoding: chunked chunked"),
        Refused(.unknownTransferCoding, "Transfer-Encoding: chun\u{212A}ed"),
        // Numbers that are read in different ways.
        Refused(.invalidContentLength, "Content-Length:"),
        Refused(.invalidContentLength, "Content-Length: +5"),
        Refused(.invalidContentLength, "Content-Length: -1"),
        Refused(.invalidContentLength, "Content-Length: -0"),
        Refused(.invalidContentLength, "Content-Length: 0x5"),
        Refused(.invalidContentLength, "Content-Length: 1.5"),
        Refused(.invalidContentLength, "Content-Length: 1e3"),
        Refused(.invalidContentLength, "Content-Length: 1_000"),
        Refused(.invalidContentLength, "Content-Length: 5 5"),
        Refused(.invalidContentLength, "Content-Length: abc"),
        Refused(.invalidContentLength, "Content-Length: 123abc"),
        Refused(.invalidContentLength, "Content-Length: \u{0665}"),
        Refused(.invalidContentLength, "Content-Length: 9223372036854775808"),
        Refused(.invalidContentLength, "Content-Length: 18446744073709551616"),
        Refused(.invalidContentLength, "Content-Length: 18446744073709551621"),
        Refused(.invalidContentLength, "Content-Length: 100000000000000000000000000000000005"),
    ]

    @Test(arguments: smuggling)
    func refused(_ row: Refused) throws {
        let head = try requestHead(["POST / HTTP/1.1", "Host: a"] + row.fields)
        #expect(throws: row.error) { try HTTP1.requestFraming(head) }
    }

    /// What cannot be told apart in a request cannot be in a response either.
    @Test(arguments: smuggling)
    func refusedInResponse(_ row: Refused) throws {
        let head = try responseHead(["HTTP/1.1 200 OK"] + row.fields)
        #expect(throws: row.error) {
            try HTTP1.responseFraming(head, requestMethod: .get, requestAsksForUpgrade: false)
        }
    }

    @Test("HTTP/1.0 has no transfer codings", arguments: ["chunked", "gzip", "identity", ""])
    func version10(coding: String) throws {
        let head = try requestHead(["POST / HTTP/1.0", "Transfer-Encoding: \(coding)"])
        #expect(throws: HTTP1.ParseError.transferEncodingOnHTTP10) { try HTTP1.requestFraming(head) }
    }

    @Test("HTTP/1.0 requests end at their length and never with the connection")
    func version10Lengths() throws {
        #expect(try HTTP1.requestFraming(try requestHead(["POST / HTTP/1.0"])) == .none)
        #expect(try HTTP1.requestFraming(try requestHead(["POST / HTTP/1.0", "Content-Length: 3"])) == .length(3))
    }

    @Test(
        "fields that hide from one of two readers never get past the head parser",
        arguments: [
            "Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer-Encoding: \u{B}chunked",
            "Transfer-Encoding: chunked\r", "Transfer-Encoding\u{0}: chunked", "Transfer-Encoding: chunked\u{0}",
            "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
            "Content-Length\t: 5", "Content-Length 5", "Content-Length: 5\r\n 6",
        ]
    )
    func hidden(field: String) {
        #expect(throws: HTTP1.ParseError.self) { try requestHead(["POST / HTTP/1.1", "Host: a", field]) }
    }

    @Test("a field that was removed or replaced does not count")
    func changed() throws {
        var head = try requestHead(["POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"])
        head.headers.remove(.contentLength)
        #expect(try HTTP1.requestFraming(head) == .chunked)
        head.headers.remove(.transferEncoding)
        #expect(try HTTP1.requestFraming(head) == .none)
        head.headers.set(.contentLength, integer: 7)
        #expect(try HTTP1.requestFraming(head) == .length(7))
    }
}
