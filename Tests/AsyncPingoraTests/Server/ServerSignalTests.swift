import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("A server does what signals ask for", .timeLimit(.minutes(3)))
struct ServerSignalTests {
    /// A server with one service, which runs when `body` begins.
    private func withServer(
        _ body: @escaping @Sendable (RunningServer) async throws -> Void
    ) async throws -> RunningServer {
        let running = RunningServer(Diary())
        await running.server.add(NotedService("service", running.diary))
        try await running.run { running in
            try await running.wait(forPhase: .running)
            try await running.diary.wait(for: "service runs")
            try await body(running)
        }
        return running
    }

    @Test("Hooks are called in order; an error is one line, and only a reload stops there")
    func hooks() async throws {
        let running = try await withServer { running in
            let (server, diary) = (running.server, running.diary)
            for hook in ["first", "second", "third"] {
                let body: Server.Hook = {
                    diary.note("\(hook) hook")
                    if hook == "second" { throw TestFailure("out of luck") }
                }
                await server.onReload(body)
                await server.onReopenLogs(body)
            }
            running.signals.send(.reload)
            try await diary.wait(for: "error: reloading failed, the server goes on: out of luck")
            #expect(diary.lines.filter { $0.hasSuffix("hook") } == ["first hook", "second hook"])
            running.signals.send(.reopenLogs)
            try await diary.wait(for: "third hook")
            #expect(diary.count(of: "error: reopening the logs failed, the server goes on: out of luck") == 1)
            #expect(await server.facts().phase == .running)
            running.signals.send(.gracefulShutdown)
        }
        #expect(running.diary.lines.contains("service drained"))
    }

    @Test("Reloads that are asked for while one is under way become one more")
    func reloadsAreGathered() async throws {
        let running = try await withServer { running in
            let (diary, door) = (running.diary, Door())
            await running.server.onReload {
                diary.note("reloads")
                try await door.wait()
            }
            await running.server.onReopenLogs { diary.note("reopens") }
            running.signals.send(.reload)
            try await diary.wait(for: "reloads")
            for _ in 0..<3 { running.signals.send(.reload) }
            // One that has been seen to shows that those before it have been.
            running.signals.send(.reopenLogs)
            try await diary.wait(for: "reopens")
            door.open()
            try await diary.wait(for: "reloads", count: 2)
            running.signals.send(.gracefulShutdown)
        }
        #expect(running.diary.count(of: "reloads") == 2)
    }

    @Test("Logs are reopened while a server drains; the configuration is not read again")
    func whileDraining() async throws {
        let running = RunningServer(Diary())
        let (diary, door) = (running.diary, Door())
        await running.server.add(
            NotedService("slow", diary) { context in
                await context.drainBegins()
                diary.note("slow drains")
                try await door.wait()
            }
        )
        await running.server.onReload { diary.note("reloads") }
        await running.server.onUpgrade { diary.note("upgrades") }
        await running.server.onReopenLogs { diary.note("reopens") }
        try await running.run { running in
            try await diary.wait(for: "slow runs")
            running.signals.send(.gracefulShutdown)
            try await diary.wait(for: "slow drains")
            running.signals.send(.reload)
            running.signals.send(.upgrade)
            running.signals.send(.reopenLogs)
            try await diary.wait(for: "reopens")
            door.open()
        }
        #expect(!diary.lines.contains("reloads") && !diary.lines.contains("upgrades"))
        #expect(diary.lines.contains("warning: asked to upgrade while shutdownGracePeriod: ignored"))
        #expect(diary.lines.contains("info: asked to reload while the server ends: ignored"))
        #expect(diary.lines.contains("slow drained"))
    }

    @Test("An upgrade that succeeds ends the old server gracefully")
    func upgrade() async throws {
        let running = try await withServer { running in
            let diary = running.diary
            await running.server.onUpgrade { diary.note("handed over") }
            running.signals.send(.upgrade)
        }
        #expect(running.diary.lines.contains("handed over"))
        #expect(running.diary.lines.contains("service drained"))
        #expect(
            running.phases.lines.suffix(5) == [
                "transferringListeners", "shutdownStarted", "shutdownGracePeriod", "shutdownRuntimes", "terminated",
            ]
        )
    }

    @Test("An upgrade that fails is one line, and the server goes on")
    func failingUpgrade() async throws {
        let running = try await withServer { running in
            await running.server.onUpgrade { throw TestFailure("nobody is there") }
            running.signals.send(.upgrade)
            try await running.wait(forPhase: .running, count: 2)
            #expect(running.diary.count(of: "error: the upgrade failed, this process goes on: nobody is there") == 1)
            running.signals.send(.gracefulShutdown)
        }
        #expect(running.diary.lines.contains("service drained"))
    }

    @Test("A server that is asked to end during an upgrade does, and the upgrade's outcome changes nothing")
    func endsDuringUpgrade() async throws {
        let running = try await withServer { running in
            let (diary, door) = (running.diary, Door())
            await running.server.onUpgrade {
                diary.note("hands over")
                try await door.wait()
            }
            running.signals.send(.upgrade)
            try await diary.wait(for: "hands over")
            running.signals.send(.gracefulShutdown)
            try await diary.wait(for: "service drained")
            door.open()
        }
        #expect(running.phases.lines.contains("gracefulTerminate"))
    }

    @Test("Without an upgrade handler the signal is a graceful end")
    func upgradeWithoutHandler() async throws {
        let running = try await withServer { $0.signals.send(.upgrade) }
        #expect(running.phases.lines.contains("gracefulTerminate"))
        #expect(running.diary.lines.contains("service drained"))
    }

    @Test("A second request to end drops what is left, and the log says so")
    func secondRequest() async throws {
        let running = RunningServer(Diary())
        let diary = running.diary
        await running.server.add(
            NotedService("stubborn", diary) { context in
                await context.drainBegins()
                diary.note("stubborn drains")
                await withParker { parker in while !parker.isCancelled { await parker.park() } }
                diary.note("stubborn gives in")
            }
        )
        try await running.run { running in
            try await diary.wait(for: "stubborn runs")
            running.signals.send(.gracefulShutdown)
            try await diary.wait(for: "stubborn drains")
            running.signals.send(.gracefulShutdown)
        }
        #expect(diary.lines.contains("stubborn gives in"))
        #expect(diary.count(of: "notice: asked to end for a second time: what is in flight is dropped") == 1)
    }

    @Test("The end of the grace period names who did not end in it")
    func endOfGrace() async throws {
        var configuration = Server.Configuration()
        configuration.gracePeriod = .milliseconds(1)
        let running = RunningServer(Diary(), configuration: configuration)
        let diary = running.diary
        let docile = await running.server.add(NotedService("docile", diary))
        await running.server.add(NotedService("page", diary, outlivesOthers: true))
        let stubborn = await running.server.add(
            NotedService("stubborn", diary) { context in
                await withParker { parker in while !parker.isCancelled { await parker.park() } }
            }
        )
        // Both others end after it, and are not to blame.
        stubborn.addDependency(docile)
        try await running.run { running in
            try await diary.wait(for: "stubborn runs")
            running.signals.send(.gracefulShutdown)
        }
        #expect(diary.count(of: "warning: the grace period is over: 'stubborn' did not end in it") == 1)
    }

    /// The process would end a tenth of a second later than it can.
    @Test("Waiting for the process's signals ends with the task, without another look")
    func cancelledWait() throws {
        let executor = try ManualExecutor()
        let asked = Lock(0)
        let pending = executor.start {
            await withParker { parker in
                await ProcessSignals.next(parker: parker) { parker in
                    asked.withLock { $0 += 1 }
                    // As the socket does.
                    while !parker.isCancelled { await parker.park() }
                    return nil
                }
            }
        }
        executor.runUntilIdle()
        #expect(!pending.isFinished)
        pending.cancel()
        executor.runUntilIdle()
        #expect(pending.isFinished)
        #expect(asked.withLock { $0 } == 1)
    }

    @Test("Without a descriptor to wait with, it is asked again in a while")
    func retriedWait() throws {
        let executor = try ManualExecutor()
        let asked = Lock(0)
        let pending = executor.start {
            await withParker { parker in
                await ProcessSignals.next(parker: parker) { _ in
                    asked.withLock { (count: inout Int) -> ServerSignal? in
                        count += 1
                        return count < 3 ? nil : .reload
                    }
                }
            }
        }
        executor.runUntilIdle()
        for count in 1...2 {
            #expect(asked.withLock { $0 } == count && !pending.isFinished)
            executor.advance(by: .milliseconds(120))
        }
        #expect(try pending.result?.get() == .reload)
    }

    @Test("Whoever asks for the phases late learns where the server is, and of its end")
    func latePhases() async throws {
        let running = try await withServer { running in
            var iterator = await running.server.phases().makeAsyncIterator()
            #expect(await iterator.next() == .running)
            running.signals.send(.fastShutdown)
            #expect(await iterator.next() == .shutdownStarted)
        }
        var seen: [ExecutionPhase] = []
        for await phase in await running.server.phases() { seen.append(phase) }
        #expect(seen == [.terminated])
    }
}
