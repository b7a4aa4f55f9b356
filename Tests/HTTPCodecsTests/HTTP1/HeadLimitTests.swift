import HTTPCodecs
import Testing

@Suite("A head that is too large is refused, complete or not")
struct HeadLimitTests {
    private static func limits(head: Int = 65_536, fields: Int = 128, target: Int = 16_384) -> HTTP1.Limits {
        var limits = HTTP1.Limits()
        limits.maximumHeadBytes = head
        limits.maximumFieldCount = fields
        limits.maximumTargetBytes = target
        return limits
    }

    @Test func headOfTheMostBytesIsTaken() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        for counts in [[], Array(0..<bytes.count)] {
            let exact = HeadOutcome.ofRequest(bytes, counts: counts, limits: Self.limits(head: bytes.count))
            #expect(exact == HeadOutcome.ofRequest(bytes))
            let small = HeadOutcome.ofRequest(bytes, counts: counts, limits: Self.limits(head: bytes.count - 1))
            #expect(small == .failure(.headTooLarge))
        }
        let pipelined = bytes + bytes
        #expect(
            HeadOutcome.ofRequest(pipelined, limits: Self.limits(head: bytes.count)) == HeadOutcome.ofRequest(bytes)
        )
    }

    @Test func unfinishedLineIsRefused() {
        let value = Array("HTTP/1.1 200 OK\r\nA: \(String(repeating: "a", count: 200))".utf8)
        #expect(HeadOutcome.ofResponse(value, limits: Self.limits(head: 100)) == .failure(.headTooLarge))
        let target = Array("GET /\(String(repeating: "a", count: 200))".utf8)
        #expect(HeadOutcome.ofRequest(target, limits: Self.limits(target: 100)) == .failure(.targetTooLong))
        #expect(HeadOutcome.ofRequest(target) == .incomplete)
    }

    @Test(arguments: [(100, false), (101, true)])
    func targetIsMeasured(_ length: Int, _ isTooLong: Bool) {
        let bytes = Array("GET \(String(repeating: "/", count: length)) HTTP/1.1\r\n\r\n".utf8)
        let outcome = HeadOutcome.ofRequest(bytes, limits: Self.limits(target: 100))
        #expect((outcome == .failure(.targetTooLong)) == isTooLong)
    }

    @Test(arguments: [(0, 0), (1, 1), (16, 16), (17, 17), (40, 40), (128, 128)])
    func fieldsAreCounted(_ count: Int, _ most: Int) {
        let lines = (0..<count).map { "X-\($0): \($0)\r\n" }.joined()
        let bytes = Array("GET / HTTP/1.1\r\n\(lines)\r\n".utf8)
        for counts in [[], Array(0..<bytes.count)] {
            guard
                case .request(_, _, _, _, let fields, _) = HeadOutcome.ofRequest(
                    bytes,
                    counts: counts,
                    limits: Self.limits(fields: most)
                )
            else {
                Issue.record("refused")
                continue
            }
            #expect(fields.map(\.value) == (0..<count).map(String.init))
            guard count > 0 else { continue }
            let fewer = HeadOutcome.ofRequest(bytes, counts: counts, limits: Self.limits(fields: most - 1))
            #expect(fewer == .failure(.tooManyFields))
        }
    }

    @Test func statusesAreThoseOfTheProtocol() {
        let statuses: [(HTTP1.ParseError, Int)] = [
            (.malformedRequestLine, 400), (.targetTooLong, 414), (.headTooLarge, 431), (.tooManyFields, 431),
            (.unknownTransferCoding, 501), (.unsupportedVersion, 505),
        ]
        for (error, status) in statuses { #expect(error.statusCode == status) }
    }
}
