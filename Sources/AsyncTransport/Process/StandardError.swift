internal import Glibc

/// The process's standard error, for what must be said where there is no log.
package enum StandardError {
    /// Writes a line in one call.
    package static func writeLine(_ line: String) {
        let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
        // SAFETY: the bytes are read during the call.
        _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
    }
}
