internal import CNonBlockingIO

/// The time of day, and the time that only goes forward.
package enum SystemClock {
    /// Seconds since 1970-01-01 00:00 UTC, good to some milliseconds.
    package static var secondsSinceEpoch: Int64 { cnbio_realtime_seconds() }

    /// Nanoseconds since 1970-01-01 00:00 UTC.
    package static var nanosecondsSinceEpoch: Int64 { cnbio_realtime_nanoseconds() }

    /// Nanoseconds on CLOCK_MONOTONIC, now: it costs a call, where ``Deadline`` takes the reactor's last look at the clock.
    package static var monotonicNanoseconds: UInt64 { cnbio_monotonic_nanoseconds() }
}
