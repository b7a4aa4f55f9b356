import Testing

@testable import AsyncPingoraAdmin

@Suite("Text becomes a JSON string that no content can break out of")
struct JSONTextTests {
    @Test(arguments: [
        ("", #""""#),
        ("plain", #""plain""#),
        (#"say "hi""#, #""say \"hi\"""#),
        (#"a\b"#, #""a\\b""#),
        ("line\r\n\tend", #""line\r\n\tend""#),
        ("\u{0}\u{1}\u{1F}\u{7F}", #""\u0000\u0001\u001f\u007f""#),
        ("</script>", #""</script>""#),
        ("Grüße, 世界 🦊", #""Grüße, 世界 🦊""#),
        ("\u{2028}|\u{2029}|\u{2027}|\u{202A}", "\"\\u2028|\\u2029|\u{2027}|\u{202A}\""),
        ("¨©", #""¨©""#),
    ])
    func isEscaped(text: String, wanted: String) {
        var bytes: [UInt8] = []
        bytes.appendJSON(text)
        #expect(String(decoding: bytes, as: UTF8.self) == wanted)
    }
}
