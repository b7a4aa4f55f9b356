import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite(
    "No line is lost that there was room for, and none makes an exchange wait",
    .serialized,
    .timeLimit(.minutes(10))
)
struct AccessLogTests {
    private static func request(_ number: Int, padding: Int = 0) -> String {
        "GET /\(number)/\(String(repeating: "x", count: padding)) HTTP/1.1\r\nHost: a\r\n\r\n"
    }

    private static func options(
        _ destination: AccessLog.Destination = .standardError,
        pattern: String = "$request_uri"
    ) throws -> AccessLog.Options {
        AccessLog.Options(destination, format: try AccessLogFormat(pattern))
    }

    /// Asks so many times, on some connections at once.
    private static func ask(
        _ service: RunningService,
        count: Int,
        connections: Int = 4,
        padding: Int = 0
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<connections {
                group.addTask {
                    try await RawClient.withConnection(to: service.address) { client in
                        for number in stride(from: connection, to: count, by: connections) {
                            let answer = try await client.exchange(request(number, padding: padding))
                            #expect(answer.status == 200)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static let flavors = [(ExecutorFlavor.pinned, 1), (.pinned, 2), (.stealing, 2)]

    @Test(arguments: flavors)
    func theEndWritesEverything(flavor: ExecutorFlavor, threadCount: Int) async throws {
        let sink = ScriptedSink()
        let log = AccessLog(try Self.options(), sink: sink, logger: silentLogger)
        try await withLoggedServer(log, flavor: flavor, threadCount: threadCount) {
            try await Self.ask($0, count: 500)
        }
        let found = try lines(of: sink.text)
        #expect(found.sorted() == (0..<500).map { "/\($0)/" }.sorted())
        #expect(log.droppedCount == 0)
    }

    /// A client's lines stay in their order, however many buffers they fill.
    @Test func order() async throws {
        let sink = ScriptedSink()
        let log = AccessLog(try Self.options(), sink: sink, logger: silentLogger)
        try await withLoggedServer(log) { try await Self.ask($0, count: 300, connections: 1, padding: 1_000) }
        let found = try lines(of: sink.text).compactMap { $0.split(separator: "/").first.flatMap { Int($0) } }
        #expect(found == Array(0..<300))
    }

    @Test func aLineAppearsWithoutAnEnd() async throws {
        let sink = ScriptedSink()
        var options = try Self.options()
        options.flushInterval = .milliseconds(20)
        let log = AccessLog(options, sink: sink, logger: silentLogger)
        try await withLoggedServer(log) { service in
            for number in 1...3 {
                _ = try await service.response(to: Self.request(number))
                try await wait("line \(number) is there") { try lines(of: sink.text).count == number }
            }
        }
    }

    /// A service that still runs takes over from one that has ended.
    @Test func twoServicesShareALog() async throws {
        let sink = ScriptedSink()
        let log = AccessLog(try Self.options(), sink: sink, logger: silentLogger)
        try await withLoggedServer(log) { outer in
            try await withLoggedServer(log) { inner in
                try await Self.ask(outer, count: 20)
                try await Self.ask(inner, count: 20)
            }
            // What the inner service has added is written, either by its end or by the outer one's thread.
            try await wait("the first lines are there") { try lines(of: sink.text).count == 40 }
            try await Self.ask(outer, count: 20)
            try await wait("the outer service writes") { try lines(of: sink.text).count == 60 }
        }
        #expect(try lines(of: sink.text).count == 60)
        #expect(log.droppedCount == 0)
    }

    /// A reader that does not read: requests are answered, memory is bounded, and what was dropped is known.
    @Test func aSlowPipe() async throws {
        let folder = try TemporaryFolder()
        let reader = try folder.makePipe("log")
        var options = try Self.options(.file(folder.path(of: "log")))
        options.memoryLimit = 1
        let log = try AccessLog(options, logger: silentLogger)
        let count = 400
        try await withLoggedServer(log) { service in
            // More than the pipe and the two buffers hold.
            try await Self.ask(service, count: count, padding: 1_000)
            try await wait("something is dropped") { log.droppedCount > 0 }
            var text: [UInt8] = []
            try await wait("each line is either there or dropped") {
                text += reader.read()
                return text.count { $0 == UInt8(ascii: "\n") } + Int(log.droppedCount) == count
            }
            let found = try lines(of: String(decoding: text, as: UTF8.self))
            #expect(found.allSatisfy { $0.count > 1_000 && $0.hasPrefix("/") })
        }
    }

    @Test func aFullDevice() async throws {
        let record = LogRecord()
        let log = try AccessLog(try Self.options(.file("/dev/full")), logger: record.logger)
        try await withLoggedServer(log) { service in
            for round in 1...3 {
                try await Self.ask(service, count: 20)
                try await wait("the lines are lost") { log.droppedCount == UInt64(round * 20) }
            }
        }
        let reason = "write /dev/full: No space left on device; lines are dropped until /dev/full can be written again"
        #expect(record.lines == ["error: access log: \(reason)"])
    }

    @Test func aClosureThatThrows() async throws {
        let record = LogRecord()
        let text = Lock("")
        let failures = Lock(0)
        var options = try Self.options(
            .custom { bytes in
                let piece = Bytes(copying: bytes).description
                if failures.withLock({ (count: inout Int) in
                    count += 1
                    return count == 1
                }) {
                    throw TestFailure("on purpose")
                }
                text.withLock { $0 += piece }
            }
        )
        options.flushInterval = .milliseconds(20)
        let log = try AccessLog(options, logger: record.logger)
        try await withLoggedServer(log) { service in
            _ = try await service.response(to: Self.request(1))
            try await wait("the first line is lost") { log.droppedCount == 1 }
            _ = try await service.response(to: Self.request(2))
        }
        #expect(text.withLock { $0 } == "/2/\n")
        #expect(record.lines.count == 2)
    }

    @Test func reopeningLosesNothing() async throws {
        let folder = try TemporaryFolder()
        let log = try AccessLog(try Self.options(.file(folder.path(of: "log"))), logger: silentLogger)
        try await withLoggedServer(log, threadCount: 2) { service in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Self.ask(service, count: 500) }
                try folder.rename("log", to: "old")
                log.reopen()
                try await wait("there is a new file") { folder.has("log") }
                try await group.waitForAll()
            }
            try await Self.ask(service, count: 20)
        }
        let (old, new) = try (lines(of: folder.contents(of: "old") ?? ""), lines(of: folder.contents(of: "log") ?? ""))
        #expect(old.count + new.count == 520)
        #expect(new.count >= 20)
        #expect(log.droppedCount == 0)
    }

    @Test func theFileCanBeAnother() async throws {
        let folder = try TemporaryFolder()
        let record = LogRecord()
        let log = try AccessLog(try Self.options(.file(folder.path(of: "first"))), logger: record.logger)
        try await withLoggedServer(log) { service in
            try await Self.ask(service, count: 20)
            try await wait("they are written") { folder.contents(of: "first")?.count { $0 == "\n" } == 20 }
            log.reopen(at: .file(folder.path(of: "missing/log")))
            try await wait("the error log says so") { !record.lines.isEmpty }
            // What was refused is not tried again.
            log.reopen()
            try await Self.ask(service, count: 10)
            try await wait("they are written") { folder.contents(of: "first")?.count { $0 == "\n" } == 30 }
            log.reopen(at: .file(folder.path(of: "second")))
            try await wait("there is a new file") { folder.has("second") }
            try await Self.ask(service, count: 5)
        }
        #expect(try lines(of: folder.contents(of: "first") ?? "").count == 30)
        #expect(try lines(of: folder.contents(of: "second") ?? "").count == 5)
        #expect(record.lines.count == 1 && log.droppedCount == 0)
    }

    @Test func reopeningThatFailsKeepsTheOldFile() async throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("here")
        let path = folder.path(of: "here/log")
        let record = LogRecord()
        let log = try AccessLog(try Self.options(.file(path)), logger: record.logger)
        try await withLoggedServer(log) { service in
            try folder.rename("here", to: "there")
            log.reopen()
            try await wait("the error log says so") { !record.lines.isEmpty }
            try await Self.ask(service, count: 20)
        }
        let reason = "open \(path): No such file or directory; the lines still go to the file that was open"
        #expect(record.lines == ["error: access log: \(reason)"])
        #expect(try lines(of: folder.contents(of: "there/log") ?? "").count == 20)
    }

    @Test func aFileThatCannotBeOpenedIsAnError() throws {
        #expect(throws: TransportError(.open, errno: ENOENT, detail: "/nonexistent/log")) {
            try AccessLog(AccessLog.Options(.file("/nonexistent/log")), logger: silentLogger)
        }
    }
}
