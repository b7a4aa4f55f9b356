import HTTPCodecs
import Testing

/// Bytes of a literal in which `\u{80}` to `\u{FF}` stand for themselves.
private func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

@Suite("Heads are parsed alike however they are cut")
struct HeadParserTests {
    typealias Defect = HTTP1.ParseError

    /// Heads that are right: the text and how many bytes of it are the head; nil for all.
    static let goodRequests: [(text: String, fields: [String])] = [
        ("GET / HTTP/1.1\r\n\r\n", []),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", ["Host=a"]),
        ("\r\nGET /x?y=z HTTP/1.1\r\nHost: a\r\n\r\n", ["Host=a"]),
        (
            "OPTIONS * HTTP/1.1\r\nhOST:a\r\nEmpty:\r\nSpace: \r\nTabs:\t a b \t\r\n\r\n",
            ["hOST=a", "Empty=", "Space=", "Tabs=a b"]
        ),
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", ["Host=a.example:443"]),
        ("M-SEARCH http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nX: 3\r\n\r\n", ["Host=a", "X=1", "x=2", "X=3"]),
        ("GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: :;{}\r\n\r\n", ["!#$%&'*+-.^_`|~09azAZ=:;{}"]),
        (
            "GET / HTTP/1.1\r\nAccess-Control-Allow-Credentials-And-Then-Some: yes\r\n\r\n",
            ["Access-Control-Allow-Credentials-And-Then-Some=yes"]
        ),
        (
            "GET /\(String(repeating: "p", count: 99)) HTTP/1.1\r\nA: \(String(repeating: "v", count: 131))\r\n\r\n",
            ["A=\(String(repeating: "v", count: 131))"]
        ),
    ]

    @Test(arguments: goodRequests)
    func requestIsParsed(_ text: String, _ fields: [String]) throws {
        let bytes = Array(text.utf8)
        guard case .request(let consumed, let method, let target, _, let got, let wire) = HeadOutcome.ofRequest(bytes)
        else {
            Issue.record("not parsed: \(HeadOutcome.ofRequest(bytes))")
            return
        }
        #expect(consumed == bytes.count)
        #expect(text.contains("\(method) \(target) HTTP/"))
        #expect(got.map { "\($0.name)=\($0.value)" } == fields)
        let lines = fields.map { $0.replacing("=", with: ": ", maxReplacements: 1) + "\r\n" }
        #expect(wire == "\(method) \(target) HTTP/1.1\r\n" + lines.joined() + "\r\n")
        // What follows is not looked at.
        let outcome = HeadOutcome.ofRequest(bytes + Array("\0\n body".utf8))
        #expect(outcome == HeadOutcome.ofRequest(bytes))
    }

    static let badRequests: [(text: String, defect: Defect)] = [
        ("GET /\r\n\r\n", .malformedRequestLine), ("GET\r\n\r\n", .malformedRequestLine),
        (" GET / HTTP/1.1\r\n\r\n", .malformedRequestLine), ("GET  / HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("GET /  HTTP/1.1\r\n\r\n", .malformedRequestLine), ("GET / HTTP/1.1 \r\n\r\n", .malformedRequestLine),
        ("GET\t/ HTTP/1.1\r\n\r\n", .malformedRequestLine), ("GET / http/1.1\r\n\r\n", .malformedRequestLine),
        ("GET / HTTP/1.\r\n\r\n\r\n", .malformedRequestLine), ("GET / HTTP/11\r\n\r\n\r\n", .malformedRequestLine),
        ("G(T / HTTP/1.1\r\n\r\n", .malformedRequestLine), ("GET /\u{80} HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("GET /\u{7F} HTTP/1.1\r\n\r\n", .malformedRequestLine), ("GET /\u{0} HTTP/1.1\r\n\r\n", .malformedRequestLine),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", .malformedRequestLine), ("\nGET / HTTP/1.1\r\n\r\n", .bareLineFeed),
        ("\rGET / HTTP/1.1\r\n\r\n", .bareCarriageReturn),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion), ("GET / HTTP/3.0\r\n\r\n", .unsupportedVersion),
        ("GET / HTTP/0.9\r\n\r\n", .unsupportedVersion), ("GET / HTTP/1.2\r\n\r\n", .unsupportedVersion),
        ("GET / HTTP/1.1\n\r\n", .bareLineFeed), ("GET / HTTP/1.1\rX\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA: b\n\r\n", .bareLineFeed), ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA: b\r\n\n", .bareLineFeed), ("GET / HTTP/1.1\r\nA: b\r\n\rX\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA\rB: b\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", .whitespaceBeforeColon),
        ("GET / HTTP/1.1\r\nA\t: b\r\n\r\n", .whitespaceBeforeColon),
        ("GET / HTTP/1.1\r\nA B: b\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nnocolon\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nA\u{E9}: b\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nA\u{0}: b\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nA(: b\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", .obsoleteLineFolding),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", .obsoleteLineFolding),
        ("GET / HTTP/1.1\r\nA: b\u{0}c\r\n\r\n", .forbiddenByte),
        ("GET / HTTP/1.1\r\nA: b\u{1B}\r\n\r\n", .forbiddenByte),
        ("GET / HTTP/1.1\r\nA: \u{7F}\r\n\r\n", .forbiddenByte),
        ("GET / HTTP/1.1\r\nA: \(String(repeating: "v", count: 70))\u{0}\r\n\r\n", .forbiddenByte),
    ]

    @Test(arguments: badRequests)
    func requestIsRefused(_ text: String, _ defect: Defect) {
        #expect(HeadOutcome.ofRequest(latin1(text)) == .failure(defect))
    }

    static let responses: [(text: String, outcome: String)] = [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "200 OK"), ("HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found"),
        ("HTTP/1.1 200 \r\n\r\n", "200"), ("HTTP/1.1 200\r\n\r\n", "200"),
        ("HTTP/1.1 999 a  b\t\r\n\r\n", "999 a  b\\u{9}"),
        ("HTTP/1.1 099 X\r\n\r\n", "malformed status line"), ("HTTP/1.1 20 X\r\n\r\n", "malformed status line"),
        ("HTTP/1.1 2000 X\r\n\r\n", "malformed status line"), ("HTTP/1.1  200 X\r\n\r\n", "malformed status line"),
        ("HTTP/2.0 200 X\r\n\r\n", "unsupported version"), ("\r\nHTTP/1.1 200 X\r\n\r\n", "malformed status line"),
        ("ICY 200 OK\r\n\r\n", "malformed status line"), ("HTTP/1.1 200 a\u{0}b\r\n\r\n", "forbidden byte"),
        ("HTTP/1.1 200 OK\n\r\n", "bare line feed"), ("HTTP/1.1 200\n\r\n", "bare line feed"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obsolete line folding"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "whitespace before colon"),
    ]

    @Test(arguments: responses)
    func responseIsParsedOrRefused(_ text: String, _ outcome: String) {
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var response = ResponseHeader(statusCode: 500)
        do throws(Defect) {
            let consumed = try parser.feed(latin1(text), into: &response)
            #expect(consumed == text.utf8.count)
            #expect(response.description == outcome)
        } catch {
            #expect(error.description == outcome)
        }
    }

    // MARK: - Cuts and widths

    static let everyText = goodRequests.map(\.text) + badRequests.map(\.text) + responses.map(\.text)

    @Test(arguments: everyText)
    func everyCutGivesTheSame(_ text: String) {
        let bytes = latin1(text)
        let request = HeadOutcome.ofRequest(bytes)
        let response = HeadOutcome.ofResponse(bytes)
        for cut in 0...bytes.count {
            #expect(HeadOutcome.ofRequest(bytes, counts: [cut]) == request, "cut at \(cut)")
            #expect(HeadOutcome.ofResponse(bytes, counts: [cut]) == response, "cut at \(cut)")
        }
        #expect(HeadOutcome.ofRequest(bytes, counts: Array(0...bytes.count)) == request)
        #expect(HeadOutcome.ofResponse(bytes, counts: Array(0...bytes.count)) == response)
    }

    @Test(arguments: goodRequests.map(\.text))
    func everyBeginningIsIncomplete(_ text: String) {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { #expect(HeadOutcome.ofRequest(Array(bytes[..<count])) == .incomplete) }
    }

    @Test(arguments: everyText, [UInt32(0), 1])
    func everyWidthGivesTheSame(_ text: String, _ level: UInt32) {
        let bytes = latin1(text)
        #expect(HeadOutcome.ofRequest(bytes, level: level) == HeadOutcome.ofRequest(bytes))
        #expect(HeadOutcome.ofResponse(bytes, level: level) == HeadOutcome.ofResponse(bytes))
    }

    /// Every byte at every place of a head, so that it stands at each place of a block, too.
    @Test(arguments: 0..<8)
    func everyByteIsJudgedAlikeInEveryWidth(_ part: Int) {
        let head = Array(
            "GET /target-of-it HTTP/1.1\r\nHost: a.example\r\nX-Rather-Long-Name-Of-A-Field-Here: \tsome value, \"x\"\r\nB: c\r\n\r\n"
                .utf8
        )
        for place in stride(from: part, to: head.count, by: 8) {
            for byte in UInt8.min...UInt8.max {
                var bytes = head
                bytes[place] = byte
                let widest = HeadOutcome.ofRequest(bytes)
                let others = [HeadOutcome.ofRequest(bytes, level: 0), HeadOutcome.ofRequest(bytes, level: 1)]
                if others != [widest, widest] { Issue.record("byte \(byte) at \(place): \(widest) but \(others)") }
            }
        }
    }
}
