import AsyncPingora
import AsyncTransport
import Logging
import Testing

@Suite("The log level can be changed while the process runs")
struct LogLevelTests {
    /// Keeps what reaches it.
    private struct KeepingHandler: LogHandler {
        let kept: Lock<[String]>
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.critical

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message)\(metadata.isEmpty ? "" : " \(metadata)")"
            kept.withLock { $0.append(line) }
        }
    }

    @Test(arguments: Logger.Level.allCases)
    func everyLoggerFollowsTheSharedLevel(level: Logger.Level) {
        let shared = LogLevel(.critical)
        let kept = Lock<[String]>([])
        let loggers = ["one", "two"].map { label in
            Logger(label: label) { _ in AdjustableLogHandler(KeepingHandler(kept: kept), level: shared) }
        }
        shared.level = level
        #expect(shared.level == level)
        for other in Logger.Level.allCases {
            for logger in loggers { logger.log(level: other, "line") }
        }
        let wanted = Logger.Level.allCases.filter { $0 >= level }.flatMap { ["\($0) line", "\($0) line"] }
        #expect(kept.withLock { $0 } == wanted)
    }

    @Test func aLevelSetOnALoggerIsItsOwn() {
        let shared = LogLevel(.error)
        let kept = Lock<[String]>([])
        var chatty = Logger(label: "a") { _ in AdjustableLogHandler(KeepingHandler(kept: kept), level: shared) }
        let other = chatty
        chatty.logLevel = .debug
        shared.level = .critical
        chatty.debug("mine")
        other.error("not logged")
        #expect(kept.withLock { $0 } == ["debug mine"])
    }

    @Test func metadataReachesTheHandlerBehind() {
        let kept = Lock<[String]>([])
        var logger = Logger(label: "a") { _ in AdjustableLogHandler(KeepingHandler(kept: kept), level: LogLevel()) }
        logger[metadataKey: "request"] = "7"
        logger.info("line")
        #expect(logger[metadataKey: "request"] == "7")
        #expect(kept.withLock { $0 } == ["info line [\"request\": 7]"])
    }
}
