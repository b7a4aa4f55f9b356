internal import AsyncTransport

/// A program in the background: without a terminal, in a session of its own, with its output in a file.
///
///     let daemon = try Daemon.start(options)      // in the foreground this call does not return
///     var configuration = Server.Configuration()
///     configuration.daemon = daemon
///
/// The program is started a second time, with the same arguments, rather than forked: threads do not survive a fork, and this works
/// wherever in the program it is called. What the program did before the call it does twice, so call it early, but after the
/// configuration has been read: relative paths begin at ``Options/workingDirectory`` from then on.
///
/// The process in the foreground waits until the server says that it is ready, and ends with status 0; when the server cannot
/// start, it prints why and ends with status 1 (``Options/waitsUntilReady``). A server that takes over from a running one is ready, in this sense, as soon as the
/// old process can be sent SIGQUIT.
public final class Daemon: Sendable {
    /// How a program runs in the background.
    public struct Options: Sendable {
        /// The file that output and error output are appended to; nil leaves them where they go.
        public var errorLog: String?
        /// The directory that relative paths begin at; nil leaves it as it is.
        public var workingDirectory: String?
        /// The bits that files which the program makes do not get (umask).
        public var fileModeMask: UInt32 = 0o007
        /// Whether the process in the foreground waits until the server is ready, or has said why it is not.
        ///
        /// Default true; otherwise it ends with status 0 as soon as the background process has been started.
        public var waitsUntilReady = true
        /// How long it waits; then it ends the background process, and itself with status 1.
        ///
        /// Default 600 s.
        public var readyTimeout: Duration = .seconds(600)

        /// Makes the defaults.
        public init() {}
    }

    private let options: Options
    private let report: ReportPipe

    private init(options: Options, report: ReportPipe) {
        self.options = options
        self.report = report
    }

    /// Goes on in the background.
    ///
    /// **Blocks the calling thread** of the process in the foreground, and ends it.
    /// - Parameter options: how to run there.
    /// - Returns: in the background process alone.
    /// - Throws: `TransportError` when the log cannot be opened, the program cannot be started again, or there is no such directory.
    public static func start(_ options: Options = Options()) throws -> Daemon {
        guard let report = BackgroundProcess.report() else { try startInBackground(options) }
        let daemon = Daemon(options: options, report: report)
        do {
            BackgroundProcess.setFileModeMask(options.fileModeMask)
            if let directory = options.workingDirectory { try BackgroundProcess.changeDirectory(to: directory) }
        } catch {
            daemon.failed(error)
            throw error
        }
        return daemon
    }

    private static func startInBackground(_ options: Options) throws -> Never {
        let log = try options.errorLog.map { path throws(TransportError) in try BackgroundProcess.openLog(path) }
        let (report, process) = try BackgroundProcess.start(log: log)
        guard options.waitsUntilReady else { BackgroundProcess.exit(0) }
        do {
            let line = try report.read(timeout: options.readyTimeout)
            if line == readyLine { BackgroundProcess.exit(0) }
            let hint = options.errorLog.map { "; \($0) may say why" } ?? ""
            let reason = line ?? "the background process has ended before it was ready\(hint)"
            BackgroundProcess.printError("Error: \(reason)")
        } catch {
            BackgroundProcess.terminate(process)
            BackgroundProcess.printError("Error: the background process was not ready in time: \(error)")
        }
        BackgroundProcess.exit(1)
    }

    private static let readyLine = "ready"

    /// Lets the process in the foreground end well.
    ///
    /// A server that has this daemon in its configuration calls it.
    public func ready() {
        report.write(Self.readyLine)
    }

    /// Lets the process in the foreground say why there is no server; does nothing once it is ready.
    public func failed(_ error: any Error) {
        report.write("\(error)")
    }

    /// Opens the error log anew, for it has been moved away.
    ///
    /// - Throws: `TransportError` when it cannot be opened; output goes on to the old one then.
    public func reopenErrorLog() throws {
        guard let path = options.errorLog else { return }
        try BackgroundProcess.redirectOutput(to: BackgroundProcess.openLog(path))
    }
}
