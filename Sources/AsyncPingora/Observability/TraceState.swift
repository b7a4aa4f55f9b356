/// What tracing systems keep for themselves in a `tracestate` field: a list of keys and values (W3C Trace Context, level 1, 3.3).
///
/// It is passed on as it came, at most 512 bytes of it: entries of more than 128 bytes go first, then those at the end.
public struct TraceState: Sendable, Hashable, CustomStringConvertible {
    /// The list as the field has it, without white space and empty entries.
    public let description: String

    static let byteLimit = 512
    private static let largeEntry = 128
    private static let entryLimit = 32

    /// The empty list.
    public init() {
        description = ""
    }

    /// Reads a field's value; nil when it breaks the rules, which are strict so that nothing can be smuggled in it.
    public init?(_ value: String) {
        // Beyond that nobody honest goes: 32 entries of a key of 256 bytes and a value of as many.
        guard value.utf8.count <= 32 * 514 else { return nil }
        var entries: [Substring] = []
        var keys: Set<Substring> = []
        for part in value.split(separator: ",", omittingEmptySubsequences: true) {
            let entry = part.trimmingBlanks
            if entry.isEmpty { continue }
            guard let equals = entry.firstIndex(of: "=") else { return nil }
            let key = entry[..<equals]
            guard Self.isKey(key), Self.isValue(entry[entry.index(after: equals)...]), keys.insert(key).inserted
            else { return nil }
            entries.append(entry)
        }
        guard entries.count <= Self.entryLimit else { return nil }
        description = Self.fitting(entries).joined(separator: ",")
    }

    /// Whether there is nothing in it.
    public var isEmpty: Bool { description.isEmpty }

    /// Leaves out entries until the rest is short enough: large ones first, from the end.
    private static func fitting(_ entries: [Substring]) -> [Substring] {
        var kept = entries
        var count = entries.reduce(entries.count - 1) { $0 + $1.utf8.count }
        for limit in [largeEntry, 0] {
            for index in kept.indices.reversed() where count > byteLimit && kept[index].utf8.count > limit {
                count -= kept[index].utf8.count + 1
                kept.remove(at: index)
            }
        }
        return kept
    }

    /// `key`, or `tenant@system`.
    private static func isKey(_ key: Substring) -> Bool {
        let parts = key.split(separator: "@", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return isName(parts[0], limit: 256, mayBeginWithDigit: false)
        case 2:
            return isName(parts[0], limit: 241, mayBeginWithDigit: true)
                && isName(parts[1], limit: 14, mayBeginWithDigit: false)
        default: return false
        }
    }

    private static func isName(_ name: Substring, limit: Int, mayBeginWithDigit: Bool) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= limit else { return false }
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        guard isLetter(first) || (isDigit && mayBeginWithDigit) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "*"),
                UInt8(ascii: "/"):
                true
            default: isLetter(byte)
            }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }

    /// Printable ASCII without `,` and `=`, not ending in a blank.
    private static func isValue(_ value: Substring) -> Bool {
        guard let last = value.utf8.last, value.utf8.count <= 256, last != UInt8(ascii: " ") else { return false }
        return value.utf8.allSatisfy { byte in
            (0x20...0x7E).contains(byte) && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "=")
        }
    }
}

extension Substring {
    /// Without the spaces and tabs around it.
    fileprivate var trimmingBlanks: Substring {
        var rest = self
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return rest
    }
}
