internal import AsyncTransport
internal import HTTPCodecs

/// The time of day as lines have it, whose text is made once a second.
struct LogClock: ~Copyable {
    private let iso = TextBuffer(capacity: 24)
    private let local = TextBuffer(capacity: 32)
    private var second = Int64.min
    /// What to add to the monotonic clock to get nanoseconds since 1970.
    private var offset: Int64 = 0
    private var offsetHoldsUntil: UInt64 = 0
    /// What `adopt` was called with, since 1970.
    private(set) var milliseconds: Int64 = 0

    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Makes a moment on the monotonic clock the time that is written next.
    mutating func adopt(_ monotonic: UInt64) {
        if monotonic >= offsetHoldsUntil {
            // The system's clock may be set: asked once a second, and not per line.
            let now = SystemClock.monotonicNanoseconds
            offset = SystemClock.nanosecondsSinceEpoch &- Int64(truncatingIfNeeded: now)
            offsetHoldsUntil = now &+ 1_000_000_000
        }
        milliseconds = max(Int64(truncatingIfNeeded: monotonic) &+ offset, 0) / 1_000_000
        let current = milliseconds / 1_000
        if current != second { render(current) }
    }

    /// Appends `2026-11-29T10:00:00.123Z`.
    func writeISO8601(to buffer: TextBuffer) {
        iso.withBytes { buffer.append($0) }
        buffer.append(decimal: UInt64(milliseconds % 1_000), digitCount: 3)
        buffer.append(UInt8(ascii: "Z"))
    }

    /// Appends `29/Nov/2026:10:00:00 +0000`.
    func writeLocal(to buffer: TextBuffer) {
        local.withBytes { buffer.append($0) }
    }

    /// Appends seconds since 1970, with milliseconds.
    func writeSeconds(to buffer: TextBuffer) {
        buffer.append(decimal: UInt64(milliseconds / 1_000))
        buffer.append(UInt8(ascii: "."))
        buffer.append(decimal: UInt64(milliseconds % 1_000), digitCount: 3)
    }

    private mutating func render(_ current: Int64) {
        second = current
        let date = CivilDate(daysSinceEpoch: current / 86_400)
        let time = UInt64(current % 86_400)
        iso.removeAll()
        iso.append(decimal: UInt64(date.year), digitCount: 4)
        iso.append(UInt8(ascii: "-"))
        iso.append(decimal: UInt64(date.month), digitCount: 2)
        iso.append(UInt8(ascii: "-"))
        iso.append(decimal: UInt64(date.day), digitCount: 2)
        iso.append(UInt8(ascii: "T"))
        Self.write(time, to: iso)
        iso.append(UInt8(ascii: "."))
        local.removeAll()
        local.append(decimal: UInt64(date.day), digitCount: 2)
        local.append(UInt8(ascii: "/"))
        local.append(Self.months[date.month - 1])
        local.append(UInt8(ascii: "/"))
        local.append(decimal: UInt64(date.year), digitCount: 4)
        local.append(UInt8(ascii: ":"))
        Self.write(time, to: local)
        local.append(" +0000")
    }

    /// Appends a time of day in seconds as `hh:mm:ss`.
    private static func write(_ time: UInt64, to buffer: TextBuffer) {
        buffer.append(decimal: time / 3_600, digitCount: 2)
        buffer.append(UInt8(ascii: ":"))
        buffer.append(decimal: time / 60 % 60, digitCount: 2)
        buffer.append(UInt8(ascii: ":"))
        buffer.append(decimal: time % 60, digitCount: 2)
    }
}
