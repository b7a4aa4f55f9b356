/// Which series an instrument feeds: the family's name and the labels, as Prometheus wants them.
struct SeriesIdentity: Sendable {
    /// The family's name.
    let name: String
    /// The labels in the order of their names; no name occurs twice.
    let labels: [(name: String, value: String)]
    /// The labels as they stand between the braces of a line; equal for equal labels, whatever their order was.
    let text: String

    /// Makes valid names of what an instrument was called.
    init(label: String, dimensions: [(String, String)]) {
        name = Names.metric(label)
        labels = Self.cleaned(dimensions)
        text = Self.text(of: labels)
    }

    /// What Prometheus refuses is changed: names become valid ones, and of two labels of one name the first stays.
    ///
    /// A label with an empty value means the same as none, so it is left out.
    private static func cleaned(_ dimensions: [(String, String)]) -> [(name: String, value: String)] {
        var labels: [(name: String, value: String)] = []
        for (name, value) in dimensions where !value.isEmpty {
            let name = Names.label(name)
            if !labels.contains(where: { $0.name == name }) { labels.append((name, value)) }
        }
        labels.sort { $0.name < $1.name }
        return labels
    }

    private static func text(of labels: [(name: String, value: String)]) -> String {
        var text = ""
        for (name, value) in labels {
            if !text.isEmpty { text += "," }
            text += "\(name)=\"\(Names.escapedValue(value))\""
        }
        return text
    }
}

/// Prometheus's rules for names and their values.
enum Names {
    /// A metric's name: letters, digits, `_` and `:`, and no digit first; every other byte becomes `_`.
    static func metric(_ name: String) -> String {
        cleaned(name, allowing: { $0 == UInt8(ascii: ":") })
    }

    /// A label's name: letters, digits and `_`, and no digit first; two underscores at the start and `le` are Prometheus's own.
    static func label(_ name: String) -> String {
        var name = cleaned(name, allowing: { _ in false })
        while name.utf8.starts(with: "__".utf8) { name.removeFirst() }
        return name == "le" ? "le_" : name
    }

    private static func cleaned(_ name: String, allowing isAllowed: (UInt8) -> Bool) -> String {
        func isValid(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || isAllowed(byte) }
        guard let first = name.utf8.first else { return "_" }
        if !isDigit(first), name.utf8.allSatisfy(isValid) { return name }
        var bytes: [UInt8] = isDigit(first) ? [UInt8(ascii: "_")] : []
        for byte in name.utf8 { bytes.append(isValid(byte) ? byte : UInt8(ascii: "_")) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")) || byte == UInt8(ascii: "_")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    /// A label's value as it stands between quotes.
    static func escapedValue(_ value: String) -> String {
        escaped(value, alsoQuotes: true)
    }

    /// A help text as it stands in its line, where quotes are as they are.
    static func escapedHelp(_ text: String) -> String {
        escaped(text, alsoQuotes: false)
    }

    private static func escaped(_ text: String, alsoQuotes: Bool) -> String {
        let quote = UInt8(ascii: "\"")
        let backslash = UInt8(ascii: "\\")
        let lineFeed = UInt8(ascii: "\n")
        func isPlain(_ byte: UInt8) -> Bool {
            byte != backslash && byte != lineFeed && (byte != quote || !alsoQuotes)
        }
        if text.utf8.allSatisfy(isPlain) { return text }
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if !isPlain(byte) { bytes.append(backslash) }
            bytes.append(byte == lineFeed ? UInt8(ascii: "n") : byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
