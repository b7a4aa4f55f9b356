import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Logging
import Testing

@testable import AsyncPingoraAdmin

@Suite("The admin service serves its page, and changes what it is asked to", .serialized, .timeLimit(.minutes(1)))
struct AdminServiceTests {
    struct Failure: Error {}

    /// An admin service that runs.
    private struct Running {
        let address: SocketAddress
        let level: LogLevel

        func answer(
            _ start: String,
            _ fields: [String] = ["Host: localhost"],
            body: String = ""
        ) async throws -> RawMessage {
            try await RawClient.withConnection(to: address) { client in
                let head = ([start + " HTTP/1.1"] + fields).joined(separator: "\r\n")
                let length = body.isEmpty ? "" : "\r\nContent-Length: \(body.utf8.count)"
                try await client.send("\(head)\(length)\r\n\r\n\(body)")
                return try await client.receiveResponse(to: String(start.prefix { $0 != " " }))
            }
        }
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func loopback() throws -> SocketAddress {
        try #require(SocketAddress(host: "127.0.0.1", port: 0))
    }

    private static func service(
        of server: Server,
        on address: SocketAddress,
        _ options: AdminOptions = AdminOptions()
    ) -> AdminService {
        var listeners = Listeners()
        listeners.add(address)
        return AdminService(server: server, listeners: listeners, options: options, logger: logger)
    }

    /// Runs `body` with an admin service.
    private func withAdmin(_ body: @escaping @Sendable (Running) async throws -> Void) async throws {
        try await TestExecutor.withExecutor { _ in
            let server = Server(logger: Self.logger)
            var options = AdminOptions()
            let level = LogLevel(.info)
            options.logLevel = level
            let service = Self.service(of: server, on: try Self.loopback(), options)
            await server.add(service)
            let phases = await server.phases()
            let signals = ManualSignals()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                for await phase in phases where phase == .running { break }
                defer { signals.send(.fastShutdown) }
                let address = try #require(await service.addresses.first)
                try await body(Running(address: address, level: level))
            }
        }
    }

    @Test func thePageAndWhatItNeedsAreThere() async throws {
        try await withAdmin { admin in
            for (path, type) in [
                ("/", "text/html; charset=utf-8"), ("/page.css", "text/css; charset=utf-8"),
                ("/page.js", "text/javascript; charset=utf-8"), ("/charts.js", "text/javascript; charset=utf-8"),
                ("/icon.svg", "image/svg+xml"), ("/api/overview.json", "application/json"),
                ("/api/history.json", "application/json"),
            ] {
                let answer = try await admin.answer("GET \(path)")
                #expect(answer.status == 200, "\(path)")
                #expect(answer["Content-Type"] == type, "\(path)")
                #expect(!answer.body.isEmpty, "\(path)")
                #expect(answer["Cache-Control"] == "no-store")
                #expect(answer["X-Content-Type-Options"] == "nosniff")
                #expect(answer["Content-Security-Policy"]?.hasPrefix("default-src 'none'; script-src 'self';") == true)
                let head = try await admin.answer("HEAD \(path)")
                #expect(head.status == 200 && head.body.isEmpty, "\(path)")
            }
            #expect(try await admin.answer("GET /page.html").status == 404)
            #expect(try await admin.answer("GET /api").status == 404)
        }
    }

    @Test func whatIsNotForUsIsRefused() async throws {
        try await withAdmin { admin in
            #expect(try await admin.answer("GET /", ["Host: rebound.example"]).status == 421)
            let post = try await admin.answer("POST /", body: "x")
            #expect(post.status == 405)
            #expect(post["Allow"] == "GET, HEAD")
            #expect(try await admin.answer("GET /api/log-level").status == 405)
        }
    }

    @Test(arguments: [
        ("debug", 200, Logger.Level.debug), ("critical", 200, .critical), ("info", 200, .info), ("Debug", 400, .info),
        ("debug\n", 400, .info), ("nonsense", 400, .info), (String(repeating: "x", count: 65), 413, .info),
    ])
    func theLevelIsWhatItIsSetTo(body: String, status: Int, level: Logger.Level) async throws {
        try await withAdmin { admin in
            let fields = ["Host: localhost", "X-AsyncPingora-Admin: test"]
            #expect(try await admin.answer("POST /api/log-level", ["Host: localhost"], body: body).status == 403)
            #expect(admin.level.level == .info)
            let answer = try await admin.answer("POST /api/log-level", fields, body: body)
            #expect(answer.status == status)
            #expect(admin.level.level == level)
            if status == 200 { #expect(answer.text == "{\"logLevel\":\"\(body)\"}") }
        }
    }

    /// Answers when it has read all of a request.
    private struct Reading: ServeHttp {
        func serve(_ session: Session) async throws {
            while try await session.readRequestBody() != nil {}
            try await session.respond(.ok)
        }
    }

    @Test func aDrainCanBeWatchedAndIsNotHeldUp() async throws {
        try await TestExecutor.withExecutor { _ in
            var configuration = Server.Configuration()
            configuration.lastRequestTimeout = .seconds(3_600)
            configuration.gracePeriod = .seconds(3_600)
            let server = Server(configuration: configuration, logger: Self.logger)
            var listeners = Listeners()
            listeners.add(try Self.loopback())
            let busy = httpService(name: "busy", Reading(), listeners: listeners, threadCount: 1, logger: Self.logger)
            let admin = Self.service(of: server, on: try Self.loopback())
            await server.add(admin)
            await server.add(busy)
            let phases = await server.phases()
            let signals = ManualSignals()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(signals: signals) }
                for await phase in phases where phase == .running { break }
                let page = Running(address: try #require(await admin.addresses.first), level: LogLevel(.info))
                // A reader that keeps its connection, and one that has not asked yet.
                let reader = try await RawClient.connect(to: page.address)
                _ = try await reader.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let idle = try await RawClient.connect(to: page.address)
                try await RawClient.withConnection(to: try #require(await busy.addresses.first)) { client in
                    try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
                    signals.send(.gracefulShutdown)
                    var seen = ""
                    while !(seen.contains(#""phase":"shutdownGracePeriod""#) && seen.contains(#""state":"draining""#)) {
                        // The page looks at the server once a second.
                        await withParker { await $0.park(until: .after(.milliseconds(20))) }
                        try Task.checkCancellation()
                        seen = try await page.answer("GET /api/overview.json").text
                    }
                    #expect(seen.contains(#""name":"busy","state":"draining""#))
                    #expect(seen.contains(#""name":"admin","state":"running""#))
                    try await client.send("2")
                    #expect(try await client.receiveResponse(to: "POST").status == 200)
                }
                try await group.waitForAll()
                withExtendedLifetime((reader, idle)) {}
            }
        }
    }

    @Test(arguments: ["0.0.0.0", "[::]", "10.9.8.7"])
    func anAddressThatOthersReachStopsTheStart(host: String) async throws {
        let address = try #require(SocketAddress(host: host, port: 0))
        try await TestExecutor.withExecutor { _ in
            let server = Server(logger: Self.logger)
            await server.add(Self.service(of: server, on: address))
            do {
                try await server.run(signals: ManualSignals())
                Issue.record("it ran")
            } catch {
                #expect("\(error)".contains("others than this machine could reach it"))
            }
        }
    }

    @Test(arguments: [true, false])
    func aTakenPortStopsTheStartUnlessThePageIsOptional(isRequired: Bool) async throws {
        try await TestExecutor.withExecutor { _ in
            let taken = try ListeningSocket(address: Self.loopback())
            let server = Server(logger: Self.logger)
            var options = AdminOptions()
            options.isRequired = isRequired
            let service = Self.service(of: server, on: taken.address, options)
            await server.add(service)
            let phases = await server.phases()
            let signals = ManualSignals()
            let ended = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await server.run(signals: signals)
                        return true
                    } catch {
                        return false
                    }
                }
                for await phase in phases where phase == .running || phase == .terminated { break }
                #expect(await service.addresses.isEmpty)
                signals.send(.gracefulShutdown)
                return await group.next()
            }
            #expect(ended == !isRequired)
            taken.close()
        }
    }
}
