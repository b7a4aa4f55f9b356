/// Looks for YAML aliases where they would cost without bound: in the keys of mappings.
///
/// The parser compares keys with each other, and an alias of aliases of aliases is compared as if all of it were written out. What
/// aliases in values stand for is counted after parsing. This is no parser: it steps over comments, quoted texts and block texts, and
/// errs, if at all, by refusing a file that has aliases and unusual keys.
struct AliasScreen {
    private let lines: [[UInt8]]
    private var quote: UInt8?
    /// The indentation that a block text (`|`, `>`) must go beyond.
    private var blockIndent: Int?

    private init(_ text: String) {
        lines = Array(text.utf8).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    }

    /// Returns where an alias and a key that is more than a word meet in a file, counted from 1; nil when all is well.
    static func find(in text: String) -> ConfigurationProblem.Position? {
        var screen = AliasScreen(text)
        return screen.find()
    }

    private mutating func find() -> ConfigurationProblem.Position? {
        var hasAlias = false
        var oddKey: ConfigurationProblem.Position?
        for (number, line) in lines.enumerated() {
            let signs = signs(in: line)
            for sign in signs {
                let position = ConfigurationProblem.Position(line: number + 1, column: sign.column + 1)
                switch sign.kind {
                case .alias: hasAlias = true
                case .aliasAsKey: return position
                case .oddKey: oddKey = oddKey ?? position
                }
            }
        }
        return hasAlias ? oddKey : nil
    }

    private struct Sign {
        enum Kind { case alias, aliasAsKey, oddKey }

        var kind: Kind
        var column: Int
    }

    private mutating func signs(in line: [UInt8]) -> [Sign] {
        let indent = line.prefix { $0 == UInt8(ascii: " ") }.count
        if let blockIndent {
            if indent == line.count || indent > blockIndent { return [] }
            self.blockIndent = nil
        }
        var signs: [Sign] = []
        var index = indent
        var atStart = true
        while index < line.count {
            let byte = line[index]
            if let open = quote {
                if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\"") { index += 1 }
                let isDoubled = open == UInt8(ascii: "'") && line[index...].prefix(2).elementsEqual([open, open])
                if byte == open, !isDoubled { quote = nil }
                index += isDoubled ? 2 : 1
                continue
            }
            switch byte {
            case UInt8(ascii: "#") where atStart: return signs
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if atStart { quote = byte }
            case UInt8(ascii: "*") where atStart:
                let end = line[index...].firstIndex(where: Self.endsWord) ?? line.count
                signs.append(Sign(kind: isColon(line, after: end) ? .aliasAsKey : .alias, column: index))
                index = end - 1
            case UInt8(ascii: "?") where atStart && Self.isBlank(line, index + 1):
                signs.append(Sign(kind: .oddKey, column: index))
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if isColon(line, after: index + 1) { signs.append(Sign(kind: .oddKey, column: index)) }
            case UInt8(ascii: "|") where atStart, UInt8(ascii: ">") where atStart:
                blockIndent = indent
                return signs
            default: break
            }
            atStart = Self.precedesWord(byte)
            index += 1
        }
        return signs
    }

    private func isColon(_ line: [UInt8], after end: Int) -> Bool {
        let next = line[end...].firstIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        guard let next, line[next] == UInt8(ascii: ":") else { return false }
        return Self.isBlank(line, next + 1)
    }

    private static func isBlank(_ line: [UInt8], _ index: Int) -> Bool {
        guard index < line.count else { return true }
        return [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains(line[index])
    }

    private static func precedesWord(_ byte: UInt8) -> Bool { " \t[{,:-?".utf8.contains(byte) }

    private static func endsWord(_ byte: UInt8) -> Bool { " \t\r,[]{}".utf8.contains(byte) }
}
