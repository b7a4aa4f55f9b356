internal import CNonBlockingIO
internal import Glibc

/// This program, started again in the background.
package enum BackgroundProcess {
    /// The end of the pipe on which the background process reports; nil in any other process.
    package static func report() -> ReportPipe? {
        let descriptor = cnbio_respawned_report()
        return descriptor < 0 ? nil : ReportPipe(descriptor)
    }

    /// Starts the program again with the same arguments, in a session of its own.
    ///
    /// - Parameter log: where its output goes; nil leaves it where this process's goes.
    /// - Returns: where it reports, and its number.
    /// - Throws: ``TransportError`` when the system starts no process.
    package static func start(log: PassedDescriptor?) throws(TransportError) -> (report: ReportPipe, process: Int32) {
        var report: Int32 = -1
        var process: pid_t = 0
        // SAFETY: the call fills what it is lent.
        let result = unsafe cnbio_respawn(log?.number ?? -1, &report, &process)
        guard result == 0 else { throw TransportError(.process, errno: -result, detail: "starting in the background") }
        return (ReportPipe(report), process)
    }

    /// Opens a log file to append to.
    package static func openLog(_ path: String) throws(TransportError) -> PassedDescriptor {
        // SAFETY: the path is passed NUL-terminated.
        let descriptor = unsafe cnbio_open_output(path, AppendFile.permissions)
        guard descriptor >= 0 else { throw TransportError(.open, errno: -descriptor, detail: "error log \(path)") }
        return PassedDescriptor(descriptor)
    }

    /// Makes a file this process's output and error output.
    package static func redirectOutput(to log: PassedDescriptor) throws(TransportError) {
        let result = cnbio_replace_output(log.number)
        guard result == 0 else { throw TransportError(.file, errno: -result, detail: "output") }
    }

    /// Sets the bits that files which are made from now on do not get.
    package static func setFileModeMask(_ mask: UInt32) {
        umask(mode_t(mask))
    }

    /// Makes a directory the one that relative paths begin at.
    package static func changeDirectory(to path: String) throws(TransportError) {
        // SAFETY: the path is passed NUL-terminated.
        let result = unsafe cnbio_change_directory(path)
        guard result == 0 else { throw TransportError(.file, errno: -result, detail: "working directory \(path)") }
    }

    /// Asks a process to end.
    package static func terminate(_ process: Int32) {
        kill(process, SIGTERM)
    }

    /// Ends this process at once.
    package static func exit(_ status: Int32) -> Never {
        Glibc.exit(status)
    }

    /// Writes a line to the error output.
    package static func printError(_ line: String) {
        // SAFETY: the bytes last for the call.
        _ = unsafe write(2, line + "\n", line.utf8.count + 1)
    }
}

/// One end of a pipe on which a background process tells, in a line, how its start went.
package final class ReportPipe: Sendable {
    private let descriptor: PassedDescriptor
    /// No line is longer, in bytes.
    private static let capacity = 2_048

    fileprivate init(_ descriptor: Int32) {
        self.descriptor = PassedDescriptor(descriptor)
    }

    /// Says a line, once: what comes later is dropped.
    package func write(_ line: String) {
        let taken = descriptor.take()
        guard taken >= 0 else { return }
        let text = line.utf8.prefix(Self.capacity - 1).map { $0 == 10 ? 32 : CChar(bitPattern: $0) } + [10]
        // SAFETY: the text lasts for the call.
        unsafe cnbio_write_report(taken, text, text.count)
        cnbio_close(taken)
    }

    /// Waits for the line, **blocking the thread**; nil when the other end has gone without one.
    ///
    /// - Throws: ``TransportError``: timed out.
    package func read(timeout: Duration) throws(TransportError) -> String? {
        let milliseconds = Int32(clamping: timeout.wholeNanoseconds / 1_000_000)
        // SAFETY: the buffer has the capacity that the call is told of.
        let line = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Self.capacity) { buffer in
            let count = unsafe cnbio_read_report(descriptor.number, buffer.baseAddress, Self.capacity, milliseconds)
            guard count > 0 else { return (count, "") }
            let bytes = unsafe buffer.prefix(count).filter { $0 != 10 }.map(UInt8.init(bitPattern:))
            return (count, String(decoding: bytes, as: UTF8.self))
        }
        guard line.0 >= 0 else { throw TransportError(.read, errno: Int32(-line.0), detail: "the background process") }
        return line.0 == 0 ? nil : line.1
    }
}
