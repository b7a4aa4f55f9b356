internal import CNonBlockingIO
internal import Synchronization

/// How a service's threads share its tasks.
public enum ExecutorFlavor: String, Sendable, CaseIterable {
    /// N single-thread workers; a connection lives on one from accept to close. Least CPU per request.
    case pinned
    /// N workers, any of which runs any task that is ready. Even when callbacks block.
    case stealing
}

/// The threads of one service: a task executor with timers, readiness and buffers of its own, shared with no other service.
///
/// Start it, give tasks a preference for one of its ``executors`` (a service does that for you), and shut it down when their group
/// has ended. Child tasks inherit the preference.
public final class ServiceExecutor: Sendable {
    /// The flavour it was made with.
    public let flavor: ExecutorFlavor
    /// How many threads it has.
    public let threadCount: Int
    private let workers: [Worker]
    private let pool: StealingPool?
    private let nextWorker = Atomic<Int>(0)

    /// Creates and starts the threads.
    ///
    /// - Parameters:
    ///   - name: what the threads are called; the kernel keeps 15 bytes, the number included.
    ///   - threadCount: nil means one per core that this process may use.
    ///   - flavor: whether tasks stay on one thread or go to whichever is free.
    /// - Throws: ``TransportError`` when descriptors or threads have run out.
    public init(name: String, threadCount: Int? = nil, flavor: ExecutorFlavor = .pinned) throws(TransportError) {
        let count = max(threadCount ?? Self.availableCoreCount, 1)
        self.flavor = flavor
        self.threadCount = count
        switch flavor {
        case .pinned:
            var made: [Worker] = []
            for index in 0..<count { made.append(try Worker(index: index)) }
            workers = made
            pool = nil
            do throws(TransportError) {
                for (index, worker) in made.enumerated() { try worker.start(name: "\(name.prefix(12))-\(index)") }
            } catch {
                for worker in made { worker.stop() }
                throw error
            }
        case .stealing:
            let made = try StealingPool(threadCount: count)
            workers = []
            pool = made
            do throws(TransportError) {
                try made.start(name: String(name.prefix(12)))
            } catch {
                made.stop()
                throw error
            }
        }
    }

    /// The task executors that tasks may prefer: one per worker (pinned) or a single one (stealing).
    public var executors: [any TaskExecutor] {
        if let pool { return [pool] }
        return workers
    }

    /// The executor to give the next independent task: the pool, or the workers in turn.
    public func nextExecutor() -> any TaskExecutor {
        if let pool { return pool }
        let turn = nextWorker.add(1, ordering: .relaxed).oldValue
        return workers[Int(UInt(bitPattern: turn) % UInt(workers.count))]
    }

    /// The pinned worker with the fewest connections, counted up by one; nil for the stealing flavour.
    package func leastLoadedWorker() -> Worker? {
        guard var best = workers.first else { return nil }
        var fewest = best.connectionCount.load(ordering: .relaxed)
        for worker in workers.dropFirst() {
            let count = worker.connectionCount.load(ordering: .relaxed)
            if count < fewest {
                best = worker
                fewest = count
            }
        }
        best.connectionCount.add(1, ordering: .relaxed)
        return best
    }

    /// Jobs that wait behind the one that the calling worker runs: its own (pinned), or the pool's (stealing); 0 elsewhere.
    package static var queuedJobCount: Int {
        switch ThreadContext.currentExecutor {
        case let worker as Worker: worker.queuedJobCount
        case let pool as StealingPool: pool.queuedJobCount
        default: 0
        }
    }

    /// Ends the threads once their queues are empty; jobs that arrive later run on the thread that enqueues them.
    ///
    /// Call it when the tasks that run here have ended. Blocks until the threads have, so not from one of them.
    public func shutdown() {
        for worker in workers { worker.stop() }
        pool?.stop()
    }

    /// How many cores this process may use, as its affinity mask says.
    public static var availableCoreCount: Int {
        max(Int(cnbio_available_core_count()), 1)
    }
}
