extension TextBuffer {
    /// How text that others have written is kept from being taken for something else.
    package enum Escape: Sendable {
        /// `\xHH` for quotes, backslashes and all that is not visible ASCII or a space.
        case hexadecimal
        /// As in a JSON string (RFC 8259 7): UTF-8 stays, except for control characters; what is not UTF-8 becomes U+FFFD.
        case json
    }

    /// Appends text of unknown origin: in the result every line break, quote and control byte is escaped.
    ///
    /// - Parameters:
    ///   - text: any bytes.
    ///   - escape: in which way.
    ///   - limit: after so many bytes of the result it ends in `...`.
    package func append(_ text: RawSpan, escapedAs escape: Escape, limit: Int) {
        // SAFETY: reads stay below `source.count`, and writes within the room that was asked for.
        unsafe text.withUnsafeBytes { source in
            let end = count &+ limit
            var offset = 0
            while offset < source.count {
                let step = min(source.count &- offset, Word.maximumCount)
                if count &+ step <= end,
                    unsafe copyPlain(UnsafeRawBufferPointer(rebasing: source[offset..<(offset &+ step)]))
                {
                    offset &+= step
                    continue
                }
                let byte = unsafe source[offset]
                if Self.isPlain(byte) {
                    guard count < end else { return append("...") }
                    append(byte)
                    offset &+= 1
                    continue
                }
                // The longest escape has six bytes, the longest character four.
                guard count &+ 6 <= end else { return append("...") }
                switch escape {
                case .hexadecimal:
                    append("\\x")
                    append(hexadecimal: byte, upperCase: true)
                    offset &+= 1
                case .json:
                    unsafe offset &+= appendJSON(UnsafeRawBufferPointer(rebasing: source[offset...]))
                }
            }
        }
    }

    /// Appends text of unknown origin; see the same of bytes.
    package func append(_ text: String, escapedAs escape: Escape, limit: Int) {
        // SAFETY: the string is not changed while its bytes are read, and they are not kept.
        append(unsafe text.utf8Span.span.bytes, escapedAs: escape, limit: limit)
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
    }

    /// Copies one to eight bytes if none of them needs an escape; says whether it did.
    @inline(__always)
    private func copyPlain(_ source: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: the caller passes one to eight bytes.
        let word = unsafe Self.load(source)
        // What is missing counts as plain.
        let missing = UInt64(truncatingIfNeeded: 8 &- source.count)
        let padded = missing == 0 ? word : word | 0x2020_2020_2020_2020 << (64 &- 8 &* missing)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        // A byte that is 0 after the exclusive or borrows into its highest bit; so does one below 0x20.
        let quotes = padded ^ (ones &* 0x22)
        let backslashes = padded ^ (ones &* 0x5C)
        let deletes = padded ^ (ones &* 0x7F)
        let controls = (padded &- (ones &* 0x20)) & ~padded
        let special =
            padded | controls | ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
            | ((deletes &- ones) & ~deletes)
        guard special & highs == 0 else { return false }
        append(Word(bits: word, byteCount: source.count))
        return true
    }

    /// One to eight bytes as a number, the first lowest.
    @inline(__always)
    private static func load(_ source: UnsafeRawBufferPointer) -> UInt64 {
        // SAFETY: both loads of a pair lie within the bytes there are, and may overlap.
        let count = source.count
        if count == 8 { return unsafe UInt64(littleEndian: source.loadUnaligned(as: UInt64.self)) }
        if count >= 4 {
            let low = unsafe UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
            let high = unsafe UInt32(littleEndian: source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            return UInt64(low) | UInt64(high) << (8 &* UInt64(truncatingIfNeeded: count &- 4))
        }
        let middle = count / 2
        let first = unsafe UInt64(source[0])
        let second = unsafe UInt64(source[middle]) << (8 &* UInt64(truncatingIfNeeded: middle))
        let last = unsafe UInt64(source[count &- 1]) << (8 &* UInt64(truncatingIfNeeded: count &- 1))
        return first | second | last
    }

    /// Appends the first character of `source`, which is not plain; returns how many bytes it has.
    private func appendJSON(_ source: UnsafeRawBufferPointer) -> Int {
        // SAFETY: the caller passes at least one byte, and `characterLength` returns no more than there are.
        let first = unsafe source[0]
        switch first {
        case 0x22, 0x5C:
            append(UInt8(ascii: "\\"))
            append(first)
            return 1
        case ..<0x20, 0x7F:
            append("\\u00")
            append(hexadecimal: first, upperCase: false)
            return 1
        default:
            break
        }
        guard let length = unsafe Self.characterLength(source) else {
            append("\\ufffd")
            return 1
        }
        let second = unsafe source[1]
        if first == 0xC2, second < 0xA0 {
            // U+0080 to U+009F steer terminals as well.
            append("\\u00")
            append(hexadecimal: second, upperCase: false)
        } else {
            for index in 0..<length { unsafe append(source[index]) }
        }
        return length
    }

    /// How long the well-formed multibyte character at the start is (Unicode 3.9, table 3-7); nil when there is none.
    private static func characterLength(_ source: UnsafeRawBufferPointer) -> Int? {
        // SAFETY: as in `appendJSON`.
        let first = unsafe source[0]
        let (length, second): (Int, ClosedRange<UInt8>)
        switch first {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard source.count >= length, unsafe second.contains(source[1]) else { return nil }
        for index in 2..<max(length, 2) where unsafe source[index] & 0xC0 != 0x80 { return nil }
        return length
    }

    private func append(hexadecimal byte: UInt8, upperCase: Bool) {
        append(Self.hexadecimal(byte >> 4, upperCase: upperCase))
        append(Self.hexadecimal(byte & 15, upperCase: upperCase))
    }

    private static func hexadecimal(_ digit: UInt8, upperCase: Bool) -> UInt8 {
        digit < 10 ? 0x30 &+ digit : (upperCase ? 0x37 : 0x57) &+ digit
    }
}
