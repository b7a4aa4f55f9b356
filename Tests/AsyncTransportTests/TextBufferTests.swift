import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("Text is put together within bounds, and what others wrote is escaped")
struct TextBufferTests {
    private func text(_ buffer: TextBuffer) -> String {
        buffer.withBytes { Bytes(copying: $0).description }
    }

    private func escaped(_ bytes: [UInt8], as escape: TextBuffer.Escape, limit: Int = 1_000) -> String {
        let buffer = TextBuffer(capacity: 4_096)
        Bytes(bytes).withSpan { buffer.append($0, escapedAs: escape, limit: limit) }
        #expect(!buffer.hasOverflowed)
        return text(buffer)
    }

    @Test(arguments: [
        ("", ""),
        ("plain text, long enough for words of eight", "plain text, long enough for words of eight"),
        ("a\"b", "a\\x22b"),
        ("back\\slash", "back\\x5Cslash"),
        ("12345678\r\nGET / HTTP/1.1", "12345678\\x0D\\x0AGET / HTTP/1.1"),
        ("\u{0}\u{1b}[31m\u{7f}", "\\x00\\x1B[31m\\x7F"),
        ("é", "\\xC3\\xA9"),
        ("~ !}", "~ !}"),
    ])
    func hexadecimal(raw: String, written: String) {
        #expect(escaped(Array(raw.utf8), as: .hexadecimal) == written)
    }

    @Test(arguments: [
        ([], ""),
        (Array("a\"b\\c/d".utf8), "a\\\"b\\\\c/d"),
        (Array("line\r\nbreak\ttab".utf8), "line\\u000d\\u000abreak\\u0009tab"),
        ([0, 0x1F, 0x7F], "\\u0000\\u001f\\u007f"),
        (Array("é€😀 stays".utf8), "é€😀 stays"),
        (Array("c1 \u{9b}".utf8), "c1 \\u009b"),
        (Array("nbsp \u{a0}".utf8), "nbsp \u{a0}"),
        // Not UTF-8: a lone continuation, cut characters, overlong forms, a surrogate, beyond U+10FFFF.
        ([0x80], "\\ufffd"),
        ([0x61, 0xC3], "a\\ufffd"),
        ([0xE2, 0x82, 0x61], "\\ufffd\\ufffda"),
        ([0xC0, 0xAF], "\\ufffd\\ufffd"),
        ([0xE0, 0x80, 0x80], "\\ufffd\\ufffd\\ufffd"),
        ([0xED, 0xA0, 0x80], "\\ufffd\\ufffd\\ufffd"),
        ([0xF0, 0x80, 0x80, 0x80], "\\ufffd\\ufffd\\ufffd\\ufffd"),
        ([0xF4, 0x90, 0x80, 0x80], "\\ufffd\\ufffd\\ufffd\\ufffd"),
        ([0xFF, 0xFE], "\\ufffd\\ufffd"),
    ])
    func json(raw: [UInt8], written: String) {
        #expect(escaped(raw, as: .json) == written)
    }

    /// Each byte, at each place of a word, between plain ones: nothing slips through the fast path.
    @Test(arguments: [TextBuffer.Escape.hexadecimal, .json])
    func everyByteAtEveryPlace(escape: TextBuffer.Escape) {
        for byte in UInt8.min ... .max {
            for place in 0..<17 {
                var raw = Array(repeating: UInt8(ascii: "x"), count: 17)
                raw[place] = byte
                let written = escaped(raw, as: escape)
                let isPlain = byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
                if isPlain {
                    #expect(Array(written.utf8) == raw)
                } else {
                    let allPlain = written.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 } || escape == .json
                    #expect(allPlain && written.hasPrefix(String(repeating: "x", count: place)))
                    #expect(written.hasSuffix(String(repeating: "x", count: 16 - place)))
                    #expect(!written.utf8.contains { $0 < 0x20 || $0 == 0x7F })
                }
            }
        }
    }

    @Test(arguments: [
        (String(repeating: "x", count: 20), 20, String(repeating: "x", count: 20)),
        (String(repeating: "x", count: 21), 20, String(repeating: "x", count: 20) + "..."),
        ("xxxx\n\n\n\n", 20, "xxxx\\x0A\\x0A\\x0A..."),
        (String(repeating: "x", count: 16) + "\n", 20, String(repeating: "x", count: 16) + "..."),
    ])
    func longOnesAreCut(raw: String, limit: Int, written: String) {
        #expect(escaped(Array(raw.utf8), as: .hexadecimal, limit: limit) == written)
    }

    @Test(arguments: [
        0, 1, 9, 10, 99, 100, 12_345, 999_999_999, UInt64(UInt32.max), 9_999_999_999_999_999_999,
        10_000_000_000_000_000_000, UInt64.max,
    ])
    func decimals(value: UInt64) {
        let buffer = TextBuffer(capacity: 64)
        buffer.append(decimal: value)
        #expect(text(buffer) == String(value))
    }

    @Test func paddedDecimals() {
        let buffer = TextBuffer(capacity: 64)
        buffer.append(decimal: 7, digitCount: 3)
        buffer.append(decimal: 0, digitCount: 2)
        buffer.append(decimal: 1_234, digitCount: 3)
        #expect(text(buffer) == "00700234")
    }

    @Test func whatDoesNotFitIsLeftOut() {
        let buffer = TextBuffer(capacity: 8)
        buffer.append("12345")
        buffer.append("6789")
        #expect(buffer.hasOverflowed && text(buffer) == "12345")
        buffer.rollBack(to: 2)
        buffer.append("6789")
        #expect(!buffer.hasOverflowed && text(buffer) == "126789")
        buffer.append(decimal: 123)
        Bytes("12345678").withSpan { buffer.append($0, escapedAs: .json, limit: 100) }
        #expect(buffer.hasOverflowed && buffer.count <= 8)
    }

    @Test(arguments: [
        ("a\nbc\nd", 0, 0, 0), ("a\nbc\nd", 1, 0, 0), ("a\nbc\nd", 2, 1, 2), ("a\nbc\nd", 4, 1, 2),
        ("a\nbc\nd", 6, 2, 5),
    ])
    func linesUpToAPlace(raw: String, offset: Int, count: Int, end: Int) {
        let buffer = TextBuffer(capacity: 64)
        buffer.append(raw)
        let found = buffer.lines(upTo: offset)
        #expect(found.count == count && found.end == end)
    }

    @Test(arguments: [
        ("10.2.33.255:80", "10.2.33.255", "10.2.33.255:80"),
        ("[2001:db8::a1]:65535", "2001:db8::a1", "[2001:db8::a1]:65535"),
        ("unix:/run/a \"b\"", "unix:", "unix:/run/a \\x22b\\x22"),
    ])
    func addresses(raw: String, host: String, whole: String) throws {
        let address = try #require(SocketAddress(raw))
        let buffer = TextBuffer(capacity: 256)
        address.writeHost(to: buffer)
        #expect(text(buffer) == host)
        buffer.removeAll()
        address.write(to: buffer, escapedAs: .hexadecimal)
        #expect(text(buffer) == whole)
    }
}

@Suite("A file is appended to, opened again, and never left with half a line")
struct AppendFileTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func write(_ text: String, to file: AppendFile) -> AppendFile.Outcome {
        Bytes(text).withSpan { file.write($0) }
    }

    @Test func appends() throws {
        for text in ["one\n", "two\n"] {
            let file = try AppendFile(path: folder.path(of: "log"))
            #expect(write(text, to: file) == .wrote(4))
        }
        #expect(folder.contents(of: "log") == "one\ntwo\n")
    }

    @Test func reopens() throws {
        let file = try AppendFile(path: folder.path(of: "log"))
        #expect(write("old\n", to: file) == .wrote(4))
        try folder.rename("log", to: "old")
        #expect(write("old\n", to: file) == .wrote(4))
        let reopened = try file.reopened()
        #expect(write("new\n", to: reopened) == .wrote(4))
        #expect(folder.contents(of: "log") == "new\n")
        #expect(folder.contents(of: "old") == "old\nold\n")
    }

    @Test func takesBackWhatIsAtTheEnd() throws {
        let file = try AppendFile(path: folder.path(of: "log"))
        #expect(write("whole\nto", to: file) == .wrote(8))
        #expect(file.takeBack(2))
        #expect(write("next\nto", to: file) == .wrote(7))
        // Another process's line must not be cut off.
        let other = try AppendFile(path: folder.path(of: "log"))
        #expect(write("rn\n", to: other) == .wrote(3))
        #expect(!file.takeBack(2))
        #expect(folder.contents(of: "log") == "whole\nnext\ntorn\n")
    }

    @Test func aFullDeviceFails() throws {
        let file = try AppendFile(path: "/dev/full")
        #expect(write("line\n", to: file) == .failed(TransportError(.write, errno: ENOSPC, detail: "/dev/full")))
        #expect(!file.takeBack(1))
    }

    @Test func aPipeTakesWholeLinesAndNeverBlocks() throws {
        let path = folder.path(of: "pipe")
        let reader = try folder.makePipe("pipe")
        let file = try AppendFile(path: path)
        let lines = String(repeating: String(repeating: "x", count: 999) + "\n", count: 10)
        #expect(write(lines, to: file) == .wrote(4_000))
        var total = 4_000
        while case .wrote(let count) = write(lines, to: file) { total += count }
        #expect(write(lines, to: file) == .wouldBlock)
        #expect(reader.read().count == total)
        #expect(write(lines, to: file) == .wrote(4_000))
    }

    @Test func aPipeWithoutAReaderIsRefused() throws {
        _ = try folder.makePipe("pipe")
        let path = folder.path(of: "pipe")
        #expect(throws: TransportError(.open, errno: ENXIO, detail: path)) { try AppendFile(path: path) }
    }

    @Test func aMissingFolderIsNamed() {
        #expect(throws: TransportError(.open, errno: ENOENT, detail: "/nonexistent/log")) {
            try AppendFile(path: "/nonexistent/log")
        }
    }
}
