internal import AsyncConnectors
internal import AsyncTransport
internal import CoreMetrics
internal import Synchronization

// What no event tells of is looked at now and then, by tasks of the service itself.

extension ServiceMetrics {
    /// How often each worker's event loop is timed, in nanoseconds.
    private static let lagInterval: UInt64 = 100_000_000

    /// Jobs that waited for a worker when it was last looked at.
    private final class QueueDepth: Sendable {
        let jobs = Atomic<Int>(0)
    }

    /// Looks at the service's pools and executors until the task is cancelled.
    func sample<App: ServerApp>(_ app: App, on executor: ServiceExecutor) async {
        let executors = executor.executors
        let depths = executors.map { _ in QueueDepth() }
        await withDiscardingTaskGroup { group in
            for (executor, depth) in zip(executors, depths) {
                group.addTask(executorPreference: executor) { [self] in await timeLoop(depth) }
            }
            await withParker { parker in
                var counted = PoolFacts.none
                repeat {
                    connections.showStreams()
                    runtime.queueDepth.set(Int64(depths.reduce(0) { $0 + $1.jobs.load(ordering: .relaxed) }))
                    if let facts = await app.upstreams?.poolFacts() { runtime.show(facts, counted: &counted) }
                } while await parker.waits(until: .after(samplingInterval))
            }
            group.cancelAll()
        }
    }

    /// Sees how much later than it should this task goes on, and what waits behind it then.
    private func timeLoop(_ depth: QueueDepth) async {
        await withParker { parker in
            while true {
                let due = Deadline.precise(after: Self.lagInterval)
                guard await parker.waits(until: due) else { return }
                runtime.lag.record(from: due.nanoseconds, to: SystemClock.monotonicNanoseconds)
                depth.jobs.store(ServiceExecutor.queuedJobCount, ordering: .relaxed)
            }
        }
    }
}

extension Parker {
    /// Waits for a moment; false when the task was cancelled before it came.
    fileprivate func waits(until deadline: Deadline) async -> Bool {
        while !deadline.hasPassed {
            if isCancelled { return false }
            await park(until: deadline)
        }
        return !isCancelled
    }
}
