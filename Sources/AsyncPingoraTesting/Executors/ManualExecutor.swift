internal import AsyncTransport

/// A task executor without threads: its jobs run when the test says so, on the test's thread, and its clock stands still until moved.
///
/// Timeouts thus come due without waiting and always in the same order:
///
///     let executor = try ManualExecutor()
///     let pending = executor.start { try await session.readRequest() }
///     executor.runUntilIdle()
///     executor.advance(by: .seconds(60))
///     #expect(throws: PingoraError.self) { try pending.result?.get() }
///
/// Drive it from one thread at a time. Real descriptors work as well: ``runUntilIdle()`` looks at them without waiting.
public final class ManualExecutor: TaskExecutor {
    private let ready = Lock<[UnownedJob]>([])
    private let reactor: Reactor
    private let context: ConfinedContext

    /// The thread context, which only whoever drives the executor touches.
    // SAFETY: used by the one thread that drives the executor, as its documentation asks.
    private struct ConfinedContext: @unchecked Sendable {
        let value: ThreadContext
    }

    /// Creates an executor whose clock stands at an hour after the zero of its clock.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when descriptors have run out.
    public init() throws {
        reactor = try Reactor(manualClockStartingAt: 3_600_000_000_000)
        context = ConfinedContext(
            value: ThreadContext(executor: ObjectIdentifier(reactor), reactor: reactor, index: 0)
        )
        context.value.taskExecutor = self
    }

    /// Collects a job for the next ``runUntilIdle()``.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        ready.withLock { $0.append(job) }
    }

    /// Runs jobs, and what they enqueue, until none is left and no descriptor has news; returns how many ran.
    @discardableResult
    public func runUntilIdle() -> Int {
        var total = 0
        context.value.enter {
            while true {
                reactor.poll(mayWait: false)
                let jobs = ready.withLock { (queue: inout [UnownedJob]) in
                    defer { queue = [] }
                    return queue
                }
                guard !jobs.isEmpty else { return }
                // SAFETY: each job was enqueued here and is run exactly once.
                for job in jobs { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
                total += jobs.count
            }
        }
        return total
    }

    /// Moves the clock and wakes what has come due, then runs until idle; returns how many jobs ran.
    ///
    /// Deadlines have a grain of some 8 ms: move a little further than the one that is to fire.
    @discardableResult
    public func advance(by duration: Duration) -> Int {
        let sum = reactor.now.addingReportingOverflow(duration.wholeNanoseconds)
        reactor.advance(to: sum.overflow ? .max : sum.partialValue)
        return runUntilIdle()
    }

    /// Starts a task on this executor; it does nothing until the executor is driven.
    public func start<Success: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Success
    ) -> PendingTask<Success> {
        let pending = PendingTask<Success>()
        // LINT: allow task, because the test drives it by hand and there is no group that could hold it.
        let task = Task(executorPreference: self) {
            do {
                pending.finish(.success(try await operation()))
            } catch {
                pending.finish(.failure(error))
            }
        }
        pending.begin(task)
        return pending
    }
}

/// A task that a ``ManualExecutor`` runs, and what came of it.
public final class PendingTask<Success: Sendable>: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var result: Result<Success, any Error>?
    }

    private let state = Lock(State())

    init() {}

    /// What the task returned or threw; nil while it has not ended.
    public var result: Result<Success, any Error>? { state.withLock { $0.result } }

    /// Whether the task has ended.
    public var isFinished: Bool { result != nil }

    /// Cancels the task; drive the executor to see it take note.
    public func cancel() {
        state.withLock { $0.task }?.cancel()
    }

    func begin(_ task: Task<Void, Never>) {
        state.withLock { $0.task = task }
    }

    func finish(_ result: Result<Success, any Error>) {
        state.withLock { $0.result = result }
    }
}
