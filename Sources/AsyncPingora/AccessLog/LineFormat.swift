internal import AsyncTransport
internal import HTTPCodecs

/// An ``AccessLogFormat``, made ready for writing lines.
struct LineFormat: Sendable {
    /// Plain numbers: going through the steps counts no references.
    private enum Step: Sendable {
        /// The format's own text, a word at a time.
        case text(TextBuffer.Word)
        case field(AccessLogField.Code)
        /// A field of the request's, by its place in `headerNames`.
        case header(Int32)
    }

    private let steps: [Step]
    private let headerNames: [HeaderName]
    private let isJSON: Bool
    private let valueLimit: Int

    /// Makes lines in which no value takes more than `valueLimit` bytes.
    init(_ format: AccessLogFormat, valueLimit: Int) {
        var steps: [Step] = []
        var headerNames: [HeaderName] = []
        for part in format.parts {
            switch part {
            case .literal(let text):
                steps += TextBuffer.Word.words(of: text).map { .text($0) }
            case .field(let field):
                if let name = field.headerName {
                    steps.append(.header(Int32(headerNames.count)))
                    headerNames.append(name)
                } else {
                    steps.append(.field(field.code))
                }
            }
        }
        self.steps = steps
        self.headerNames = headerNames
        isJSON = format.isJSON
        self.valueLimit = valueLimit
    }

    /// More than any line takes: what a buffer must hold.
    var longestLine: Int {
        // A request line is the longest value: method, target and version.
        steps.count * (2 * valueLimit + 128)
    }

    /// Appends the line of an exchange that has ended.
    func write(_ session: Session, clock: inout LogClock, to buffer: TextBuffer) {
        let line = LineWriter(
            session: session,
            hasRequest: session.hasRequest,
            buffer: buffer,
            isJSON: isJSON,
            limit: valueLimit
        )
        clock.adopt(session.timings.end)
        session.downstream.withRequest { request in
            for step in steps {
                switch step {
                case .text(let word): buffer.append(word)
                case .field(let code): line.write(code, of: request, clock: clock)
                case .header(let number): line.write(headerNames[Int(number)], of: request)
                }
            }
        }
    }
}
