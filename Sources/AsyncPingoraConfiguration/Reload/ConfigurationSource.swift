public import Logging

/// The configuration of a program that runs: read at the start, and again whenever it is told to.
///
///     let source = try ConfigurationSource(file: "proxy.yaml")
///     await source.follow(logLevel)
///     await source.follow(proxy)
///     await source.follow(server)
///     try await server.run()
///
/// Then SIGHUP reads the file again. A file with an error changes nothing: the log gets a line for each error, and the old configuration
/// stays. What a valid one says is given to everybody who follows, and to ``configurations()``; what cannot be changed in a process that
/// runs is named in the log.
public actor ConfigurationSource {
    /// The file; nil when there are only defaults.
    public nonisolated let file: String?
    /// What the program was started with.
    public nonisolated let initial: ServerConfiguration
    /// What holds now.
    public private(set) var current: ServerConfiguration
    private let sections: ConfigurationSections
    private let adjust: @Sendable (inout ServerConfiguration) -> Void
    private let logger: Logger
    private var followers: [Follower] = []
    private var streams: [AsyncStream<ServerConfiguration>.Continuation] = []

    private typealias Follower = @Sendable (ServerConfiguration) throws -> Void

    /// Reads the file; blocks.
    ///
    /// - Parameters:
    ///   - file: its path; nil takes the defaults.
    ///   - sections: the program's own.
    ///   - verifiesFiles: whether the files that it names are looked at, too, as `--test` does.
    ///   - logger: is told of what reloading comes to.
    ///   - adjust: what the command line, which wins, changes; done each time that the file has been read.
    /// - Throws: ``ConfigurationError`` with everything that is wrong with the file.
    public init(
        file: String?,
        sections: ConfigurationSections = ConfigurationSections(),
        verifiesFiles: Bool = false,
        logger: Logger = Logger(label: "AsyncPingora.Configuration"),
        adjusting adjust: @escaping @Sendable (inout ServerConfiguration) -> Void = { _ in }
    ) throws(ConfigurationError) {
        self.file = file
        self.sections = sections
        self.adjust = adjust
        self.logger = logger
        var configuration = ServerConfiguration()
        if let file {
            configuration = try ServerConfiguration(file: file, sections: sections, verifiesFiles: verifiesFiles)
        }
        adjust(&configuration)
        initial = configuration
        current = configuration
    }

    /// What holds now, and each configuration that replaces it; a reader that is slow misses all but the newest.
    ///
    /// Any number of tasks may ask for a stream of their own. It ends when the task that reads it is cancelled.
    public func configurations() -> AsyncStream<ServerConfiguration> {
        let (stream, continuation) = AsyncStream<ServerConfiguration>.makeStream(bufferingPolicy: .bufferingNewest(1))
        continuation.yield(current)
        streams.append(continuation)
        return stream
    }

    /// Has `body` called with each new configuration, after those that were given before it, on the thread that reloads.
    ///
    /// What it throws is logged, and the others are called all the same.
    public func follow(_ body: @escaping @Sendable (ServerConfiguration) throws -> Void) {
        followers.append(body)
    }

    /// Reads the file again, and gives what it says to everybody who follows.
    ///
    /// Blocks while it reads.
    /// - Returns: whether the file was valid.
    @discardableResult
    public func reload() -> Bool {
        var configuration = ServerConfiguration()
        if let file {
            do throws(ConfigurationError) {
                configuration = try ServerConfiguration(file: file, sections: sections)
            } catch {
                for problem in error.problems { logger.error("not reloaded: \(problem)") }
                return false
            }
        }
        adjust(&configuration)
        current = configuration
        for follower in followers {
            do {
                try follower(configuration)
            } catch {
                logger.error("\(error)")
            }
        }
        streams.removeAll { stream in
            if case .terminated = stream.yield(configuration) { true } else { false }
        }
        report(configuration)
        return true
    }

    private func report(_ configuration: ServerConfiguration) {
        logger.notice("reloaded \(file ?? "the certificates, for there is no configuration file")")
        let keys = configuration.keysThatNeedRestart(since: initial, sections: sections)
        if !keys.isEmpty { logger.warning("needs a restart to take effect: \(keys.joined(separator: ", "))") }
    }
}
