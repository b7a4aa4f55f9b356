internal import AsyncTransport
internal import HTTPCodecs

/// An ``AccessLogFormat``, made ready for writing lines.
struct LineFormat: Sendable {
    private enum Step: Sendable {
        case literal(Range<Int>)
        case field(AccessLogField.Code)
    }

    private let steps: [Step]
    private let literals: TextBuffer
    private let isJSON: Bool
    private let valueLimit: Int

    /// Makes lines in which no value takes more than `valueLimit` bytes.
    init(_ format: AccessLogFormat, valueLimit: Int) {
        var steps: [Step] = []
        let text = format.parts.reduce(into: "") { if case .literal(let text) = $1 { $0 += text } }
        literals = TextBuffer(capacity: text.utf8.count)
        for part in format.parts {
            switch part {
            case .literal(let text):
                let start = literals.count
                literals.append(text)
                steps.append(.literal(start..<literals.count))
            case .field(let field):
                steps.append(.field(field.code))
            }
        }
        self.steps = steps
        isJSON = format.isJSON
        self.valueLimit = valueLimit
    }

    /// More than any line takes: what a buffer must hold.
    var longestLine: Int {
        // A request line is the longest value: method, target and version.
        literals.count + steps.count * (2 * valueLimit + 128)
    }

    /// Appends the line of an exchange that has ended.
    func write(_ session: Session, clock: inout LogClock, to buffer: TextBuffer) {
        let line = LineWriter(
            session: session,
            request: session.request,
            buffer: buffer,
            isJSON: isJSON,
            limit: valueLimit
        )
        clock.adopt(session.timings.end)
        for index in steps.indices {
            switch steps[index] {
            case .literal(let range): literals.withBytes { buffer.append($0.extracting(range)) }
            case .field(let code): line.write(code, clock: clock)
            }
        }
    }
}
