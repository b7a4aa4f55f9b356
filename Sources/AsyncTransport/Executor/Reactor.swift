internal import CNonBlockingIO
internal import Synchronization

/// An epoll instance with its clock and timing wheel: each pinned worker has one, the workers of a stealing pool share one.
@safe package final class Reactor: @unchecked Sendable {
    // SAFETY: `events` is used by whichever one thread polls (a pinned worker, or the holder of the pool's polling role); all else
    // is immutable, atomic or locked.
    private let poller: Int32
    private let wakeDescriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    private static let eventCapacity = 512

    private let clock = Atomic<UInt64>(0)
    private let timers: Lock<TimerWheel>
    /// The time the polling thread sleeps until; 0 while none sleeps.
    private let sleepingUntil = Atomic<UInt64>(0)
    /// A manual clock moves only when told to.
    private let isManual: Bool

    /// Creates the kernel objects.
    ///
    /// - Parameter start: nanoseconds at which a clock stands that moves only by ``advance(to:)``; nil follows the system's.
    /// - Throws: ``TransportError`` when descriptors have run out.
    package init(manualClockStartingAt start: UInt64? = nil) throws(TransportError) {
        var poller: Int32 = -1
        var wake: Int32 = -1
        let result = unsafe cnbio_poller_create(&poller, &wake)
        guard result == 0 else { throw TransportError(.poller, errno: -result) }
        self.poller = poller
        wakeDescriptor = wake
        isManual = start != nil
        let now = start ?? cnbio_monotonic_nanoseconds()
        clock.store(now, ordering: .relaxed)
        timers = Lock(TimerWheel(now: now))
        unsafe events = .allocate(capacity: Self.eventCapacity)
    }

    deinit {
        cnbio_close(poller)
        cnbio_close(wakeDescriptor)
        unsafe events.deallocate()
    }

    /// The calling worker's reactor.
    ///
    /// Descriptors and deadlines need one: calling this on any other thread is a programming error.
    package static var ofCurrentThread: Reactor {
        guard let reactor = ThreadContext.withCurrent({ $0?.reactor }) else {
            preconditionFailure("streams, deadlines and parkers exist only in tasks that run on a ServiceExecutor")
        }
        return reactor
    }

    // MARK: - Time

    /// Nanoseconds on the monotonic clock, a few milliseconds behind at most, and not before the last poll.
    ///
    /// The time of the last poll alone would not do: a callback may have blocked since, or another thread may be polling all the
    /// while, and a timeout counted from then would have passed before it began.
    package var now: UInt64 {
        let polled = clock.load(ordering: .relaxed)
        return isManual ? polled : max(polled, cnbio_monotonic_coarse_nanoseconds())
    }

    /// Moves a manual clock and wakes what has come due.
    package func advance(to nanoseconds: UInt64) {
        clock.store(nanoseconds, ordering: .relaxed)
        expireTimers()
    }

    func link(_ parker: Parker, tick: UInt64) {
        timers.withLock { $0.link(parker, tick: tick) }
        // Another thread's poll may be sleeping past this deadline (only where workers share a reactor).
        if sleepingUntil.load(ordering: .sequentiallyConsistent) > tick << TimerWheel.tickShift { wake() }
    }

    func unlink(_ parker: Parker) {
        timers.withLock { $0.unlink(parker) }
    }

    private func expireTimers() {
        for parker in timers.withLock({ $0.expire(now: clock.load(ordering: .relaxed)) }) { parker.unpark() }
    }

    // MARK: - Descriptors

    func add(_ descriptor: Int32, slot: UnsafeMutablePointer<ReadinessSlot>) throws(TransportError) {
        let token = unsafe UInt64(UInt(bitPattern: slot)) | UInt64(slot.pointee.generation) << 48
        let result = cnbio_poller_add(poller, descriptor, token)
        guard result == 0 else { throw TransportError(.poller, errno: -result) }
    }

    func remove(_ descriptor: Int32) {
        cnbio_poller_remove(poller, descriptor)
    }

    // MARK: - Polling

    /// Interrupts a poll that sleeps, from any thread.
    func wake() {
        cnbio_poller_wake(wakeDescriptor)
    }

    /// Waits for events, updates the clock, marks what is ready and wakes what has come due.
    ///
    /// - Parameters:
    ///   - mayWait: false only looks.
    ///   - limit: how many milliseconds it waits at most; nil waits until something happens or comes due.
    package func poll(mayWait: Bool, atMost limit: Int32? = nil) {
        var timeout: Int32 = 0
        if mayWait {
            // Under the lock: whoever links an earlier deadline afterwards sees until when this thread sleeps, and wakes it.
            let next = timers.withLock { (wheel: inout TimerWheel) in
                let next = wheel.nextExpiry()
                sleepingUntil.store(next ?? .max, ordering: .sequentiallyConsistent)
                return next
            }
            timeout = milliseconds(until: next)
            if let limit, timeout < 0 || timeout > limit { timeout = limit }
        }
        let count = unsafe cnbio_poller_wait(poller, events, Int32(Self.eventCapacity), timeout)
        if mayWait { sleepingUntil.store(0, ordering: .relaxed) }
        if !isManual { clock.store(cnbio_monotonic_nanoseconds(), ordering: .relaxed) }
        for index in 0..<Int(max(count, 0)) {
            let token = unsafe cnbio_event_token(events + index)
            // SAFETY: the token's low 48 bits are a slot of the readiness table, which is never freed; 0 is the eventfd's.
            guard let slot = unsafe UnsafeMutablePointer<ReadinessSlot>(bitPattern: UInt(token & 0xFFFF_FFFF_FFFF))
            else { continue }
            unsafe slot.pointee.signal(events: events[index].events, generation: UInt32(token >> 48))
        }
        expireTimers()
    }

    private func milliseconds(until next: UInt64?) -> Int32 {
        guard let next, !isManual else { return -1 }
        let remaining = next > now ? next - now : 0
        return Int32(min(remaining / 1_000_000 + 1, UInt64(Int32.max)))
    }
}
