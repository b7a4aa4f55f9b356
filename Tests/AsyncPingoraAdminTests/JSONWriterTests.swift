import Testing

@testable import AsyncPingoraAdmin

@Suite("JSON is written with its commas, and null for what has no number")
struct JSONWriterTests {
    private func written(_ body: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter()
        body(&json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test func nested() {
        let text = written { json in
            json.object { json in
                json.member("a", 1)
                json.member("empty") { $0.object { _ in } }
                json.member("list", each: [1, 2]) { json, number in
                    json.object { $0.member("n", number) }
                }
                json.member("none", each: [Int]()) { $0.value($1) }
                json.member("yes", true)
                json.member("text", "x\"y")
                json.member("null", String?.none)
            }
        }
        #expect(text == #"{"a":1,"empty":{},"list":[{"n":1},{"n":2}],"none":[],"yes":true,"text":"x\"y","null":null}"#)
    }

    /// No content breaks out of a string, and none is lost.
    @Test(arguments: [
        ("", #""""#),
        ("plain", #""plain""#),
        (#"say "hi""#, #""say \"hi\"""#),
        (#"a\b"#, #""a\\b""#),
        ("line\r\n\tend", #""line\u000d\u000a\u0009end""#),
        ("\u{0}\u{1}\u{1F}\u{7F}\u{85}", #""\u0000\u0001\u001f\u007f\u0085""#),
        ("</script>", #""</script>""#),
        ("Grüße, 世界 🦊", #""Grüße, 世界 🦊""#),
        (String(repeating: "\u{0}\"x", count: 999), "\"\(String(repeating: #"\u0000\"x"#, count: 999))\""),
    ])
    func strings(text: String, wanted: String) {
        #expect(written { $0.value(text) } == wanted)
        #expect(written { json in json.object { $0.member(text, 1) } } == "{\(wanted):1}")
    }

    @Test(
        arguments: [
            (0, "0"), (-0.0, "0"), (1, "1"), (1.5, "1.5"), (-2.25, "-2.25"), (1e-7, "1e-07"),
            (123_456_789_012, "123456789012"),
            (1e300, "1e+300"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"), (nil, "null"),
        ] as [(Double?, String)]
    )
    func numbers(number: Double?, wanted: String) {
        #expect(written { $0.value(number) } == wanted)
    }
}
