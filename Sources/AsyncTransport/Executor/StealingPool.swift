internal import CNonBlockingIO
internal import Glibc
internal import Synchronization

/// Several threads that run each other's tasks: the executor of the work-stealing flavour.
///
/// Each worker has a queue; one that runs dry takes half of another's. They share one reactor, which one idle worker polls while
/// the others sleep. A slow callback thus delays nothing but its own request, at the price of atomics and cold caches.
@safe package final class StealingPool: TaskExecutor, @unchecked Sendable {
    // SAFETY: queues are locked; counters are atomic; the semaphore is the kernel's.
    private let queues: [Lock<JobQueue>]
    private let sizes: [Counter]
    private let injected = Lock(JobQueue())
    private let injectedCount = Counter()
    private let reactor: Reactor
    private let isPolling = Atomic<Bool>(false)
    private let isPollerAsleep = Atomic<Bool>(false)
    /// The worker that polls until something happens, for no other was running when it began to; -1 for none.
    private let idlePoller = Atomic<Int>(-1)
    private let sleeperCount = Atomic<Int>(0)
    private let semaphore: UnsafeMutablePointer<sem_t>
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let threads = Lock<[UInt64]>([])

    /// A counter of its own cache-line-sized object, readable without the lock of what it counts.
    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    /// Jobs that a worker runs before it looks at the poller if nobody else does.
    private static let jobsPerPoll = 61
    /// How long a worker polls at most while others run, in milliseconds: one of them may block with a single job behind it, which
    /// was not worth a wake-up when it came.
    private static let watchInterval: Int32 = 2

    init(threadCount: Int) throws(TransportError) {
        reactor = try Reactor()
        queues = (0..<threadCount).map { _ in Lock(JobQueue()) }
        sizes = (0..<threadCount).map { _ in Counter() }
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func start(name: String) throws(TransportError) {
        for index in queues.indices {
            // SAFETY: the +1 taken here is given back when the thread ends.
            let start = unsafe Unmanaged.passRetained(Start(pool: self, index: index)).toOpaque()
            var handle: UInt64 = 0
            let result = unsafe cnbio_thread_start(
                &handle,
                "\(name)-\(index)",
                { raw in
                    guard let raw = unsafe raw else { return }
                    let start = unsafe Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
                    start.pool.run(index: start.index)
                },
                start
            )
            guard result == 0 else {
                unsafe Unmanaged<Start>.fromOpaque(start).release()
                throw TransportError(.thread, errno: -result)
            }
            threads.withLock { $0.append(handle) }
        }
    }

    private final class Start {
        let pool: StealingPool
        let index: Int

        init(pool: StealingPool, index: Int) {
            self.pool = pool
            self.index = index
        }
    }

    /// Lets the queues run empty, then ends the threads and waits for them, except for the calling one.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        for _ in queues.indices { unsafe sem_post(semaphore) }
        reactor.wake()
        let handles = threads.withLock { (list: inout [UInt64]) in
            defer { list = [] }
            return list
        }
        for handle in handles where !cnbio_thread_is_current(handle) { cnbio_thread_join(handle) }
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        drainInline()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let own = ThreadContext.withCurrent { context -> Int? in
            guard let context, context.executor == ObjectIdentifier(self) else { return nil }
            return context.index
        }
        if let own {
            queues[own].withLock { $0.append(job) }
            // One job is what this worker takes next; only a surplus is worth waking another for. Unless this worker blocks: then the
            // one that polls finds the job, if it looks now and then.
            if sizes[own].value.add(1, ordering: .sequentiallyConsistent).oldValue > 0 {
                wakeOne()
            } else {
                keepWatched(own)
            }
            if hasEnded.load(ordering: .sequentiallyConsistent) { drainInline() }
        } else {
            inject(job)
        }
    }

    /// Takes a job from another thread.
    ///
    /// Once it is queued it may run, end its service and let go of the pool, which is therefore kept until this is done.
    private func inject(_ job: UnownedJob) {
        // SAFETY: balanced below.
        let pool = unsafe Unmanaged.passRetained(self)
        injected.withLock { $0.append(job) }
        injectedCount.value.add(1, ordering: .sequentiallyConsistent)
        wakeOne()
        if hasEnded.load(ordering: .sequentiallyConsistent) { drainInline() }
        unsafe pool.release()
    }

    private func wakeOne() {
        var sleepers = sleeperCount.load(ordering: .sequentiallyConsistent)
        while sleepers > 0 {
            let (exchanged, original) = sleeperCount.compareExchange(
                expected: sleepers,
                desired: sleepers - 1,
                ordering: .sequentiallyConsistent
            )
            if exchanged {
                unsafe sem_post(semaphore)
                return
            }
            sleepers = original
        }
        if isPollerAsleep.exchange(false, ordering: .sequentiallyConsistent) { reactor.wake() }
    }

    /// Has the worker that polls look now and then, if it sleeps without end; `own` may be that worker, which is awake then.
    private func keepWatched(_ own: Int) {
        let poller = idlePoller.load(ordering: .sequentiallyConsistent)
        guard poller >= 0, poller != own else { return }
        if idlePoller.exchange(-1, ordering: .sequentiallyConsistent) >= 0 { reactor.wake() }
    }

    private func run(index: Int) {
        ThreadContext(executor: self, reactor: reactor, index: index).enter {
            var sincePoll = 0
            while true {
                if let job = next(for: index) {
                    unsafe job.runSynchronously(on: asUnownedTaskExecutor())
                    sincePoll += 1
                    guard sincePoll >= Self.jobsPerPoll else { continue }
                    sincePoll = 0
                    poll(mayWait: false, worker: index)
                    // Now and then what other threads enqueued goes first, lest a queue that feeds itself starve it.
                    if let job = popInjected() { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
                    continue
                }
                sincePoll = 0
                if isStopping.load(ordering: .acquiring) { return }
                if !poll(mayWait: true, worker: index) { sleep() }
            }
        }
    }

    private func next(for index: Int) -> UnownedJob? {
        if let job = pop(queues[index], sizes[index]) { return job }
        if let job = popInjected() { return job }
        for step in 1..<max(queues.count, 1) {
            let victim = (index + step) % queues.count
            guard sizes[victim].value.load(ordering: .sequentiallyConsistent) > 0 else { continue }
            if let job = steal(from: victim, to: index) { return job }
        }
        return nil
    }

    private func popInjected() -> UnownedJob? {
        guard injectedCount.value.load(ordering: .sequentiallyConsistent) > 0 else { return nil }
        return pop(injected, injectedCount)
    }

    private func pop(_ queue: Lock<JobQueue>, _ size: Counter) -> UnownedJob? {
        guard let job = queue.withLock({ $0.popFirst() }) else { return nil }
        size.value.subtract(1, ordering: .sequentiallyConsistent)
        return job
    }

    private func steal(from victim: Int, to index: Int) -> UnownedJob? {
        // Never two queue locks at once: the loot passes through a queue of its own.
        var loot = JobQueue(capacity: 64)
        queues[victim].withLock { loot.stealHalf(of: &$0) }
        sizes[victim].value.subtract(loot.count, ordering: .sequentiallyConsistent)
        guard let first = loot.popFirst() else { return nil }
        let surplus = loot.count
        sizes[index].value.add(surplus, ordering: .sequentiallyConsistent)
        while let job = loot.popFirst() { queues[index].withLock { $0.append(job) } }
        // While it was being moved, nobody else could see it.
        if surplus > 0 { wakeOne() }
        return first
    }

    /// Polls unless another worker does; false when it did not.
    @discardableResult
    private func poll(mayWait: Bool, worker: Int) -> Bool {
        guard !isPolling.exchange(true, ordering: .acquiringAndReleasing) else { return false }
        if mayWait {
            isPollerAsleep.store(true, ordering: .sequentiallyConsistent)
            idlePoller.store(worker, ordering: .sequentiallyConsistent)
            // Looked at after that: whoever runs by now is counted, whoever begins to later sees the poller.
            let areOthersAsleep = sleeperCount.load(ordering: .sequentiallyConsistent) >= queues.count - 1
            if !areOthersAsleep { idlePoller.store(-1, ordering: .sequentiallyConsistent) }
            let mayWait = !hasWork && !isStopping.load(ordering: .sequentiallyConsistent)
            reactor.poll(mayWait: mayWait, atMost: areOthersAsleep ? nil : Self.watchInterval)
            idlePoller.store(-1, ordering: .relaxed)
            isPollerAsleep.store(false, ordering: .relaxed)
        } else {
            reactor.poll(mayWait: false)
        }
        isPolling.store(false, ordering: .sequentiallyConsistent)
        // Whoever found the role taken may be asleep now, and this worker is about to be busy: hand the role on.
        if !mayWait || hasWork { wakeOne() }
        return true
    }

    /// Jobs that wait for a worker.
    var queuedJobCount: Int {
        sizes.reduce(injectedCount.value.load(ordering: .relaxed)) { $0 + $1.value.load(ordering: .relaxed) }
    }

    private var hasWork: Bool {
        injectedCount.value.load(ordering: .sequentiallyConsistent) > 0
            || sizes.contains { $0.value.load(ordering: .sequentiallyConsistent) > 0 }
    }

    private func sleep() {
        sleeperCount.add(1, ordering: .sequentiallyConsistent)
        // Look again now that wakers can see this worker: work or the polling role may have become free in between.
        let mustStay = hasWork || !isPolling.load(ordering: .sequentiallyConsistent)
        if mustStay || isStopping.load(ordering: .sequentiallyConsistent) {
            var sleepers = sleeperCount.load(ordering: .sequentiallyConsistent)
            while sleepers > 0 {
                let (exchanged, original) = sleeperCount.compareExchange(
                    expected: sleepers,
                    desired: sleepers - 1,
                    ordering: .sequentiallyConsistent
                )
                if exchanged { return }
                sleepers = original
            }
            // A waker has already counted this worker out: take its post.
        }
        while unsafe sem_wait(semaphore) != 0 {}
    }

    private func drainInline() {
        while let job = next(for: 0) {
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
