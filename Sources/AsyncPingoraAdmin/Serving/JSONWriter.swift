internal import AsyncTransport

/// Writes JSON (RFC 8259) piece by piece: members and elements get their commas, numbers that JSON has no form for become null.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// Writes an object; `body` writes its members.
    mutating func object(_ body: (inout JSONWriter) -> Void) {
        nest("{", "}", body)
    }

    /// Writes an array; `body` writes its elements.
    mutating func array(_ body: (inout JSONWriter) -> Void) {
        nest("[", "]", body)
    }

    /// Writes a member whose value `body` writes.
    mutating func member(_ name: String, _ body: (inout JSONWriter) -> Void) {
        separate()
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        body(&self)
        needsComma = true
    }

    mutating func member(_ name: String, _ value: String?) { member(name) { $0.value(value) } }
    mutating func member(_ name: String, _ value: Double?) { member(name) { $0.value(value) } }
    mutating func member(_ name: String, _ value: Int?) { member(name) { $0.value(value) } }
    mutating func member(_ name: String, _ value: Bool) { member(name) { $0.value(value) } }

    /// Writes a member that is an array with an element for each of `items`.
    mutating func member<Items: Sequence>(
        _ name: String,
        each items: Items,
        _ body: (inout JSONWriter, Items.Element) -> Void
    ) {
        member(name) { writer in
            writer.array { writer in
                for item in items { body(&writer, item) }
            }
        }
    }

    mutating func value(_ value: String?) {
        separate()
        if let value { string(value) } else { bytes.append(contentsOf: "null".utf8) }
        needsComma = true
    }

    mutating func value(_ value: Double?) {
        guard let value, value.isFinite else { return literal("null") }
        // A whole number is written as one, as far as every reader of JSON keeps it exact.
        if value.rounded() == value, abs(value) < 9e15 { literal(String(Int(value))) } else { literal(String(value)) }
    }

    mutating func value(_ value: Int?) { literal(value.map(String.init) ?? "null") }
    mutating func value(_ value: Bool) { literal(value ? "true" : "false") }

    private mutating func literal(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func string(_ text: String) {
        // The longest escape of a byte has six.
        let limit = 6 * text.utf8.count
        let string = TextBuffer(capacity: limit + 2)
        string.append(UInt8(ascii: "\""))
        string.append(text, escapedAs: .json, limit: limit)
        string.append(UInt8(ascii: "\""))
        bytes += string.bytes
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func nest(_ opening: Unicode.Scalar, _ closing: Unicode.Scalar, _ body: (inout JSONWriter) -> Void)
    {
        separate()
        bytes.append(UInt8(ascii: opening))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: closing))
        needsComma = true
    }
}
