public import ArgumentParser
internal import AsyncPingora

/// Where and as whom a program runs, and which process it replaces; part of ``ProcessOptions``.
///
/// What is given here wins over the configuration file.
public struct PlacementOptions: ParsableArguments, Sendable {
    /// Whether the process replaces one that serves.
    @Flag(
        name: .shortAndLong,
        help: "Replace the process that serves: wait until it is sent SIGQUIT, and take its sockets."
    )
    public var upgrade = false

    /// Where the two processes meet.
    @Option(
        help: ArgumentHelp(
            "The Unix-domain socket on which a new process waits for the one that it replaces.",
            valueName: "path"
        )
    )
    public var upgradeSocket: String?

    /// How long they wait for each other.
    @Option(
        help: ArgumentHelp(
            "How long a new process waits for the old one, and that one until the new one serves.",
            valueName: "seconds"
        )
    )
    public var upgradeTimeout = 60

    /// Whether the process goes to the background.
    @Flag(name: .shortAndLong, help: "Go to the background, and return when the server serves.")
    public var daemon = false

    /// Where output goes in the background.
    @Option(help: ArgumentHelp("The file that output is appended to in the background.", valueName: "file"))
    public var errorLog: String?

    /// Where relative paths begin in the background.
    @Option(help: ArgumentHelp("The directory to go to in the background.", valueName: "directory"))
    public var workingDirectory: String?

    /// Which file says what process runs.
    @Option(help: ArgumentHelp("The file that holds the number of the process.", valueName: "file"))
    public var pidFile: String?

    /// Who to become.
    @Option(help: ArgumentHelp("The user to become when all addresses are bound.", valueName: "name"))
    public var user: String?

    /// Which group to change to.
    @Option(help: ArgumentHelp("The group to change to then; by default the user's.", valueName: "name"))
    public var group: String?

    /// Makes options that have not been parsed.
    public init() {}

    /// Checks what the parser cannot.
    public func validate() throws {
        if upgradeTimeout < 1 { throw ValidationError("--upgrade-timeout takes a positive number of seconds") }
    }

    /// Writes over what the file says.
    func apply(to settings: inout ProcessSettings) {
        if daemon { settings.isDaemon = true }
        settings.errorLog = errorLog ?? settings.errorLog
        settings.workingDirectory = workingDirectory ?? settings.workingDirectory
        settings.pidFile = pidFile ?? settings.pidFile
        settings.user = user ?? settings.user
        settings.group = group ?? settings.group
        settings.upgradeSocket = upgradeSocket ?? settings.upgradeSocket
    }

    /// Tells the server where it runs, and goes there: in the foreground a daemon's start does not return.
    func place(_ settings: ProcessSettings, _ configuration: inout Server.Configuration) throws {
        if upgrade, settings.upgradeSocket == nil {
            throw ValidationError("--upgrade takes --upgrade-socket as well, or upgrade_sock in the file")
        }
        configuration.upgradeSocket = settings.upgradeSocket
        configuration.takesOver = upgrade
        configuration.upgradeTimeout = .seconds(upgradeTimeout)
        configuration.pidFile = settings.pidFile
        configuration.identity = try ProcessIdentity(user: settings.user, group: settings.group)
        guard settings.isDaemon else { return }
        var options = Daemon.Options()
        options.errorLog = settings.errorLog
        options.workingDirectory = settings.workingDirectory
        options.waitsUntilReady = settings.waitsUntilReady
        options.readyTimeout = settings.readyTimeout
        configuration.daemon = try Daemon.start(options)
    }
}
