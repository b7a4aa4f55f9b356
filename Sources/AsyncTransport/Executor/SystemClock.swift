internal import CNonBlockingIO

/// The time of day.
package enum SystemClock {
    /// Seconds since 1970-01-01 00:00 UTC, good to some milliseconds.
    package static var secondsSinceEpoch: Int64 { cnbio_realtime_seconds() }
}
