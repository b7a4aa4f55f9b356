import AsyncPingora
import AsyncTransport
import Testing

@Suite("Services run when those they depend on are ready, and end before them", .timeLimit(.minutes(3)))
struct ServiceDependencyTests {
    @Test("A service runs once what it depends on is ready; one that depends on nothing runs at once")
    func waitsForReadiness() async throws {
        let running = RunningServer(Diary())
        let (diary, door) = (running.diary, Door())
        let dependent = await running.server.add(NotedService("dependent", diary))
        let slow = await running.server.add(
            NotedService("slow", diary, notifiesReady: true) { context in
                try await door.wait()
                diary.note("slow is ready")
                context.notifyReady()
                await context.drainBegins()
            }
        )
        await running.server.add(NotedService("free", diary))
        dependent.addDependency(slow)
        try await running.run { running in
            try await diary.wait(for: "slow runs")
            try await diary.wait(for: "free runs")
            #expect(await running.server.facts().phase == .bootstrapComplete)
            #expect(await running.server.facts().services.map(\.state) == [.waiting, .starting, .running])
            door.open()
            try await running.wait(forPhase: .running)
            #expect(await running.server.facts().services.map(\.state) == [.running, .running, .running])
            try await diary.wait(for: "dependent runs")
            running.signals.send(.gracefulShutdown)
        }
        let lines = diary.lines
        let places = ["slow is ready", "dependent runs"].map { lines.firstIndex(of: $0) ?? -1 }
        #expect(places[0] >= 0 && places[0] < places[1])
        // Each is prepared after what it depends on.
        #expect(lines.prefix(3) == ["slow prepared", "dependent prepared", "free prepared"])
    }

    @Test("A service that others depend on lives until they have drained")
    func drainsDependentsFirst() async throws {
        let running = RunningServer(Diary())
        let (diary, door) = (running.diary, Door())
        let checker = await running.server.add(NotedService("checker", diary))
        let proxy = await running.server.add(
            NotedService("proxy", diary) { context in
                await context.drainBegins()
                diary.note("proxy drains")
                try await door.wait()
            }
        )
        let metrics = await running.server.add(NotedService("metrics", diary))
        proxy.addDependency(checker)
        metrics.addDependencies([proxy, checker])
        try await running.run { running in
            try await running.wait(forPhase: .running)
            for name in ["checker", "proxy", "metrics"] { try await diary.wait(for: "\(name) runs") }
            running.signals.send(.gracefulShutdown)
            try await diary.wait(for: "proxy drains")
            #expect(await running.server.facts().services.map(\.state) == [.running, .draining, .ended])
            door.open()
        }
        let ends = diary.lines.filter { $0.hasSuffix("drained") }
        #expect(ends == ["metrics drained", "proxy drained", "checker drained"])
    }

    @Test("A task that is done before others begin is a dependency like any other")
    func oneShot() async throws {
        let running = RunningServer(Diary())
        let diary = running.diary
        let first = await running.server.add(
            NotedService("first", diary, notifiesReady: true) { $0.notifyReady() }
        )
        let second = await running.server.add(NotedService("second", diary))
        second.addDependency(first)
        try await running.run { running in
            try await diary.wait(for: "second runs")
            try await diary.wait(for: "first ended")
            running.signals.send(.gracefulShutdown)
        }
        #expect(diary.lines.contains("second drained"))
    }

    @Test(
        "Services that depend on each other in a circle stop the start, and are named",
        arguments: [
            ([[0]], "a -> a"),
            ([[1], [0]], "a -> b -> a"),
            ([[1], [2], [3], [1]], "b -> c -> d -> b"),
            ([[], [0, 2], [0, 1]], "b -> c -> b"),
        ]
    )
    func cycle(dependencies: [[Int]], named: String) async throws {
        let running = RunningServer(Diary())
        var handles: [ServiceHandle] = []
        for name in ["a", "b", "c", "d"].prefix(dependencies.count) {
            handles.append(await running.server.add(NotedService(name, running.diary)))
        }
        for (service, others) in zip(handles, dependencies) { service.addDependencies(others.map { handles[$0] }) }
        let error = await #expect(throws: ServerError.self) { try await running.run() }
        #expect(error?.description == "services depend on each other in a circle: \(named)")
        #expect(running.diary.lines.isEmpty)
    }

    @Test("A service that does not become ready stops the start with its reason", arguments: [true, false])
    func failsBeforeReady(throwing: Bool) async throws {
        let running = RunningServer(Diary())
        let diary = running.diary
        let first = await running.server.add(
            NotedService("first", diary, notifiesReady: true) { _ in
                if throwing { throw TestFailure("out of luck") }
            }
        )
        let second = await running.server.add(NotedService("second", diary))
        second.addDependency(first)
        let error = await #expect(throws: ServerError.self) { try await running.run() }
        let reason = throwing ? "cannot start: out of luck" : "ended before it was ready"
        #expect(error?.description == "service 'first' \(reason)")
        #expect(!diary.lines.contains("second runs"))
        #expect(!running.phases.lines.contains("running"))
    }

    @Test("A service that fails while all run ends the server gracefully, with its reason")
    func failsWhileRunning() async throws {
        let running = RunningServer(Diary())
        let (diary, door) = (running.diary, Door())
        await running.server.add(NotedService("good", diary))
        await running.server.add(
            NotedService("bad", diary) { _ in
                try await door.wait()
                throw TestFailure("out of luck")
            }
        )
        let error = await #expect(throws: ServerError.self) {
            try await running.run { running in
                try await running.wait(forPhase: .running)
                try await diary.wait(for: "good runs")
                door.open()
            }
        }
        #expect(error?.description == "service 'bad' failed: out of luck")
        #expect(diary.lines.contains("good drained"))
        #expect(diary.count(of: "error: the server ends: service 'bad' failed: out of luck") == 1)
    }

    @Test("A server that is asked to end while it starts does not go on starting", arguments: [true, false])
    func endsWhileStarting(gracefully: Bool) async throws {
        let running = RunningServer(Diary())
        let diary = running.diary
        let slow = await running.server.add(
            NotedService("slow", diary, notifiesReady: true) { await $0.drainBegins() }
        )
        let dependent = await running.server.add(NotedService("dependent", diary))
        dependent.addDependency(slow)
        try await running.run { running in
            try await diary.wait(for: "slow runs")
            running.signals.send(gracefully ? .gracefulShutdown : .fastShutdown)
        }
        #expect(diary.lines.contains(gracefully ? "slow drained" : "slow cancelled"))
        #expect(!diary.lines.contains("dependent runs"))
        #expect(await running.server.facts().services.map(\.state) == [.ended, .ended])
    }

    @Test("A service that is being prepared is cancelled by a fast end")
    func endsWhilePreparing() async throws {
        let running = RunningServer(Diary())
        let diary = running.diary
        await running.server.add(
            NotedService(
                "slow",
                diary,
                prepares: {
                    diary.note("slow prepares")
                    await withParker { parker in while !parker.isCancelled { await parker.park() } }
                    throw CancellationError()
                }
            )
        )
        try await running.run { running in
            try await diary.wait(for: "slow prepares")
            running.signals.send(.fastShutdown)
        }
        #expect(!diary.lines.contains("slow runs"))
    }
}
