import HTTPCodecs
import Testing

/// The room that an unfinished request line leaves for the method used to let a long one pass or not, by how it came in.
@Suite("A long method is judged alike however it comes in")
struct LongMethodTests {
    @Test(arguments: [1, 17, 53, 54, 80])
    func dripped(methodLength: Int) {
        var limits = HTTP1.Limits()
        limits.maximumTargetBytes = 128
        let method = String(repeating: "M", count: methodLength)
        let bytes = Array("\(method) /\(String(repeating: "a", count: 127)) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)

        #expect(parse(bytes, limits, from: bytes.count) == (methodLength <= 53))
        #expect(parse(bytes, limits, from: 1) == (methodLength <= 53))
    }

    /// Whether the head is accepted when at first `start` bytes come and then one by one.
    private func parse(_ bytes: [UInt8], _ limits: HTTP1.Limits, from start: Int) -> Bool {
        var parser = HTTP1.HeadParser(limits: limits)
        var head = RequestHeader()
        do throws(HTTP1.ParseError) {
            for count in start...bytes.count {
                if try parser.feed(bytes, first: count, into: &head) != nil { return true }
            }
        } catch {}
        return false
    }
}
