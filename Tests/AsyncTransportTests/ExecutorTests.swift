import AsyncPingoraTesting
import AsyncTransport
import CNonBlockingIO
import Testing

@Suite("Executors run every job, on their own threads", .timeLimit(.minutes(5)))
struct ExecutorTests {
    @Test(arguments: ExecutorFlavor.allCases) func jobsRunOnTheExecutorsThreads(flavor: ExecutorFlavor) async throws {
        #expect(ThreadContext.currentIndex == nil)
        try await TestExecutor.withExecutor(threads: 3, flavor: flavor) { executor in
            #expect(executor.threadCount == 3)
            #expect(executor.executors.count == (flavor == .pinned ? 3 : 1))
            for (index, worker) in executor.executors.enumerated() {
                await withDiscardingTaskGroup { group in
                    for _ in 0..<20 {
                        group.addTask(executorPreference: worker) {
                            for _ in 0..<5 {
                                if flavor == .pinned { #expect(ThreadContext.currentIndex == index) }
                                #expect(ThreadContext.currentIndex != nil)
                                await Task.yield()
                            }
                            // A child inherits the place.
                            async let child = ThreadContext.currentIndex
                            let place = await child
                            #expect(flavor == .pinned ? place == index : place != nil)
                        }
                    }
                }
            }
        }
        #expect(ThreadContext.currentIndex == nil)
    }

    @Test(arguments: ExecutorFlavor.allCases) func nextExecutorTakesTurns(flavor: ExecutorFlavor) throws {
        let executor = try ServiceExecutor(name: "turns", threadCount: 2, flavor: flavor)
        defer { executor.shutdown() }
        let turns = (0..<4).map { _ in ObjectIdentifier(executor.nextExecutor()) }
        #expect(turns[0] == turns[2] && turns[1] == turns[3])
        #expect((turns[0] == turns[1]) == (flavor == .stealing))
        guard let first = executor.leastLoadedWorker(), let second = executor.leastLoadedWorker() else {
            #expect(flavor == .stealing)
            return
        }
        #expect(ObjectIdentifier(first) != ObjectIdentifier(second))
        second.connectionEnded()
        #expect(executor.leastLoadedWorker().map { ObjectIdentifier($0) } == ObjectIdentifier(second))
    }

    @Test(arguments: ExecutorFlavor.allCases) func stoppingRunsWhatIsLeft(flavor: ExecutorFlavor) async throws {
        for round in 0..<20 {
            let executor = try ServiceExecutor(name: "stop", threadCount: 2, flavor: flavor)
            let ran = Counter()
            let tasks = (0..<100).map { _ in
                Task(executorPreference: executor.nextExecutor()) {
                    for _ in 0..<round { await Task.yield() }
                    ran.add()
                }
            }
            executor.shutdown()
            // One that comes too late runs where it was enqueued.
            let late = Task(executorPreference: executor.nextExecutor()) { ThreadContext.currentIndex }
            #expect(await late.value == nil)
            for task in tasks { await task.value }
            #expect(ran.count == 100)
            executor.shutdown()
        }
    }

    @Test(arguments: ExecutorFlavor.allCases) func nothingIsLeftOfAStoppedExecutor(flavor: ExecutorFlavor) async throws
    {
        weak var reactor: Reactor?
        do {
            let kept = try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
                // Parkers are recycled among executors: a resting one must not keep the descriptors of the last open.
                await withParker { await $0.park(until: .after(.milliseconds(1))) }
                return Reactor.ofCurrentThread
            }
            reactor = kept
        }
        let isGone = reactor == nil
        #expect(isGone)
    }

    @Test(arguments: ExecutorFlavor.allCases) func anotherThreadWakesATask(flavor: ExecutorFlavor) async throws {
        let rounds = 2_000
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { executor in
            let table = PingPong()
            await withDiscardingTaskGroup { group in
                for side in 0..<2 {
                    let place = executor.executors[side % executor.executors.count]
                    group.addTask(executorPreference: place) { await table.play(side: side, rounds: rounds) }
                }
            }
            #expect(table.turn == 2 * rounds)
        }
    }

    @Test func aBlockedWorkerDelaysNobodyInAPool() async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: .stealing) { executor in
            for _ in 0..<50 {
                let gate = ThreadGate()
                await withTaskGroup(of: Bool.self) { group in
                    // Enqueued from outside, so that the pool knows of both before one of them blocks.
                    group.addTask(executorPreference: globalConcurrentExecutor) {
                        async let blocked = Task(executorPreference: executor.nextExecutor()) { gate.wait() }.value
                        async let opening: Void = Task(executorPreference: executor.nextExecutor()) { gate.open() }
                            .value
                        _ = await opening
                        return await blocked
                    }
                    for await opened in group { #expect(opened) }
                }
            }
        }
    }

    /// One job that a worker enqueues itself, and then blocks before it could take it.
    @Test func aJobBehindABlockedWorkerIsTaken() async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: .stealing) { _ in
            for _ in 0..<50 {
                let gate = ThreadGate()
                await withDiscardingTaskGroup { group in
                    group.addTask { gate.open() }
                    #expect(gate.wait())
                }
            }
        }
    }

    @Test func aBusyWorkerHandsThePollerOn() async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: .stealing) { _ in
            for _ in 0..<50 {
                let opened = try await withSocketPair { near, far, _ in
                    let (near, far) = (Handover(near), Handover(far))
                    let gate = ThreadGate()
                    return try await withThrowingTaskGroup(of: Bool?.self) { group in
                        group.addTask {
                            try await withParker { parker in
                                near.value.attach(to: parker)
                                _ = try await near.value.readText()
                                gate.open()
                                return nil
                            }
                        }
                        group.addTask {
                            for _ in 0..<300 { await Task.yield() }
                            try await far.value.write("open")
                            return gate.wait()
                        }
                        var opened: Bool?
                        for try await result in group { opened = result ?? opened }
                        return opened
                    }
                }
                #expect(opened == true)
            }
        }
    }

    @Test(arguments: ExecutorFlavor.allCases) func deadlinesNeverComeEarly(flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
            await withDiscardingTaskGroup { group in
                for milliseconds in stride(from: 0, through: 60, by: 3) {
                    group.addTask {
                        await withParker { parker in
                            let deadline = Deadline.after(.milliseconds(milliseconds))
                            while !deadline.hasPassed { await parker.park(until: deadline) }
                            #expect(cnbio_monotonic_nanoseconds() >= deadline.nanoseconds)
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: ExecutorFlavor.allCases) func theClockGoesOnWhileACallbackBlocks(
        flavor: ExecutorFlavor
    ) async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
            let start = cnbio_monotonic_nanoseconds()
            while cnbio_monotonic_nanoseconds() < start + 60_000_000 {}
            // The coarse clock's steps are 10 ms at most.
            #expect(Deadline.currentNanoseconds >= start + 40_000_000)
        }
    }
}

/// Two tasks that take turns, each woken by the other.
private final class PingPong: Sendable {
    private struct State {
        var turn = 0
        var players: [Parker?] = [nil, nil]
    }

    private let state = Lock(State())

    var turn: Int { state.withLock { $0.turn } }

    func play(side: Int, rounds: Int) async {
        await withParker { parker in
            state.withLock { $0.players[side] = parker }
            for round in 0..<rounds {
                while turn != 2 * round + side { await parker.park() }
                let other = state.withLock { (state: inout State) in
                    state.turn += 1
                    return state.players[1 - side]
                }
                other?.unpark()
            }
            state.withLock { $0.players[side] = nil }
        }
    }
}
