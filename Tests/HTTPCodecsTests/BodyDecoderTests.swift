import HTTPCodecs
import Testing

@Suite("A body decoder finds exactly the body")
struct BodyDecoderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let framing: HTTP1.BodyFraming
        let input: String
        let data: String
        let rest: String
        let isComplete: Bool

        init(
            _ name: String,
            _ framing: HTTP1.BodyFraming,
            _ input: String,
            data: String,
            rest: String = "",
            complete: Bool = true
        ) {
            self.name = name
            self.framing = framing
            self.input = input
            self.data = data
            self.rest = rest
            isComplete = complete
        }

        var testDescription: String { name }
    }

    @Test(
        "wherever its bytes are cut",
        arguments: [
            Case("no body", .none, "GET /", data: "", rest: "GET /"),
            Case("length 0", .length(0), "GET /", data: "", rest: "GET /"),
            Case("length 1", .length(1), "a", data: "a"),
            Case("length with the next message behind it", .length(5), "helloGET /", data: "hello", rest: "GET /"),
            Case("length not reached", .length(6), "hello", data: "hello", complete: false),
            Case("a length beyond Int", .length(.max), "hello", data: "hello", complete: false),
            Case("until close", .untilClose, "hello", data: "hello", complete: false),
            Case("tunnel", .tunnel, "\0\u{FF}0\r\n\r\n", data: "\0\u{FF}0\r\n\r\n", complete: false),
            Case("chunked", .chunked, "3\r\nabc\r\n0\r\n\r\nGET /", data: "abc", rest: "GET /"),
        ]
    )
    func findsTheBody(_ test: Case) {
        for pieces in splits(of: bytes(test.input)) {
            let outcome = replay(pieces, framing: test.framing)
            let expected = BodyOutcome(data: test.data, rest: test.rest, isComplete: test.isComplete)
            #expect(outcome == expected, "in pieces of \(pieces.map(\.count))")
        }
    }

    @Test("that it is told of and wants nothing more", arguments: [HTTP1.BodyFraming.none, .length(0)])
    func knowsAnEmptyBodyBeforeAnyByte(_ framing: HTTP1.BodyFraming) throws {
        var decoder = HTTP1.BodyDecoder(framing: framing, limits: HTTP1.Limits())
        #expect(decoder.framing == framing)
        let isComplete = decoder.isComplete
        #expect(isComplete)
        let nothing: [UInt8] = []
        let step = unsafe try decoder.next(nothing.span.bytes)
        #expect(step == .end(consumed: 0))
    }

    @Test("and says so with the last byte of a length")
    func isCompleteWithItsLastByte() throws {
        var decoder = HTTP1.BodyDecoder(framing: .length(2), limits: HTTP1.Limits())
        let input = bytes("abc")
        let step = unsafe try decoder.next(input.span.bytes)
        #expect(step == .data(skip: 0, count: 2))
        let isComplete = decoder.isComplete
        #expect(isComplete)
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        let framing: HTTP1.BodyFraming
        let input: String
        let isPremature: Bool

        var testDescription: String { "\(framing) \(input.debugDescription)" }
    }

    @Test(
        "also when the connection ends",
        arguments: [
            Ending(framing: .none, input: "", isPremature: false),
            Ending(framing: .length(0), input: "", isPremature: false),
            Ending(framing: .length(3), input: "abc", isPremature: false),
            Ending(framing: .length(3), input: "ab", isPremature: true),
            Ending(framing: .length(3), input: "", isPremature: true),
            Ending(framing: .untilClose, input: "", isPremature: false),
            Ending(framing: .untilClose, input: "abc", isPremature: false),
            Ending(framing: .tunnel, input: "abc", isPremature: false),
            Ending(framing: .chunked, input: "", isPremature: true),
            Ending(framing: .chunked, input: "3\r\nabc\r\n", isPremature: true),
            Ending(framing: .chunked, input: "0\r\n", isPremature: true),
            Ending(framing: .chunked, input: "0\r\n\r", isPremature: true),
            Ending(framing: .chunked, input: "0\r\nA: b\r\n", isPremature: true),
            Ending(framing: .chunked, input: "0\r\n\r\n", isPremature: false),
        ]
    )
    func judgesTheEndOfTheConnection(_ test: Ending) {
        var decoder = HTTP1.BodyDecoder(framing: test.framing, limits: HTTP1.Limits())
        var error: HTTP1.ParseError?
        do throws(HTTP1.ParseError) {
            var pending = bytes(test.input)
            reading: while true {
                switch unsafe try decoder.next(pending.span.bytes) {
                case .data(let skip, let count): pending.removeFirst(skip + count)
                case .needMore, .end: break reading
                }
            }
            try decoder.finishAtEOF()
        } catch let caught {
            error = caught
        }
        #expect(error == (test.isPremature ? .prematureEnd : nil))
        let isComplete = decoder.isComplete
        #expect(isComplete != test.isPremature)
    }

    @Test("and takes nothing after the end of the connection", arguments: [HTTP1.BodyFraming.untilClose, .tunnel])
    func endsWithTheConnection(_ framing: HTTP1.BodyFraming) throws {
        var decoder = HTTP1.BodyDecoder(framing: framing, limits: HTTP1.Limits())
        try decoder.finishAtEOF()
        let input = bytes("late")
        let step = unsafe try decoder.next(input.span.bytes)
        #expect(step == .end(consumed: 0))
    }
}
