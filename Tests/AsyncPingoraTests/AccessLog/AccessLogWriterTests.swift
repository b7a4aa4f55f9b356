import AsyncPingora
import AsyncTransport
import Glibc
import Testing

@Suite("Lines are written whole or not at all, and the error log hears of a failure once")
struct AccessLogWriterTests {
    private static func buffer(_ text: String) -> TextBuffer {
        let buffer = TextBuffer(capacity: 1_024)
        buffer.append(text)
        buffer.lineCount = text.count { $0 == "\n" }
        return buffer
    }

    /// What happens to "one\ntwo\nthree\n" in two buffers, and then to "next\n".
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let script: [ScriptedSink.Step]
        var givesBack = true
        let lost: [Int]
        let text: String

        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(name: "all is well", script: [], lost: [0, 0], text: "one\ntwo\nthree\nnext\n"),
        Case(
            name: "in small pieces",
            script: [.take(1), .take(4), .block, .take(2), .block, .take(3)],
            lost: [0, 0],
            text: "one\ntwo\nthree\nnext\n"
        ),
        Case(name: "full at once", script: [.fail(ENOSPC)], lost: [3, 0], text: "next\n"),
        Case(name: "full at a line's end", script: [.take(4), .fail(ENOSPC)], lost: [2, 0], text: "one\nnext\n"),
        Case(name: "full within a line", script: [.take(6), .fail(ENOSPC)], lost: [2, 0], text: "one\nnext\n"),
        Case(
            name: "full within a line that cannot be taken back",
            script: [.take(6), .fail(ENOSPC)],
            givesBack: false,
            lost: [2, 0],
            text: "one\ntw\nnext\n"
        ),
        Case(
            name: "full within a line that cannot be taken back, and still full",
            script: [.take(6), .fail(ENOSPC), .fail(ENOSPC)],
            givesBack: false,
            lost: [2, 1],
            text: "one\ntw"
        ),
        Case(
            name: "in the second buffer",
            script: [.take(8), .take(2), .fail(EIO)],
            lost: [1, 0],
            text: "one\ntwo\nnext\n"
        ),
        Case(name: "full twice", script: [.take(3), .fail(ENOSPC), .take(2), .fail(ENOSPC)], lost: [3, 1], text: ""),
    ])
    func failures(_ test: Case) {
        let sink = ScriptedSink(test.script, givesBack: test.givesBack)
        var writer = LogWriter(sink: sink, logger: silentLogger)
        let lost = [
            writer.write([Self.buffer("one\ntwo\n"), Self.buffer("three\n")], isEnding: { false }),
            writer.write([Self.buffer("next\n")], isEnding: { false }),
        ]
        #expect(lost == test.lost)
        #expect(sink.text == test.text)
    }

    @Test func aTornLineIsEndedBeforeTheNextOne() {
        let sink = ScriptedSink([.take(2), .fail(ENOSPC), .fail(ENOSPC), .fail(ENOSPC)], givesBack: false)
        var writer = LogWriter(sink: sink, logger: silentLogger)
        let lost = ["one\n", "two\n", "three\n", "four\n", "five\n"].map {
            writer.write([Self.buffer($0)], isEnding: { false })
        }
        #expect(lost == [1, 1, 1, 0, 0])
        #expect(sink.text == "on\nfour\nfive\n")
    }

    @Test func theErrorLogHearsOfChangesOnly() {
        let record = LogRecord()
        let sink = ScriptedSink([.take(4), .fail(ENOSPC), .fail(ENOSPC), .fail(EIO)])
        var writer = LogWriter(sink: sink, logger: record.logger)
        for _ in 0..<6 { _ = writer.write([Self.buffer("one\ntwo\n")], isEnding: { false }) }
        #expect(
            record.lines == [
                "error: access log: write script: No space left on device; lines are dropped until script can be written again",
                "notice: access log: script can be written again; 5 lines were dropped",
            ]
        )
        #expect(sink.text == "one\n" + String(repeating: "one\ntwo\n", count: 3))
    }

    @Test func theErrorLogHearsThatLinesComeTooFast() {
        let record = LogRecord()
        var writer = LogWriter(sink: ScriptedSink(), logger: record.logger)
        let second: UInt64 = 1_000_000_000
        writer.note(droppedCount: 0, now: 1 * second)
        writer.note(droppedCount: 5, now: 2 * second)
        writer.note(droppedCount: 9, now: 3 * second)
        writer.note(droppedCount: 9, now: 3 * second + 1)
        writer.note(droppedCount: 9, now: 4 * second)
        writer.note(droppedCount: 9, now: 5 * second)
        writer.note(droppedCount: 10, now: 6 * second)
        #expect(
            record.lines == [
                "error: access log: lines come faster than script takes them; some are dropped",
                "notice: access log: script keeps up again; 9 lines were dropped",
                "error: access log: lines come faster than script takes them; some are dropped",
            ]
        )
    }
}
