internal import Synchronization

/// A hashed timing wheel of parkers: 2048 slots of 2^23 ns (8.4 ms), one revolution in about 17 s.
///
/// Deadlines are lazy: a parker stays linked where it was first put, and when that slot comes round its deadline as it is then
/// decides whether it fires, moves on, or drops out. So a connection that re-arms its timeout with each request costs no list work.
@safe struct TimerWheel: ~Copyable {
    static let tickShift: UInt64 = 23
    private static let slotCount = 2048
    private static let mask = UInt64(slotCount - 1)

    // SAFETY: one list head per slot; parkers are immortal (see `ParkerPool`), so an unowned reference never dangles.
    private let slots: UnsafeMutablePointer<Unmanaged<Parker>?>
    private var occupied: [UInt64]
    private(set) var count = 0
    /// The first tick that has not been swept yet.
    private var nextTick: UInt64

    init(now: UInt64) {
        unsafe slots = .allocate(capacity: Self.slotCount)
        unsafe slots.initialize(repeating: nil, count: Self.slotCount)
        occupied = Array(repeating: 0, count: Self.slotCount / 64)
        nextTick = now >> Self.tickShift
    }

    deinit {
        unsafe slots.deallocate()
    }

    /// The tick at whose end `deadline` has surely passed.
    static func tick(of deadline: UInt64) -> UInt64 { (deadline >> tickShift) &+ 1 }

    mutating func link(_ parker: Parker, tick: UInt64) {
        if unsafe parker.links.tick != .max { unlink(parker) }
        let tick = max(tick, nextTick)
        let slot = Int(tick & Self.mask)
        let head = unsafe slots[slot]
        unsafe parker.links.next = head
        unsafe parker.links.previous = nil
        unsafe head?.takeUnretainedValue().links.previous = .passUnretained(parker)
        unsafe slots[slot] = .passUnretained(parker)
        unsafe parker.links.tick = tick
        parker.linkedTick.store(tick, ordering: .sequentiallyConsistent)
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
        count &+= 1
    }

    mutating func unlink(_ parker: Parker) {
        guard unsafe parker.links.tick != .max else { return }
        let slot = unsafe Int(parker.links.tick & Self.mask)
        if let previous = unsafe parker.links.previous?.takeUnretainedValue() {
            unsafe previous.links.next = parker.links.next
        } else {
            unsafe slots[slot] = parker.links.next
            if unsafe parker.links.next == nil { occupied[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
        }
        unsafe parker.links.next?.takeUnretainedValue().links.previous = parker.links.previous
        unsafe parker.links.next = nil
        unsafe parker.links.previous = nil
        unsafe parker.links.tick = .max
        parker.linkedTick.store(.max, ordering: .sequentiallyConsistent)
        count &-= 1
    }

    /// Sweeps the slots up to `now` and returns the parkers whose deadline has passed, to be woken once no lock is held.
    mutating func expire(now: UInt64) -> [Parker] {
        let current = now >> Self.tickShift
        guard current >= nextTick else { return [] }
        guard count > 0 else {
            nextTick = current + 1
            return []
        }
        var due: [Parker] = []
        let first = max(nextTick, current >= Self.mask ? current - Self.mask : 0)
        nextTick = current + 1
        for tick in first...current where occupied[Int(tick & Self.mask) >> 6] != 0 {
            var entry = unsafe slots[Int(tick & Self.mask)]
            while let parker = unsafe entry?.takeUnretainedValue() {
                unsafe entry = parker.links.next
                guard unsafe parker.links.tick <= current else { continue }  // a later revolution's
                unlink(parker)
                let deadline = parker.deadline.load(ordering: .sequentiallyConsistent)
                if deadline <= now {
                    due.append(parker)
                } else if deadline != .max {
                    link(parker, tick: Self.tick(of: deadline))
                }
            }
        }
        return due
    }

    /// The time of the next sweep that could find something; nil when nothing is linked.
    func nextExpiry() -> UInt64? {
        guard count > 0 else { return nil }
        let start = Int(nextTick & Self.mask)
        for step in 0...occupied.count {
            let word = ((start >> 6) + step) & (occupied.count - 1)
            var bits = occupied[word]
            if step == 0 { bits &= ~0 << UInt64(start & 63) }
            if step == occupied.count { bits &= ~(~0 << UInt64(start & 63)) }
            if bits != 0 {
                let distance = ((word << 6) + bits.trailingZeroBitCount - start) & Int(Self.mask)
                return (nextTick + UInt64(distance)) << Self.tickShift
            }
        }
        return nil
    }
}
