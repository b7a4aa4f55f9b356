public import ArgumentParser
public import AsyncPingora
internal import AsyncTransport
public import Logging

/// What every program around a server takes on its command line; embed it with `@OptionGroup`.
///
///     @main struct Proxy: AsyncParsableCommand {
///         @OptionGroup var process: ProcessOptions
///
///         func run() async throws {
///             let source = try process.load()
///             let server = try process.makeServer(source)
///             …
///             try await process.run(server, source)
///         }
///     }
public struct ProcessOptions: ParsableArguments {
    /// The configuration file; nil is none.
    @Option(
        name: [.customShort("c"), .customLong("conf")],
        help: ArgumentHelp("The configuration file, in YAML; SIGHUP reads it again.", valueName: "file")
    )
    public var configurationFile: String?

    /// Whether only the configuration is checked.
    @Flag(
        name: [.customShort("t"), .customLong("test")],
        help: "Check the configuration and the files it names, say what is wrong, and end."
    )
    public var isTest = false

    /// What is logged; nil leaves it to the file.
    @Option(
        help: ArgumentHelp(
            "What is logged: trace, debug, info, notice, warning, error or critical.",
            valueName: "level"
        ),
        transform: Self.logLevel
    )
    public var logLevel: Logger.Level?

    /// Where and as whom the program runs, and which process it replaces.
    @OptionGroup public var placement: PlacementOptions

    /// Makes options that have not been parsed.
    public init() {}

    private static func logLevel(_ text: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else {
            throw ValidationError("--log-level takes trace, debug, info, notice, warning, error or critical")
        }
        return level
    }

    /// Reads the configuration file, if one was given; blocks.
    ///
    /// Errors go to standard error, one line each: `FILE:LINE:COLUMN: key 'x': expected …, found …`.
    /// - Parameters:
    ///   - sections: the program's own.
    ///   - adjust: what the program's other options, which win, change; done each time that the file has been read.
    /// - Returns: the configuration, to be followed.
    /// - Throws: `ExitCode.failure` when there are errors, or the command line's are.
    public func load(
        sections: ConfigurationSections = ConfigurationSections(),
        adjusting adjust: @escaping @Sendable (inout ServerConfiguration) -> Void = { _ in }
    ) throws -> ConfigurationSource {
        let (logLevel, placement) = (logLevel, placement)
        do throws(ConfigurationError) {
            return try ConfigurationSource(file: configurationFile, sections: sections, verifiesFiles: isTest) {
                if let logLevel { $0.logLevel = logLevel }
                placement.apply(to: &$0.process)
                adjust(&$0)
            }
        } catch {
            StandardError.writeLine(error.description)
            throw ExitCode.failure
        }
    }

    /// Makes the server.
    ///
    /// With `--daemon` the call returns in the background process alone, so there is little that should come before it.
    /// - Parameter source: what it is configured by.
    /// - Returns: a server without services.
    /// - Throws: what is wrong with the options, or why the program cannot go to the background.
    public func makeServer(_ source: ConfigurationSource) throws -> Server {
        var configuration = source.initial.server
        if !isTest { try placement.place(source.initial.process, &configuration) }
        return Server(configuration: configuration)
    }

    /// Runs a server whose services are there, until it ends; SIGHUP reads the configuration again.
    ///
    /// With `--test` it is not run: a line says that the configuration is valid.
    public func run(_ server: Server, _ source: ConfigurationSource) async throws {
        if isTest { throw CleanExit.message("\(source.file ?? "the command line"): the configuration is valid") }
        await source.follow(server)
        try await server.run()
    }
}
