internal import AsyncTransport
internal import HTTPCodecs

/// The time of day, for `Date` fields.
enum WallClock {
    /// Sets `Date` to now (RFC 9110 6.6.1).
    static func setDate(in headers: inout HeaderMap) {
        headers.set(.date, date: SystemClock.secondsSinceEpoch)
    }
}
