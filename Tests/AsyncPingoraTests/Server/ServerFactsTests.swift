import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("A server tells what it is made of and how it is", .timeLimit(.minutes(3)))
struct ServerFactsTests {
    @Test func facts() async throws {
        var configuration = Server.Configuration()
        configuration.threadCount = 1
        configuration.flavor = .stealing
        let running = RunningServer(Diary(), configuration: configuration)
        var listeners = Listeners()
        listeners.add(try loopback())
        let web = httpService(
            name: "web",
            ClosureServer { try await $0.respond(.ok) },
            listeners: listeners,
            threadCount: 2,
            flavor: .pinned,
            logger: silentLogger
        )
        let checker = BackgroundService(name: "checker") { await $0.drainBegins() }
        let server = running.server
        await server.add(web).addDependency(await server.add(checker))
        let before = await server.facts()
        #expect(before.phase == .setup && before.startedAt == nil && before.processID > 0)
        #expect(before.services.map(\.name) == ["web", "checker"])
        #expect(before.services.map(\.dependencies) == [["checker"], []])
        #expect(before.services.map(\.threadCount) == [2, 1])
        #expect(before.services.map(\.flavor) == [.pinned, .stealing])
        #expect(before.services.map(\.state) == [.waiting, .waiting])
        #expect(before.services[0].listening?.listeners.isEmpty == true)
        #expect(before.services[1].listening == nil)
        try await running.run { running in
            try await running.wait(forPhase: .running)
            let address = try #require(await web.addresses.first)
            let client = try await RawClient.connect(to: address)
            #expect(try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200)
            let facts = await server.facts()
            #expect(facts.phase == .running && (facts.startedAt ?? 0) > 0)
            let listening = try #require(facts.services[0].listening)
            #expect(listening.listeners.map(\.address) == [address])
            #expect(listening.listeners.map(\.usesTLS) == [false])
            #expect(listening.openConnections == 1 && listening.acceptedConnections == 1)
            client.close()
            running.signals.send(.gracefulShutdown)
        }
        let after = await server.facts()
        #expect(after.phase == .terminated)
        #expect(after.services.map(\.state) == [.ended, .ended])
        #expect(after.services[0].listening?.openConnections == 0)
        #expect(after.services[0].listening?.acceptedConnections == 1)
    }
}
