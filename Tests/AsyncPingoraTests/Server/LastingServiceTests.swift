import AsyncPingora
import AsyncTransport
import Testing

@Suite("A service that outlives the others can watch them end, and holds nobody up", .timeLimit(.minutes(3)))
struct LastingServiceTests {
    /// A server that would wait for an hour for a service that does not end.
    private static func patientServer() -> RunningServer {
        var configuration = Server.Configuration()
        configuration.gracePeriod = .seconds(3_600)
        return RunningServer(Diary(), configuration: configuration)
    }

    /// A service that finishes when the door is opened.
    private static func busyService(_ diary: Diary, _ door: Door) -> NotedService {
        NotedService("busy", diary) { context in
            await context.drainBegins()
            diary.note("busy drains")
            try await door.wait()
        }
    }

    @Test("It drains when all others have, and what it depends on after it")
    func drainsLast() async throws {
        let running = Self.patientServer()
        let (diary, door) = (running.diary, Door())
        let page = await running.server.add(NotedService("page", diary, outlivesOthers: true))
        let store = await running.server.add(NotedService("store", diary))
        let checker = await running.server.add(NotedService("checker", diary))
        let busy = await running.server.add(Self.busyService(diary, door))
        page.addDependency(store)
        busy.addDependencies([checker, store])
        try await running.run { running in
            for name in ["page", "store", "checker", "busy"] { try await diary.wait(for: "\(name) runs") }
            try await running.wait(forPhase: .running)
            running.signals.send(.gracefulShutdown)
            try await diary.wait(for: "busy drains")
            #expect(await running.server.facts().services.map(\.state) == [.running, .running, .running, .draining])
            door.open()
        }
        let ends = diary.lines.filter { $0.hasSuffix("drained") }
        #expect(ends == ["busy drained", "checker drained", "page drained", "store drained"])
    }

    @Test("What it has not finished by then is dropped, and is no failure", arguments: [true, false])
    func isCutOff(throwing: Bool) async throws {
        let running = Self.patientServer()
        let diary = running.diary
        await running.server.add(
            NotedService("stream", diary, outlivesOthers: true) { _ in
                await withParker { parker in while !parker.isCancelled { await parker.park() } }
                if throwing { throw CancellationError() }
            }
        )
        await running.server.add(NotedService("other", diary))
        try await running.run { running in
            for name in ["stream", "other"] { try await diary.wait(for: "\(name) runs") }
            try await running.wait(forPhase: .running)
            running.signals.send(.gracefulShutdown)
        }
        #expect(diary.lines.contains("other drained"))
        #expect(diary.lines.contains("stream drained") == !throwing)
    }

    @Test("After an upgrade it ends at once, for the new process serves in its place")
    func leavesToTheNewProcess() async throws {
        let running = Self.patientServer()
        let (diary, door) = (running.diary, Door())
        await running.server.add(NotedService("page", diary, outlivesOthers: true))
        await running.server.add(Self.busyService(diary, door))
        await running.server.onUpgrade {}
        try await running.run { running in
            for name in ["page", "busy"] { try await diary.wait(for: "\(name) runs") }
            try await running.wait(forPhase: .running)
            running.signals.send(.upgrade)
            try await diary.wait(for: "page drained")
            #expect(!diary.lines.contains("busy drained"))
            door.open()
        }
        #expect(diary.lines.contains("busy drained"))
    }

    @Test("A second request to end, and its own failure, end it like any other", arguments: [true, false])
    func endsLikeOthers(failing: Bool) async throws {
        let running = Self.patientServer()
        let (diary, door) = (running.diary, Door())
        await running.server.add(
            NotedService("page", diary, outlivesOthers: true) { context in
                try await door.wait()
                throw TestFailure("out of luck")
            }
        )
        await running.server.add(Self.busyService(diary, Door()))
        do {
            try await running.run { running in
                for name in ["page", "busy"] { try await diary.wait(for: "\(name) runs") }
                try await running.wait(forPhase: .running)
                if failing { door.open() } else { running.signals.send(.gracefulShutdown) }
                try await diary.wait(for: "busy drains")
                running.signals.send(.gracefulShutdown)
            }
            #expect(!failing)
        } catch let error as ServerError {
            #expect(failing && error.description == "service 'page' failed: out of luck")
        }
        #expect(!diary.lines.contains("busy drained"))
    }
}
