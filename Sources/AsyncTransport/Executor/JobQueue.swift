/// A first-in first-out ring of jobs.
@safe struct JobQueue: ~Copyable {
    // SAFETY: `slots` holds `capacity` (a power of two) places, of which `count` from `head` on are initialised; UnownedJob is trivial.
    private var slots: UnsafeMutablePointer<UnownedJob>
    private var capacity: Int
    private var head = 0
    private(set) var count = 0

    init(capacity: Int = 256) {
        self.capacity = capacity
        unsafe slots = .allocate(capacity: capacity)
    }

    deinit {
        unsafe slots.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ job: UnownedJob) {
        if count == capacity { grow() }
        unsafe (slots + ((head &+ count) & (capacity - 1))).initialize(to: job)
        count &+= 1
    }

    mutating func popFirst() -> UnownedJob? {
        guard count > 0 else { return nil }
        let job = unsafe slots[head]
        head = (head &+ 1) & (capacity - 1)
        count &-= 1
        return job
    }

    /// Moves the older half (at least one) of `other`'s jobs to the end of this queue.
    mutating func stealHalf(of other: inout JobQueue) {
        for _ in 0..<((other.count + 1) / 2) {
            guard let job = other.popFirst() else { return }
            append(job)
        }
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<UnownedJob>.allocate(capacity: capacity * 2)
        for index in 0..<count {
            unsafe (larger + index).initialize(to: slots[(head &+ index) & (capacity - 1)])
        }
        unsafe slots.deallocate()
        unsafe slots = larger
        capacity *= 2
        head = 0
    }
}
