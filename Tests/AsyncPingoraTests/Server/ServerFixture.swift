import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Logging

/// A log whose lines of level `info` and above go to a diary.
func logger(into diary: Diary) -> Logger {
    Logger(label: "test") { _ in DiaryLog(diary: diary) }
}

private struct DiaryLog: LogHandler {
    let diary: Diary
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    func log(event: LogEvent) {
        diary.note("\(event.level): \(event.message)")
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
}

/// A door that services wait at until the test opens it.
final class Door: Sendable {
    private let diary = Diary()

    func open() {
        diary.note("open")
    }

    /// Waits for the door to be opened, also while the server drains; throws when the task is cancelled.
    func wait() async throws {
        try await diary.wait(for: "open")
    }
}

/// A service whose every step is noted.
actor NotedService: Service {
    nonisolated let name: String
    nonisolated let notifiesReady: Bool
    nonisolated let outlivesOthers: Bool
    nonisolated var threadCount: Int? { 1 }
    private let diary: Diary
    private let prepares: @Sendable () async throws -> Void
    private let runs: @Sendable (ServiceContext) async throws -> Void

    /// - Parameters:
    ///   - name: its name, with which its notes begin.
    ///   - diary: where they go.
    ///   - notifiesReady: whether `runs` says when it is ready.
    ///   - outlivesOthers: whether it serves until the others have ended.
    ///   - runs: what it does between its beginning and its end.
    ///   - prepares: what it does to prepare.
    init(
        _ name: String,
        _ diary: Diary,
        notifiesReady: Bool = false,
        outlivesOthers: Bool = false,
        runs: @escaping @Sendable (ServiceContext) async throws -> Void = { await $0.drainBegins() },
        prepares: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.name = name
        self.diary = diary
        self.notifiesReady = notifiesReady
        self.outlivesOthers = outlivesOthers
        self.prepares = prepares
        self.runs = runs
    }

    func prepare(_ context: ServiceContext) async throws {
        try await prepares()
        diary.note("\(name) prepared")
    }

    func run(_ context: ServiceContext) async throws {
        diary.note("\(name) runs")
        try await runs(context)
        diary.note(context.isDraining ? "\(name) drained" : Task.isCancelled ? "\(name) cancelled" : "\(name) ended")
    }
}

/// A server that runs, in the hands of its test.
struct RunningServer: Sendable {
    let server: Server
    let signals = ManualSignals()
    let diary: Diary
    /// Every phase from the beginning on, noted as it is entered.
    let phases = Diary()

    init(_ diary: Diary, configuration: Server.Configuration = Server.Configuration()) {
        self.diary = diary
        server = Server(configuration: configuration, logger: logger(into: diary))
    }

    /// Runs the server, and `body` beside it; returns when the server has ended.
    ///
    /// - Throws: what the server throws, else what `body` does.
    func run(_ body: @escaping @Sendable (RunningServer) async throws -> Void = { _ in }) async throws {
        try await TestExecutor.withExecutor { _ in
            let stream = await server.phases()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await phase in stream { phases.note(phase.rawValue) } }
                group.addTask {
                    do {
                        try await body(self)
                    } catch {
                        signals.send(.fastShutdown)
                        throw error
                    }
                }
                // Not in the group: what it throws counts for more than what a test that waited for something else then throws.
                let outcome: Result<Void, any Error>
                do {
                    outcome = .success(try await server.run(signals: signals))
                } catch {
                    outcome = .failure(error)
                }
                if case .failure = outcome { group.cancelAll() }
                do {
                    try await group.waitForAll()
                } catch {
                    if case .success = outcome { throw error }
                }
                try outcome.get()
            }
        }
    }
}

extension RunningServer {
    func wait(forPhase phase: ExecutionPhase, count: Int = 1) async throws {
        try await phases.wait(for: phase.rawValue, count: count)
    }
}
