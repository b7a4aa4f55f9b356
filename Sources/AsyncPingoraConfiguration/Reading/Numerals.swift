/// Numbers with units.
enum Numerals {
    /// Decimal digits, which underscores may separate.
    static func integer(_ text: String) -> Int? {
        guard let first = text.utf8.first, isDigit(first), text.utf8.last != UInt8(ascii: "_") else { return nil }
        guard text.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") }) else { return nil }
        return Int(text.filter { $0 != "_" })
    }

    /// Bytes: a number, with KiB, MiB or GiB behind it or not.
    static func byteCount(_ text: String) -> Int? {
        let (number, unit) = split(text)
        guard let number = integer(number) else { return nil }
        let shift: Int
        switch unit {
        case "", "B": shift = 0
        case "KiB": shift = 10
        case "MiB": shift = 20
        case "GiB": shift = 30
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : product
    }

    /// Seconds, or a number with ms, s, m or h behind it; up to three decimal places.
    static func duration(_ text: String) -> Duration? {
        let (number, unit) = split(text)
        let milliseconds: Int
        switch unit {
        case "ms": milliseconds = 1
        case "s", "": milliseconds = 1_000
        case "m": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        default: return nil
        }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = integer(String(parts[0])), parts.count <= 2 else { return nil }
        var thousandths = 0
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(isDigit) else { return nil }
            thousandths = Int(parts[1] + String(repeating: "0", count: 3 - parts[1].utf8.count)) ?? 0
        }
        // A century: what is longer is a slip, and could not be counted in nanoseconds.
        guard whole <= 3_200_000_000 else { return nil }
        let duration = Duration.milliseconds(whole * milliseconds) + .microseconds(thousandths * milliseconds)
        return duration <= .seconds(3_200_000_000) ? duration : nil
    }

    private static func split(_ text: String) -> (number: String, unit: String) {
        let unit = text.drop { $0.isASCII && ($0.isNumber || $0 == "_" || $0 == ".") }
        return (String(text.dropLast(unit.count)), unit.drop { $0 == " " }.description)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
