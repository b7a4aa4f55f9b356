import HTTPCodecs
import Testing

@Suite("A chunked decoder takes what the grammar allows, and nothing else")
struct ChunkedDecoderTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let input: String
        let data: String
        let trailers: [String]

        init(_ input: String, _ data: String, trailers: [String] = []) {
            self.input = input
            self.data = data
            self.trailers = trailers
        }

        var testDescription: String { input.debugDescription }
    }

    @Test(
        "chunks",
        arguments: [
            Good("0\r\n\r\n", ""),
            Good("0000000000000000\r\n\r\n", ""),
            Good("1\r\na\r\n0\r\n\r\n", "a"),
            Good("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
            Good("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            Good("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            Good("0000000000000002\r\nab\r\n00\r\n\r\n", "ab"),
            Good("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
            Good("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
            Good("2\r\n\0\u{FF}\r\n0\r\n\r\n", "\0\u{FF}"),
        ]
    )
    func takesChunks(_ test: Good) {
        expect(test)
    }

    @Test(
        "extensions, which are dropped",
        arguments: [
            Good("1;a\r\nx\r\n0\r\n\r\n", "x"),
            Good("1;a=b;c=\"d;e\\\"\u{E9}\"\r\nx\r\n0\r\n\r\n", "x"),
            Good("1 ;a=b\r\nx\r\n0 \t; last\r\n\r\n", "x"),
            Good("1;a\t=\tb\r\nx\r\n0;x=0\r\n\r\n", "x"),
        ]
    )
    func takesExtensions(_ test: Good) {
        expect(test)
    }

    @Test(
        "trailers, but for those that come too late",
        arguments: [
            Good("0\r\nX-Sum: 1\r\n\r\n", "", trailers: ["X-Sum: 1"]),
            Good(
                "1\r\na\r\n0\r\ngrpc-status: 0\r\ngrpc-message:\r\n\r\n",
                "a",
                trailers: ["grpc-status: 0", "grpc-message: "]
            ),
            Good("0\r\nA:  b\t \r\nA: c\r\n\r\n", "", trailers: ["A: b", "A: c"]),
            Good("0\r\ncontent-length: 5\r\n\r\n", ""),
            Good(
                "0\r\nTransfer-Encoding: chunked\r\nServer-Timing: a\r\nHOST: b\r\n\r\n",
                "",
                trailers: ["Server-Timing: a"]
            ),
            Good("0\r\nAuthorization: x\r\nCookie: a=b\r\nSet-Cookie: a=b\r\nContent-Type: text/html\r\n\r\n", ""),
            Good(
                "0\r\nContent-Foo: x\r\nX-Forwarded-For: y\r\nConnection: close\r\nTrailer: z\r\nUpgrade: h2c\r\n\r\n",
                ""
            ),
            Good(
                "0\r\nContent-Digest: sha-256=:x:\r\nETag: \"a\"\r\n\r\n",
                "",
                trailers: ["Content-Digest: sha-256=:x:", "ETag: \"a\""]
            ),
        ]
    )
    func takesTrailers(_ test: Good) {
        expect(test)
    }

    private func expect(_ test: Good) {
        let next = "GET / HTTP/1.1\r\n"
        for pieces in splits(of: bytes(test.input + next)) {
            let outcome = replay(pieces, framing: .chunked)
            let expected = BodyOutcome(data: test.data, trailers: test.trailers, rest: next, isComplete: true)
            #expect(outcome == expected, "in pieces of \(pieces.map(\.count))")
        }
    }

    @Test(
        "and waits at every byte before the end",
        arguments: ["5\r\nhello\r\n0\r\n\r\n", "1;a=b\r\nx\r\n0\r\nA: b\r\n\r\n"]
    )
    func waitsForTheEnd(_ input: String) {
        for length in 0..<input.utf8.count {
            let outcome = replay([bytes(input)[..<length]], framing: .chunked)
            #expect(!outcome.isComplete && outcome.error == nil, "after \(length) bytes: \(outcome)")
        }
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let input: String
        let error: HTTP1.ParseError
        let data: String

        init(_ input: String, _ error: HTTP1.ParseError, data: String = "") {
            self.input = input
            self.error = error
            self.data = data
        }

        var testDescription: String { input.debugDescription }
    }

    @Test(
        "so sizes are refused",
        arguments: [
            Bad("\r\n", .invalidChunkSize), Bad(" 1\r\n", .invalidChunkSize), Bad("\t1\r\n", .invalidChunkSize),
            Bad("+1\r\n", .invalidChunkSize), Bad("-1\r\n", .invalidChunkSize), Bad("0x1\r\n", .invalidChunkSize),
            Bad("0X1\r\n", .invalidChunkSize), Bad("g\r\n", .invalidChunkSize), Bad("1g\r\n", .invalidChunkSize),
            Bad("1_0\r\n", .invalidChunkSize), Bad("1,1\r\n", .invalidChunkSize), Bad("1 1\r\n", .invalidChunkSize),
            Bad(";a=b\r\n", .invalidChunkSize), Bad("\"1\"\r\n", .invalidChunkSize), Bad("1 \r\n", .invalidChunkSize),
            Bad("1\t\r\n", .invalidChunkSize), Bad("1\0\r\n", .invalidChunkSize), Bad("\u{B2}\r\n", .invalidChunkSize),
            Bad("00000000000000001\r\n", .invalidChunkSize), Bad("8000000000000000\r\n", .invalidChunkSize),
            Bad("ffffffffffffffff\r\n", .invalidChunkSize), Bad("10000000000000000\r\n", .invalidChunkSize),
            Bad("10000000000000005\r\nhello", .invalidChunkSize), Bad("1\r\na\r\n\r\n", .invalidChunkSize, data: "a"),
        ]
    )
    func refusesSizes(_ test: Bad) {
        expect(test)
    }

    @Test(
        "so lines are refused",
        arguments: [
            Bad("1\n", .bareLineFeed), Bad("1;a\n", .bareLineFeed), Bad("1 \n", .bareLineFeed),
            Bad("\n", .bareLineFeed),
            Bad("1\ra", .bareCarriageReturn), Bad("1;a\rb\r\n", .bareCarriageReturn),
            Bad("1\r\r\n", .bareCarriageReturn),
            Bad("1;a\0\r\n", .forbiddenByte), Bad("1;a\u{7F}\r\n", .forbiddenByte),
            Bad("1;a=\"\u{1B}\"\r\n", .forbiddenByte),
            Bad("1\r\na\n0\r\n\r\n", .invalidChunkTerminator, data: "a"),
            Bad("1\r\nab\r\n", .invalidChunkTerminator, data: "a"),
            Bad("1\r\na0\r\n\r\n", .invalidChunkTerminator, data: "a"),
            Bad("1\r\na\r0\r\n", .invalidChunkTerminator, data: "a"),
            Bad("1\r\na\r\r\n", .invalidChunkTerminator, data: "a"),
        ]
    )
    func refusesLines(_ test: Bad) {
        expect(test)
    }

    @Test(
        "so trailers are refused",
        arguments: [
            Bad("0\r\n\n", .invalidTrailer), Bad("0\r\n\r\r", .invalidTrailer), Bad("0\r\n\ra", .invalidTrailer),
            Bad("0\r\nA: b\n", .invalidTrailer), Bad("0\r\nA: b\n\r\n", .invalidTrailer),
            Bad("0\r\nA: b\r\n\n", .invalidTrailer),
            Bad("0\r\nA: b\r\n\rX", .invalidTrailer), Bad("0\r\nA: b\rC: d\r\n\r\n", .invalidTrailer),
            Bad("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTrailer), Bad("0\r\nA : b\r\n\r\n", .invalidTrailer),
            Bad("0\r\n: b\r\n\r\n", .invalidTrailer), Bad("0\r\nA: b\r\n c\r\n\r\n", .invalidTrailer),
            Bad("0\r\n A: b\r\n\r\n", .invalidTrailer), Bad("0\r\nA: \0\r\n\r\n", .invalidTrailer),
        ]
    )
    func refusesTrailers(_ test: Bad) {
        expect(test)
    }

    private func expect(_ test: Bad, limits: HTTP1.Limits = HTTP1.Limits()) {
        for pieces in splits(of: bytes(test.input)) {
            let outcome = replay(pieces, framing: .chunked, limits: limits)
            #expect(outcome == BodyOutcome(data: test.data, error: test.error), "in pieces of \(pieces.map(\.count))")
        }
    }

    @Test("and stays with its refusal")
    func repeatsItsError() {
        var decoder = HTTP1.ChunkedDecoder(limits: HTTP1.Limits())
        for input in ["x", "0\r\n\r\n", ""].map(bytes) {
            var error: HTTP1.ParseError?
            do throws(HTTP1.ParseError) {
                _ = unsafe try decoder.next(input.span.bytes)
            } catch let caught {
                error = caught
            }
            #expect(error == .invalidChunkSize)
        }
    }

    @Test("and reads the largest size there is")
    func readsTheLargestSize() throws {
        var decoder = HTTP1.ChunkedDecoder(limits: HTTP1.Limits())
        let input = bytes("7fffffffffffffff\r\nab")
        let step = unsafe try decoder.next(input.span.bytes)
        #expect(step == .data(skip: 18, count: 2))
    }

    @Test("and stays at the end")
    func staysAtTheEnd() throws {
        var decoder = HTTP1.ChunkedDecoder(limits: HTTP1.Limits())
        let input = bytes("0\r\n\r\n0\r\n\r\n")
        let first = unsafe try decoder.next(input.span.bytes)
        #expect(first == .end(consumed: 5))
        let second = unsafe try decoder.next(input.span.bytes)
        #expect(second == .end(consumed: 0))
    }
}

@Suite("What a chunked body says beside its data is bounded")
struct ChunkedDecoderLimitTests {
    private static func limits(line: Int = 10, trailer: Int = 20, count: Int = 2) -> HTTP1.Limits {
        var limits = HTTP1.Limits()
        limits.maximumChunkLineBytes = line
        limits.maximumTrailerBytes = trailer
        limits.maximumTrailerCount = count
        return limits
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let error: HTTP1.ParseError?

        var testDescription: String { input.debugDescription }
    }

    @Test(
        "to the byte and the field",
        arguments: [
            Case(input: "0;23456789\r\n\r\n", error: nil),
            Case(input: "0;234567890\r\n\r\n", error: .chunkLineTooLong),
            Case(input: "0;2345678901234567890", error: .chunkLineTooLong),
            // 18 bytes of trailers and their CR LF.
            Case(input: "0\r\nA: 456789012345678\r\n\r\n", error: nil),
            Case(input: "0\r\nA: 4567890123456789\r\n\r\n", error: .trailersTooLarge),
            Case(input: "0\r\nA: 45678901234567890123456789", error: .trailersTooLarge),
            Case(input: "0\r\nA: b\r\nC: d\r\n\r\n", error: nil),
            Case(input: "0\r\nA: b\r\nC: d\r\nE:\r\n\r\n", error: .trailersTooLarge),
        ]
    )
    func limitsAreExact(_ test: Case) {
        for pieces in splits(of: bytes(test.input)) {
            let outcome = replay(pieces, framing: .chunked, limits: Self.limits())
            #expect(outcome.error == test.error, "in pieces of \(pieces.map(\.count))")
            #expect(outcome.isComplete == (test.error == nil))
        }
    }

    @Test("so long extensions on tiny chunks are refused in sum")
    func longExtensionsAddUp() {
        let chunk = "1;" + String(repeating: "x", count: 100) + "\r\na\r\n"
        let limits = Self.limits(line: 200)
        let few = replay(
            [bytes(String(repeating: chunk, count: 3) + "0\r\n\r\n")[...]],
            framing: .chunked,
            limits: limits
        )
        #expect(few.error == nil && few.data == "aaa")
        let many = replay([bytes(String(repeating: chunk, count: 20))[...]], framing: .chunked, limits: limits)
        #expect(many.error == .chunkLineTooLong)
    }

    @Test("but chunks that are worth their extensions are taken without end")
    func paidExtensionsAreTaken() {
        let data = String(repeating: "d", count: 0x40)
        let signed = "40;chunk-signature=" + String(repeating: "0", count: 64) + "\r\n" + data + "\r\n"
        let tiny = String(repeating: "1\r\na\r\n", count: 500)
        let input = bytes(String(repeating: signed, count: 200) + tiny + "0\r\n\r\n")
        let outcome = replay([input[...]], framing: .chunked, limits: Self.limits(line: 100))
        #expect(outcome.error == nil && outcome.isComplete)
        #expect(outcome.data.utf8.count == 200 * 0x40 + 500)
    }
}
