internal import CNonBlockingIO

/// A point on the monotonic clock by which something must have happened.
///
/// Deadlines are kept by a timing wheel whose ticks last about 8 ms: one fires at its time or up to a tick later, never before.
public struct Deadline: Hashable, Comparable, Sendable {
    /// Nanoseconds on CLOCK_MONOTONIC; `UInt64.max` is never.
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// The deadline that does not come.
    public static let never = Deadline(nanoseconds: .max)

    /// Returns the deadline `timeout` from now; never when `timeout` is nil.
    ///
    /// On a worker, now may be a few milliseconds ago: this costs no system call.
    public static func after(_ timeout: Duration?) -> Deadline {
        guard let timeout else { return .never }
        return .after(nanoseconds: timeout.wholeNanoseconds)
    }

    package static func after(nanoseconds: UInt64) -> Deadline {
        let (sum, overflow) = currentNanoseconds.addingReportingOverflow(nanoseconds)
        return Deadline(nanoseconds: overflow ? .max : sum)
    }

    /// The first deadline not before `nanoseconds` from now that is kept to about a millisecond: it is where a tick ends.
    package static func precise(after nanoseconds: UInt64) -> Deadline {
        let tick = Deadline.after(nanoseconds: nanoseconds).nanoseconds >> TimerWheel.tickShift &+ 1
        return Deadline(nanoseconds: tick << TimerWheel.tickShift - 1)
    }

    /// Whether the moment has come.
    public var hasPassed: Bool { nanoseconds != .max && Deadline.currentNanoseconds >= nanoseconds }

    /// Now, on the clock that deadlines are counted by: on a worker its reactor's, elsewhere the system's.
    package static var currentNanoseconds: UInt64 {
        ThreadContext.withCurrent { $0?.reactor.now } ?? cnbio_monotonic_nanoseconds()
    }

    /// Now, on the system's CLOCK_MONOTONIC, whatever the worker's clock says.
    package static var systemNanoseconds: UInt64 { cnbio_monotonic_nanoseconds() }

    /// Orders deadlines by time.
    public static func < (left: Deadline, right: Deadline) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
    /// The duration in nanoseconds; negative ones are 0, ones past 584 years are the largest number.
    package var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = scaled.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || carried ? .max : sum
    }
}
