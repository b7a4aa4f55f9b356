public import Logging
internal import Synchronization

/// A log level that can be changed while the process runs, shared by every ``AdjustableLogHandler`` that was given it.
///
/// Reading it costs one relaxed load, so a logger asks it for each line.
public final class LogLevel: Sendable {
    private let rank: Atomic<UInt8>

    /// Makes a level.
    public init(_ level: Logger.Level = .info) {
        rank = Atomic(level.rank)
    }

    /// What is logged: this and what is more severe.
    public var level: Logger.Level {
        get { Logger.Level(rank: rank.load(ordering: .relaxed)) }
        set { rank.store(newValue.rank, ordering: .relaxed) }
    }
}

/// A log handler whose level can be changed while the process runs.
///
///     let level = LogLevel(.info)
///     LoggingSystem.bootstrap { AdjustableLogHandler(StreamLogHandler.standardError(label: $0), level: level) }
///     …
///     level.level = .debug
///
/// A level that is set on a logger itself holds for that logger alone, whatever the shared one says from then on.
public struct AdjustableLogHandler: LogHandler {
    private var base: any LogHandler
    private let shared: LogLevel
    private var own: Logger.Level?

    /// Wraps a handler: `level` decides what reaches it.
    public init(_ base: any LogHandler, level: LogLevel) {
        self.base = base
        self.base.logLevel = .trace
        shared = level
    }

    /// The shared level, unless one was set here.
    public var logLevel: Logger.Level {
        get { own ?? shared.level }
        set { own = newValue }
    }

    /// What every line of this logger carries.
    public var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    /// Where metadata comes from besides.
    public var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    /// One value of the metadata.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    /// Passes a line on.
    public func log(event: LogEvent) {
        base.log(event: event)
    }
}

extension Logger.Level {
    fileprivate var rank: UInt8 {
        switch self {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .notice: 3
        case .warning: 4
        case .error: 5
        case .critical: 6
        }
    }

    fileprivate init(rank: UInt8) {
        switch rank {
        case 0: self = .trace
        case 1: self = .debug
        case 2: self = .info
        case 3: self = .notice
        case 4: self = .warning
        case 5: self = .error
        default: self = .critical
        }
    }
}
