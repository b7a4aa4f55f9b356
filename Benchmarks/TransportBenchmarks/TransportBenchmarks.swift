import AsyncTransport
import Benchmark

/// What waiting costs: the parts that every read and write of a connection goes through.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration.metrics = [.wallClock, .throughput]
    Benchmark.defaultConfiguration.scalingFactor = .kilo
    Benchmark.defaultConfiguration.maxDuration = .seconds(2)

    Benchmark("timers: deadline from a timeout") { benchmark in
        for _ in benchmark.scaledIterations {
            blackHole(Deadline.after(.seconds(60)))
        }
    }

    Benchmark("timers: wake-up that came first, with a deadline") { benchmark in
        let count = benchmark.scaledIterations.count
        try await onWorker { parker in
            for _ in 0..<count {
                parker.unpark()
                await parker.park(until: .after(.seconds(60)))
            }
        }
    }

    Benchmark("timers: park with a deadline, woken by a task of the same worker") { benchmark in
        try await pingPong(count: benchmark.scaledIterations.count, deadline: { .after(.seconds(60)) })
    }

    Benchmark("timers: park without a deadline, woken by a task of the same worker") { benchmark in
        try await pingPong(count: benchmark.scaledIterations.count, deadline: { .never })
    }
}

private let executor = Result { try ServiceExecutor(name: "micro", threadCount: 1) }

private func onWorker(_ body: @Sendable @escaping (Parker) async -> Void) async throws {
    let worker = try executor.get().nextExecutor()
    await withTaskExecutorPreference(worker) {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: worker) { await withParker { parker in await body(parker) } }
        }
    }
}

/// Two tasks of one worker that wake each other; `count` round trips.
private func pingPong(count: Int, deadline: @Sendable @escaping () -> Deadline) async throws {
    let worker = try executor.get().nextExecutor()
    try await onWorker { first in
        await withTaskGroup(of: Void.self) { group in
            let (ready, announce) = AsyncStream<Parker>.makeStream()
            group.addTask(executorPreference: worker) {
                await withParker { second in
                    announce.yield(second)
                    for _ in 0..<count {
                        await second.park(until: deadline())
                        first.unpark()
                    }
                }
            }
            for await second in ready {
                for _ in 0..<count {
                    second.unpark()
                    await first.park(until: deadline())
                }
                announce.finish()
            }
        }
    }
}
