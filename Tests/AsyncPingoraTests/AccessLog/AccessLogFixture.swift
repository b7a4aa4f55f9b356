import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Logging
import Testing
import Tracing

/// A sink that does what its script says, and takes everything when that is over.
final class ScriptedSink: LogSink {
    enum Step: Sendable {
        /// So many bytes at most.
        case take(Int)
        case block
        case fail(Int32)
    }

    private struct State {
        var text: [UInt8] = []
        var script: [Step]
        var waits = 0
        var reopens = 0
    }

    private let state: Lock<State>
    private let givesBack: Bool
    let name = "script"

    init(_ script: [Step] = [], givesBack: Bool = true) {
        state = Lock(State(script: script))
        self.givesBack = givesBack
    }

    var text: String { state.withLock { String(decoding: $0.text, as: UTF8.self) } }
    var waits: Int { state.withLock { $0.waits } }
    var reopens: Int { state.withLock { $0.reopens } }

    func write(_ bytes: RawSpan) -> AppendFile.Outcome {
        let piece = Array(Bytes(copying: bytes))
        return state.withLock { (state: inout State) in
            switch state.script.isEmpty ? .take(.max) : state.script.removeFirst() {
            case .take(let count):
                state.text += piece.prefix(count)
                return .wrote(min(count, piece.count))
            case .block: return .wouldBlock
            case .fail(let errno): return .failed(TransportError(.write, errno: errno, detail: "script"))
            }
        }
    }

    func waitUntilWritable(milliseconds: Int32) {
        state.withLock { $0.waits += 1 }
    }

    func takeBack(_ count: Int) -> Bool {
        if givesBack { state.withLock { $0.text.removeLast(count) } }
        return givesBack
    }

    func reopened() -> ScriptedSink {
        state.withLock { $0.reopens += 1 }
        return self
    }
}

/// What has been logged, as `level: message`.
final class LogRecord: Sendable {
    private let entries = Lock<[String]>([])

    var lines: [String] { entries.withLock { $0 } }

    var logger: Logger {
        Logger(label: "record") { _ in Handler(record: self) }
    }

    private struct Handler: LogHandler {
        let record: LogRecord
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level): \(event.message)"
            record.entries.withLock { $0.append(line) }
        }
    }
}

/// Runs `body` with a plain server whose exchanges are logged.
func withLoggedServer(
    _ log: AccessLog,
    options: HttpServerOptions = HttpServerOptions(),
    flavor: ExecutorFlavor = .pinned,
    threadCount: Int = 1,
    tracer: (any Tracer)? = nil,
    serve: @escaping @Sendable (Session) async throws -> Void = { try await $0.respond(.ok, body: Bytes("ok")) },
    _ body: @escaping @Sendable (RunningService) async throws -> Void
) async throws {
    try await TestExecutor.withExecutor { _ in
        var listeners = Listeners()
        listeners.add(try loopback())
        let service = httpService(
            ClosureServer(body: serve),
            listeners: listeners,
            threadCount: threadCount,
            flavor: flavor,
            serverOptions: options,
            observers: [log],
            tracer: tracer,
            logger: silentLogger
        )
        try await withService(service, body)
    }
}

/// Waits until `condition` holds, in a task on a worker.
func wait(_ what: String, until condition: () throws -> Bool) async throws {
    let deadline = Deadline.after(.seconds(60))
    while try !condition() {
        if deadline.hasPassed { throw TestFailure("still waiting until \(what)") }
        await withParker { await $0.park(until: .after(.milliseconds(10))) }
    }
}

/// The lines of a text, each of which must be whole.
func lines(of text: String) throws -> [String] {
    guard !text.isEmpty else { return [] }
    guard text.hasSuffix("\n") else { throw TestFailure("the last line is torn: \(text.suffix(80).debugDescription)") }
    return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
}
