internal import AsyncTransport

/// How long a client may keep waiting what is being sent to it.
///
/// Without a minimum rate it must take some of it within each write timeout. With one it may take as long as all the bytes do at that
/// rate, at least a second, counted from when it first had to be waited for: taking a byte now and then does not buy it more time.
struct SendClock {
    /// When the client has been too slow; never while nothing waits for it.
    private(set) var deadline = Deadline.never
    private var began = Deadline.never
    private var takenCount = 0

    /// Counts bytes that the client has taken.
    mutating func clientHasTaken(_ count: Int) {
        takenCount += count
        deadline = .never
    }

    /// Everything has been taken.
    mutating func stop() {
        self = SendClock()
    }

    /// Something waits to be taken: sets the deadline, unless there is one.
    mutating func run(for downstream: any DownstreamSession) {
        guard deadline == .never else { return }
        guard let rate = downstream.options.minimumSendRate, rate > 0 else {
            deadline = .after(nanoseconds: downstream.timeouts.write)
            return
        }
        if began == .never {
            began = Deadline(nanoseconds: Deadline.currentNanoseconds)
            takenCount = 0
        }
        let seconds = max(Double(takenCount + downstream.pendingByteCount) / Double(rate), 1)
        deadline = Deadline(nanoseconds: began.nanoseconds + UInt64(min(seconds, 1e9) * 1e9))
    }
}
