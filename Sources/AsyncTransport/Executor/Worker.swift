internal import CNonBlockingIO
internal import Synchronization

/// One thread that runs tasks and polls for what they wait for: the executor of the pinned flavour.
///
/// A task that prefers a worker starts there and resumes there, always. Jobs that its own thread enqueues go to a plain queue
/// without lock or atomics; those of other threads go through a locked inbox and, if the worker sleeps, one write to its eventfd.
package final class Worker: TaskExecutor, @unchecked Sendable {
    // SAFETY: `local` and `context` are touched by the worker's own thread only; the rest is atomic, locked or immutable.
    @exclusivity(unchecked) private var local = JobQueue()
    private let inbox = Lock(JobQueue(capacity: 16))
    private let inboxCount = Atomic<Int>(0)
    private let isSleeping = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let reactor: Reactor
    private let index: Int
    private let thread = Lock<UInt64?>(nil)
    /// Connections that live here, kept by the listeners, to spread new ones.
    let connectionCount = Atomic<Int>(0)

    /// Jobs run before the next look at the poller, so that a busy queue does not starve descriptors.
    private static let jobsPerPoll = 512

    init(index: Int) throws(TransportError) {
        self.index = index
        reactor = try Reactor()
    }

    func start(name: String) throws(TransportError) {
        // SAFETY: the +1 taken here is given back when the thread ends.
        let argument = unsafe Unmanaged.passRetained(self).toOpaque()
        var handle: UInt64 = 0
        let result = unsafe cnbio_thread_start(
            &handle,
            name,
            { raw in
                guard let raw = unsafe raw else { return }
                unsafe Unmanaged<Worker>.fromOpaque(raw).takeRetainedValue().run()
            },
            argument
        )
        guard result == 0 else {
            unsafe Unmanaged<Worker>.fromOpaque(argument).release()
            throw TransportError(.thread, errno: -result)
        }
        thread.withLock { $0 = handle }
    }

    /// Lets the queue run empty, then ends the thread and waits for it, unless called on the worker itself.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        reactor.wake()
        guard let handle = thread.withLock({ $0.take() }), !cnbio_thread_is_current(handle) else { return }
        cnbio_thread_join(handle)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isOwnThread = ThreadContext.withCurrent { $0?.executor == ObjectIdentifier(self) }
        if isOwnThread {
            unsafe local.append(job)
        } else {
            deliver(job)
        }
    }

    /// Takes a job from another thread.
    ///
    /// Once it is queued it may run, end its service and let go of the worker, which is therefore kept until this is done.
    private func deliver(_ job: UnownedJob) {
        // SAFETY: balanced below.
        let worker = unsafe Unmanaged.passRetained(self)
        inbox.withLock { (queue: inout JobQueue) in
            queue.append(job)
            inboxCount.add(1, ordering: .sequentiallyConsistent)
        }
        if isSleeping.exchange(false, ordering: .sequentiallyConsistent) { reactor.wake() }
        // The thread is gone: what still arrives (a task that outlived its service) runs where it is enqueued.
        if hasEnded.load(ordering: .sequentiallyConsistent) { drainInboxInline() }
        unsafe worker.release()
    }

    private func run() {
        ThreadContext(executor: self, reactor: reactor, index: index).enter {
            while true {
                runJobs()
                takeInbox()
                guard unsafe local.isEmpty else {
                    reactor.poll(mayWait: false)
                    continue
                }
                if isStopping.load(ordering: .acquiring) { break }
                sleep()
            }
        }
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        drainInboxInline()
    }

    private func runJobs() {
        var budget = Self.jobsPerPoll
        while budget > 0, let job = unsafe local.popFirst() {
            // Exactly the executor that the task carries: any other makes the runtime enqueue it again.
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
            budget -= 1
        }
    }

    private func takeInbox() {
        guard inboxCount.load(ordering: .acquiring) > 0 else { return }
        inbox.withLock { (queue: inout JobQueue) in
            inboxCount.subtract(queue.count, ordering: .relaxed)
            while let job = queue.popFirst() { unsafe local.append(job) }
        }
    }

    private func sleep() {
        isSleeping.store(true, ordering: .sequentiallyConsistent)
        let mayWait = inboxCount.load(ordering: .sequentiallyConsistent) == 0 && !isStopping.load(ordering: .relaxed)
        reactor.poll(mayWait: mayWait)
        isSleeping.store(false, ordering: .relaxed)
    }

    private func drainInboxInline() {
        while let job = inbox.withLock({ $0.popFirst() }) {
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

extension Worker {
    /// Jobs that wait for their turn; for the worker's own thread to ask.
    var queuedJobCount: Int { unsafe local.count + inboxCount.load(ordering: .relaxed) }

    /// A connection that ``ServiceExecutor/leastLoadedWorker()`` placed here has ended.
    package func connectionEnded() {
        connectionCount.subtract(1, ordering: .relaxed)
    }
}
