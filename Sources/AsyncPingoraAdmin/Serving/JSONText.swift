extension [UInt8] {
    /// Appends `text` as a JSON string (RFC 8259 7), quotes included.
    ///
    /// Beside what must be escaped, so are DEL and U+2028 and U+2029, which end a line for some readers.
    mutating func appendJSON(_ text: some StringProtocol) {
        append(UInt8(ascii: "\""))
        var previous: (UInt8, UInt8) = (0, 0)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append(contentsOf: "\\\"".utf8)
            case UInt8(ascii: "\\"): append(contentsOf: "\\\\".utf8)
            case UInt8(ascii: "\n"): append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F: appendEscape(of: UInt16(byte))
            case 0xA8 where previous == (0xE2, 0x80), 0xA9 where previous == (0xE2, 0x80):
                removeLast(2)
                appendEscape(of: 0x2028 + UInt16(byte - 0xA8))
            default: append(byte)
            }
            previous = (previous.1, byte)
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func appendEscape(of unit: UInt16) {
        append(contentsOf: "\\u".utf8)
        for shift in [12, 8, 4, 0] as [UInt16] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
        }
    }
}
