/// Dates as HTTP writes them (RFC 9110 5.6.7), by integer arithmetic in the Gregorian calendar and UTC.
///
/// Times are whole seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
public enum HTTPDate {
    /// How many bytes ``format(secondsSinceEpoch:into:)`` writes.
    public static let byteCount = 29

    // The years 0 to 9999: what four digits can tell.
    private static let formattable: ClosedRange<Int64> = -62_167_219_200...253_402_300_799

    /// Writes the preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// - Parameters:
    ///   - seconds: what lies outside the years 0 to 9999 is written as the nearest second within.
    ///   - output: must have room for ``byteCount`` bytes.
    public static func format(secondsSinceEpoch seconds: Int64, into output: inout OutputRawSpan) {
        let seconds = min(max(seconds, formattable.lowerBound), formattable.upperBound)
        let days = seconds.flooringQuotient(dividingBy: 86_400)
        let time = Int(seconds - days * 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        output.append(letters: weekdays[Int((days % 7 + 11) % 7)])
        output.append(0x2C)
        output.append(0x20)
        output.append(twoDigits: date.day)
        output.append(0x20)
        output.append(letters: months[date.month - 1])
        output.append(0x20)
        output.append(twoDigits: date.year / 100)
        output.append(twoDigits: date.year % 100)
        output.append(0x20)
        output.append(twoDigits: time / 3600)
        output.append(0x3A)
        output.append(twoDigits: time / 60 % 60)
        output.append(0x3A)
        output.append(twoDigits: time % 60)
        output.append(0x20)
        output.append(letters: greenwich)
    }

    /// Returns the preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`; see ``format(secondsSinceEpoch:into:)``.
    public static func format(secondsSinceEpoch seconds: Int64) -> String {
        // SAFETY: `format` writes as many bytes as it returns, all of them ASCII.
        unsafe String(unsafeUninitializedCapacity: byteCount) { utf8 in
            unsafe format(secondsSinceEpoch: seconds, to: UnsafeMutableRawBufferPointer(utf8))
        }
    }

    /// Writes the preferred form to memory that has room for it; returns how many bytes that took.
    fileprivate static func format(secondsSinceEpoch seconds: Int64, to buffer: UnsafeMutableRawBufferPointer) -> Int {
        // SAFETY: the span covers exactly the caller's buffer, and is done with before this returns.
        var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
        format(secondsSinceEpoch: seconds, into: &output)
        return unsafe output.finalize(for: buffer)
    }

    // MARK: - Parsing

    /// Parses any of the three forms that recipients must accept.
    ///
    /// The day of the week must be a name of one, but need not be that of the date. A leap second counts as the second after it.
    ///
    /// - Parameters:
    ///   - bytes: the date, without white space around it.
    ///   - now: seconds since the epoch, by which the century of a two-digit year is told: it is at most 50 years ahead. Without it,
    ///     such years are 1970 to 2069.
    /// - Returns: seconds since the epoch; nil for what is not a date.
    public static func parse(_ bytes: RawSpan, now: Int64? = nil) -> Int64? {
        guard bytes.byteCount >= 24, bytes.byteCount <= 33 else { return nil }
        if bytes[3] == 0x2C { return parsePreferred(bytes) }
        if bytes[3] == 0x20 { return parseAsctime(bytes) }
        return parseRFC850(bytes, now: now)
    }

    /// Parses any of the three forms that recipients must accept; nil for anything else.
    ///
    /// What holds for bytes holds for text.
    public static func parse(_ text: String, now: Int64? = nil) -> Int64? {
        // SAFETY: the string is not changed while its bytes are read, and they are not kept.
        unsafe parse(text.utf8Span.span.bytes, now: now)
    }

    // `Sun, 06 Nov 1994 08:49:37 GMT`
    private static func parsePreferred(_ bytes: RawSpan) -> Int64? {
        guard bytes.byteCount == 29, weekdays.contains(bytes.letters(at: 0)), bytes[4] == 0x20, bytes[7] == 0x20,
            bytes[11] == 0x20,
            bytes[16] == 0x20, bytes[25] == 0x20, bytes.letters(at: 26) == greenwich,
            let day = bytes.number(at: 5), let century = bytes.number(at: 12), let year = bytes.number(at: 14),
            let month = months.firstIndex(of: bytes.letters(at: 8))
        else { return nil }
        return seconds(CivilDate(year: century * 100 + year, month: month + 1, day: day), time: bytes.time(at: 17))
    }

    // `Sunday, 06-Nov-94 08:49:37 GMT`
    private static func parseRFC850(_ bytes: RawSpan, now: Int64?) -> Int64? {
        let start = bytes.byteCount - 24
        guard start >= 6, isLongWeekday(bytes.extracting(0..<start)), bytes[start] == 0x2C, bytes[start + 1] == 0x20,
            bytes[start + 4] == 0x2D, bytes[start + 8] == 0x2D, bytes[start + 11] == 0x20, bytes[start + 20] == 0x20,
            bytes.letters(at: start + 21) == greenwich,
            let day = bytes.number(at: start + 2), let year = bytes.number(at: start + 9),
            let month = months.firstIndex(of: bytes.letters(at: start + 5))
        else { return nil }
        let date = CivilDate(year: fullYear(year, now: now), month: month + 1, day: day)
        return seconds(date, time: bytes.time(at: start + 12))
    }

    // `Sun Nov  6 08:49:37 1994`
    private static func parseAsctime(_ bytes: RawSpan) -> Int64? {
        guard bytes.byteCount == 24, weekdays.contains(bytes.letters(at: 0)), bytes[7] == 0x20, bytes[10] == 0x20,
            bytes[19] == 0x20,
            let day = bytes[8] == 0x20 ? bytes.digit(at: 9) : bytes.number(at: 8),
            let century = bytes.number(at: 20), let year = bytes.number(at: 22),
            let month = months.firstIndex(of: bytes.letters(at: 4))
        else { return nil }
        return seconds(CivilDate(year: century * 100 + year, month: month + 1, day: day), time: bytes.time(at: 11))
    }

    private static func seconds(_ date: CivilDate, time: Int?) -> Int64? {
        guard let time, date.day >= 1 else { return nil }
        let days = date.daysSinceEpoch
        // The 31st of a shorter month turns out to be another day.
        guard CivilDate(daysSinceEpoch: days) == date else { return nil }
        return days * 86_400 + Int64(time)
    }

    /// RFC 9110 5.6.7: a year more than 50 years ahead is the latest one in the past with the same two digits.
    private static func fullYear(_ short: Int, now: Int64?) -> Int {
        guard let now else { return short < 70 ? 2000 + short : 1900 + short }
        let seconds = min(max(now, formattable.lowerBound), formattable.upperBound)
        let latest = CivilDate(daysSinceEpoch: seconds.flooringQuotient(dividingBy: 86_400)).year + 50
        return latest - (latest - short) % 100
    }

    // MARK: - Names

    private static let greenwich = packed("GMT")
    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].map(packed)
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .map(packed)
    private static let longWeekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// Three letters as a number that compares in one step.
    private static func packed(_ letters: String) -> UInt32 { letters.utf8.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func isLongWeekday(_ bytes: RawSpan) -> Bool {
        longWeekdays.contains { name in
            name.utf8.count == bytes.byteCount && name.utf8.enumerated().allSatisfy { bytes[$0.offset] == $0.element }
        }
    }
}

/// A day of the Gregorian calendar, extended to all years.
///
/// The arithmetic lets years begin in March, so that the leap day is the last of its year, and counts in eras of 400 years, after which
/// the calendar repeats.
package struct CivilDate: Equatable {
    package let year: Int
    package let month: Int
    package let day: Int

    private static let daysPerEra: Int64 = 146_097
    // From 0000-03-01 to 1970-01-01.
    private static let daysBeforeEpoch: Int64 = 719_468

    init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    package init(daysSinceEpoch days: Int64) {
        let shifted = days + Self.daysBeforeEpoch
        let era = shifted.flooringQuotient(dividingBy: Self.daysPerEra)
        let dayOfEra = Int(shifted - era * Self.daysPerEra)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months from March on have 153 days in all, and so have the next five.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let shiftedYear = Int64(month <= 2 ? year - 1 : year)
        let era = shiftedYear.flooringQuotient(dividingBy: 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        return era * Self.daysPerEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - Self.daysBeforeEpoch
    }
}

extension Int64 {
    /// The quotient rounded down, where `/` rounds towards zero.
    fileprivate func flooringQuotient(dividingBy divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

extension OutputRawSpan {
    fileprivate mutating func append(letters: UInt32) {
        append(UInt8(truncatingIfNeeded: letters >> 16))
        append(UInt8(truncatingIfNeeded: letters >> 8))
        append(UInt8(truncatingIfNeeded: letters))
    }

    fileprivate mutating func append(twoDigits value: Int) {
        append(UInt8(0x30 + value / 10))
        append(UInt8(0x30 + value % 10))
    }
}

extension RawSpan {
    fileprivate func letters(at offset: Int) -> UInt32 {
        UInt32(self[offset]) << 16 | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2])
    }

    fileprivate func digit(at offset: Int) -> Int? {
        let value = Int(self[offset]) - 0x30
        return (0...9).contains(value) ? value : nil
    }

    /// Two digits.
    fileprivate func number(at offset: Int) -> Int? {
        guard let tens = digit(at: offset), let ones = digit(at: offset + 1) else { return nil }
        return tens * 10 + ones
    }

    /// `hh:mm:ss` as seconds of the day.
    fileprivate func time(at offset: Int) -> Int? {
        guard self[offset + 2] == 0x3A, self[offset + 5] == 0x3A, let hour = number(at: offset),
            let minute = number(at: offset + 3),
            let second = number(at: offset + 6), hour <= 23, minute <= 59, second <= 60
        else { return nil }
        return hour * 3600 + minute * 60 + second
    }
}

extension HeaderMap {
    /// Makes this the only field of its name, with a date as its value; does not allocate.
    public mutating func set(_ name: HeaderName, date secondsSinceEpoch: Int64) {
        unsafe withUnsafeTemporaryAllocation(byteCount: HTTPDate.byteCount, alignment: 1) { buffer in
            // SAFETY: `format` writes all of the buffer, which is read no further than that and not kept.
            let count = unsafe HTTPDate.format(secondsSinceEpoch: secondsSinceEpoch, to: buffer)
            unsafe set(name, trusted: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
