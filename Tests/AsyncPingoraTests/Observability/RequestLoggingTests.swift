import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Logging
import Testing

/// Log lines, with what they carry.
final class KeptLog: Sendable {
    struct Line: Sendable {
        let text: String
        let metadata: Logger.Metadata
    }

    private let kept = Lock<[Line]>([])

    var lines: [Line] { kept.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { [self] _ in Handler(log: self) }
    }

    private struct Handler: LogHandler {
        let log: KeptLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = Line(
                text: "\(event.message)",
                metadata: metadata.merging(event.metadata ?? [:]) { _, new in new }
            )
            log.kept.withLock { $0.append(line) }
        }
    }
}

@Suite("Log lines of a request say whose they are")
struct RequestLoggingTests {
    @Test("A failed attempt, and the failure", .timeLimit(.minutes(2)))
    func failures() async throws {
        let log = KeptLog()
        let nobody = try await UpstreamAddresses.refusing()
        let setUp: @Sendable (inout UpstreamSetup) -> Void = { setup in
            setup.logger = log.logger
            setup.proxy.maximumAttempts = 2
            setup.peer = { _ in HttpPeer(nobody) }
            setup.failToConnect = { error in
                var error = error
                error.retry = .decided(true)
                return error
            }
        }
        try await withUpstream(.ok(), configure: setUp) { fixture in
            let path = "/" + String(repeating: "p", count: 1_000)
            let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            try await RawClient.withConnection(to: fixture.proxy) { client in
                let response = try await client.exchange(
                    "GET \(path)?secret HTTP/1.1\r\nHost: h\r\ntraceparent: 00-\(trace)-00f067aa0ba902b7-01\r\n\r\n"
                )
                #expect(response.status == 502)
                let address = try #require(client.localAddress)
                let expected: Logger.Metadata = [
                    "client": "\(address)", "method": "GET", "host": "h",
                    "path": "\(path.prefix(256))", "trace_id": "\(trace)",
                ]
                let lines = { log.lines.filter { $0.text.contains("ConnectRefused") } }
                _ = await MeasuredService().settled({ lines().count }, at: 2)
                #expect(lines().map(\.metadata) == [expected, expected])
            }
        }
    }

    @Test("What a callback adds, and the session's own logger", .timeLimit(.minutes(2)))
    func own() async throws {
        let log = KeptLog()
        try await TestExecutor.withExecutor { _ in
            var listeners = Listeners()
            listeners.add(try loopback())
            let server = ClosureServer { session in
                session.logMetadata["user"] = "me"
                session.logger.info("mine")
                throw PingoraError(.internalError)
            }
            let service = httpService(server, listeners: listeners, threadCount: 1, logger: log.logger)
            try await withService(service) { running in
                let response = try await running.response(to: "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(response.status == 500)
                _ = await MeasuredService().settled({ log.lines.count }, at: 2)
                #expect(log.lines.first?.text == "mine")
                #expect(log.lines.allSatisfy { $0.metadata["user"] == "me" && $0.metadata["path"] == "/" })
            }
        }
    }
}
