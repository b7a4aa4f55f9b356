import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Nothing is lost under load", .timeLimit(.minutes(5)))
struct StressTests {
    @Test(arguments: ExecutorFlavor.allCases, [false, true])
    func echoes(flavor: ExecutorFlavor, isUnix: Bool) async throws {
        try await TestExecutor.withExecutor(threads: 3, flavor: flavor) { executor in
            let echo = OriginScript { connection in
                while true {
                    let bytes = try await connection.receiveSome()
                    if bytes.isEmpty { return }
                    try await connection.send(bytes)
                }
            }
            try await withScriptedOrigin(echo, at: isUnix ? freshUnixAddress() : nil) { origin in
                try await withThrowingDiscardingTaskGroup { group in
                    for number in 0..<24 {
                        group.addTask(executorPreference: executor.nextExecutor()) {
                            var generator = SeededGenerator(seed: UInt64(number))
                            let client = try await RawClient.connect(to: origin.address, timeout: patience)
                            for _ in 0..<20 {
                                let size = Int.random(in: 1...3_000, using: &generator)
                                let bytes = [UInt8](repeating: .random(in: 0 ... .max, using: &generator), count: size)
                                try await client.send(bytes)
                                #expect(try await client.receive(count: size) == bytes)
                            }
                            client.closeWrite()
                            #expect(try await client.receiveToEnd().isEmpty)
                        }
                    }
                }
                try await origin.wait { $0.openConnectionCount == 0 }
                #expect(origin.connectionCount == 24)
                #expect(origin.failures.isEmpty)
            }
        }
    }

    @Test(arguments: ExecutorFlavor.allCases) func deadlinesAndWakeUpsMixed(flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 3, flavor: flavor) { executor in
            let parkers = Lock<[Parker]>([])
            await withDiscardingTaskGroup { group in
                for number in 0..<60 {
                    group.addTask(executorPreference: executor.nextExecutor()) {
                        var generator = SeededGenerator(seed: UInt64(number))
                        for _ in 0..<15 {
                            await withParker { parker in
                                parkers.withLock { $0.append(parker) }
                                let deadline = Deadline.after(.milliseconds(Int.random(in: 0...20, using: &generator)))
                                while !deadline.hasPassed {
                                    await parker.park(until: deadline)
                                    // Some that are waiting, some that are not, some that have another owner by now.
                                    let other = parkers.withLock { $0.randomElement(using: &generator) }
                                    if Bool.random(using: &generator) { other?.unpark() }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: ExecutorFlavor.allCases) func cancellationReachesEveryWait(flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 3, flavor: flavor) { executor in
            for round in 0..<20 {
                await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<50 {
                        group.addTask(executorPreference: executor.nextExecutor()) {
                            await withParker { parker in
                                while !parker.isCancelled {
                                    await parker.park(until: round % 2 == 0 ? .never : .after(.seconds(3_600)))
                                }
                                return parker.isCancelled
                            }
                        }
                    }
                    for _ in 0..<round { await Task.yield() }
                    group.cancelAll()
                    for await isCancelled in group { #expect(isCancelled) }
                }
            }
        }
    }
}
