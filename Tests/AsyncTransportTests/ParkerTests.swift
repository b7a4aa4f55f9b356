import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("A parked task wakes for what it waits for")
struct ParkerTests {
    /// Runs `body` in a task on a manual executor, up to its first wait; hands out the parker.
    private func start<Success: Sendable>(
        _ executor: ManualExecutor,
        _ body: @escaping @Sendable (Parker) async throws -> Success
    ) throws -> (Parker, PendingTask<Success>) {
        let box = Lock<Parker?>(nil)
        let pending = executor.start {
            try await withParker { parker in
                box.withLock { $0 = parker }
                return try await body(parker)
            }
        }
        executor.runUntilIdle()
        return (try #require(box.withLock { $0 }), pending)
    }

    @Test func aWakeUpWhileTheTaskRunsIsKeptOnce() throws {
        let executor = try ManualExecutor()
        let wakes = Counter()
        let (parker, pending) = try start(executor) { parker in
            parker.unpark()
            parker.unpark()
            await parker.park()
            wakes.add()
            await parker.park()
            wakes.add()
        }
        #expect(wakes.count == 1)
        parker.unpark()
        parker.unpark()
        executor.runUntilIdle()
        #expect(wakes.count == 2)
        #expect(pending.isFinished)
    }

    @Test func cancellationWakesAndIsSeen() throws {
        let executor = try ManualExecutor()
        let (parker, pending) = try start(executor) { parker in
            await parker.park()
            return parker.isCancelled
        }
        #expect(!parker.isCancelled)
        pending.cancel()
        executor.runUntilIdle()
        #expect(try pending.result?.get() == true)
    }

    @Test func aTaskCancelledBeforeItParksDoesNotWait() throws {
        let executor = try ManualExecutor()
        let pending = executor.start {
            await withParker { parker in
                await parker.park()
                return parker.isCancelled
            }
        }
        pending.cancel()
        executor.runUntilIdle()
        #expect(try pending.result?.get() == true)
    }

    @Test(arguments: [1, 8, 9, 100, 5_000, 17_000, 18_000, 40_000, 400_000]) func deadlinesFireWithinATick(
        milliseconds: Int
    ) throws {
        let executor = try ManualExecutor()
        let (_, pending) = try start(executor) { await $0.park(until: .after(.milliseconds(milliseconds))) }
        executor.advance(by: .milliseconds(milliseconds) - .nanoseconds(1))
        #expect(!pending.isFinished)
        executor.advance(by: .milliseconds(9))
        #expect(pending.isFinished)
    }

    @Test func aDeadlineInThePastFiresAtTheNextTick() throws {
        let executor = try ManualExecutor()
        let (_, pending) = try start(executor) { await $0.park(until: Deadline(nanoseconds: 1)) }
        executor.advance(by: .milliseconds(9))
        #expect(pending.isFinished)
    }

    @Test(arguments: [(10, 30), (30, 10), (30, 30), (2, 100), (100, 1)])
    func rearmingMovesTheDeadline(first: Int, second: Int) throws {
        let executor = try ManualExecutor()
        let (parker, pending) = try start(executor) { parker in
            await parker.park(until: .after(.seconds(first)))
            let deadline = Deadline.after(.seconds(second))
            var wakes = 0
            while !deadline.hasPassed {
                await parker.park(until: deadline)
                wakes += 1
            }
            return wakes
        }
        // The first wait ends by hand at 10 s at the latest, the second by its deadline.
        executor.advance(by: .seconds(min(first - 1, 10)))
        parker.unpark()
        executor.runUntilIdle()
        executor.advance(by: .seconds(second) - .milliseconds(20))
        #expect(!pending.isFinished)
        executor.advance(by: .milliseconds(40))
        #expect(try pending.result?.get() == 1)
    }

    @Test func aWaitWithoutDeadlineIsNotWokenByAnEarlierOne() throws {
        let executor = try ManualExecutor()
        let wakes = Counter()
        let (parker, pending) = try start(executor) { parker in
            await parker.park(until: .after(.seconds(5)))
            await parker.park()
            wakes.add()
        }
        parker.unpark()
        executor.runUntilIdle()
        executor.advance(by: .seconds(60))
        #expect(wakes.count == 0)
        parker.unpark()
        executor.runUntilIdle()
        #expect(pending.isFinished)
    }

    @Test(arguments: 0..<10) func manyDeadlinesFireInOrder(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let executor = try ManualExecutor()
        let fired = Lock<[Int]>([])
        let delays = (0..<200).map { _ in Int.random(in: 1...60_000, using: &generator) }
        let pending = delays.map { delay in
            executor.start {
                await withParker { parker in
                    let deadline = Deadline.after(.milliseconds(delay))
                    // A wake-up is a hint: one meant for a parker's last owner may come late.
                    while !deadline.hasPassed { await parker.park(until: deadline) }
                    fired.withLock { $0.append(delay) }
                }
            }
        }
        executor.runUntilIdle()
        var time = 0
        while time < 60_020 {
            let step = Int.random(in: 1...3_000, using: &generator)
            executor.advance(by: .milliseconds(step))
            time += step
            let soFar = fired.withLock { $0 }
            #expect(soFar.allSatisfy { $0 <= time })
            #expect(soFar.count >= delays.count { $0 + 9 <= time })
        }
        #expect(pending.allSatisfy { $0.isFinished })
    }
}
