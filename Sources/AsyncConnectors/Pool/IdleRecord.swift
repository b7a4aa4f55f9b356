internal import AsyncTransport

/// What a pool remembers about a connection that rests in it.
package struct IdleRecord {
    /// When the connection is too old to be used again, in nanoseconds.
    package var expiry = UInt64.max
    /// When it began to rest, in nanoseconds.
    package var since: UInt64 = 0
    /// Seconds for which the upstream has promised to keep it (`Keep-Alive: timeout=`).
    package var announcedTimeoutSeconds: Int?

    package init() {}

    /// Starts resting now, for at most `idleTimeout`, or a second less than what the upstream promised if that is shorter.
    package mutating func begin(idleTimeout: UInt64) {
        since = Deadline.currentNanoseconds
        var limit = idleTimeout
        if let seconds = announcedTimeoutSeconds {
            // A second's margin for the request to get there; a promise of a second or less is none worth having.
            limit = min(limit, Duration.seconds(max(seconds, 1) - 1).wholeNanoseconds)
        }
        let (sum, overflow) = since.addingReportingOverflow(limit)
        expiry = overflow ? .max : sum
    }

    package var hasExpired: Bool { Deadline.currentNanoseconds >= expiry }
}
