internal import CNonBlockingIO

/// The file that says which process is in charge.
package struct PidFile: Sendable {
    private let path: String

    /// Writes this process's number; a file that is there already is renamed to `PATH.old` first.
    package init(writing path: String) throws(TransportError) {
        self.path = path
        // SAFETY: the path is passed NUL-terminated.
        let result = unsafe cnbio_pid_file_write(path)
        guard result == 0 else { throw TransportError(.file, errno: -result, detail: "pid file \(path)") }
    }

    /// Removes the file, unless it is another process's by now.
    ///
    /// - Parameter hasFailed: brings back the file that this one has replaced, if its process still runs.
    package func remove(hasFailed: Bool) {
        // SAFETY: the path is passed NUL-terminated.
        unsafe cnbio_pid_file_remove(path, hasFailed)
    }
}
