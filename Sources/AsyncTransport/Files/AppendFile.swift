internal import CNonBlockingIO
internal import Glibc

/// A file, pipe or terminal that text is appended to.
///
/// **Its calls may block**: it is for a thread that has nothing else to do.
package final class AppendFile: Sendable {
    /// What came of writing.
    package enum Outcome: Equatable, Sendable {
        /// So many bytes were taken, at least one.
        case wrote(Int)
        /// None were, for now: a pipe's reader is slow.
        case wouldBlock
        /// None were.
        case failed(TransportError)
    }

    /// The path, or the name of a standard stream.
    package let name: String
    private let path: String?
    private let descriptor: Int32
    private let isRegular: Bool

    /// What a pipe takes as a whole, or not at all.
    private static let pipePiece = 4_096
    /// The owner writes, the group reads.
    static let permissions: UInt32 = 0o640

    /// Opens a file, which is made if there is none.
    ///
    /// A relative path is one of the directory that the process is in now, also when the file is opened again.
    ///
    /// - Throws: ``TransportError`` with the path.
    package convenience init(path: String) throws(TransportError) {
        try self.init(absolutePath: Self.absolute(path))
    }

    private init(absolutePath path: String) throws(TransportError) {
        // SAFETY: the call reads the path, which is passed NUL-terminated.
        descriptor = unsafe cnbio_open_append(path, Self.permissions)
        guard descriptor >= 0 else { throw TransportError(.open, errno: -descriptor, detail: path) }
        self.path = path
        name = path
        isRegular = cnbio_is_regular_file(descriptor)
    }

    private init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
        path = nil
        isRegular = cnbio_is_regular_file(descriptor)
    }

    /// The process's standard output.
    package static func standardOutput() -> AppendFile { AppendFile(descriptor: STDOUT_FILENO, name: "(stdout)") }
    /// The process's standard error.
    package static func standardError() -> AppendFile { AppendFile(descriptor: STDERR_FILENO, name: "(stderr)") }

    deinit {
        if path != nil { _ = cnbio_close(descriptor) }
    }

    /// Opens the file of the same path, which may be another one by now; one that has no path stays as it is.
    ///
    /// - Throws: ``TransportError`` with the path.
    package func reopened() throws(TransportError) -> AppendFile {
        guard let path else { return self }
        return try AppendFile(absolutePath: path)
    }

    /// Writes the first of `bytes`: as many as a file takes, or whole lines that a pipe takes at once.
    package func write(_ bytes: RawSpan) -> Outcome {
        // SAFETY: the call reads so many bytes of the span, which outlives it.
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return .wrote(0) }
            var length = source.count
            if !isRegular {
                // Of the process's own output only so can it be known that a write will not block.
                guard cnbio_wait_writable(descriptor, 0) != 0 else { return .wouldBlock }
                if length > Self.pipePiece {
                    length = Self.pipePiece
                    if let lineEnd = unsafe source[..<length].lastIndex(of: UInt8(ascii: "\n")) { length = lineEnd + 1 }
                }
            }
            let written = unsafe cnbio_write(descriptor, base, length)
            if written >= 0 { return .wrote(written) }
            let errno = Int32(-written)
            return errno == EAGAIN ? .wouldBlock : .failed(TransportError(.write, errno: errno, detail: name))
        }
    }

    /// Waits until more can be written, or for so long.
    package func waitUntilWritable(milliseconds: Int32) {
        _ = cnbio_wait_writable(descriptor, milliseconds)
    }

    /// Cuts off the last `count` bytes, which the last ``write(_:)`` wrote, unless others have written behind them.
    ///
    /// - Returns: whether they are gone.
    package func takeBack(_ count: Int) -> Bool {
        cnbio_take_back(descriptor, count) == 0
    }

    private static func absolute(_ path: String) -> String {
        // SAFETY: the C string that `getcwd` makes is copied and freed.
        guard !path.hasPrefix("/"), let directory = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(directory) }
        return unsafe String(cString: directory) + "/" + path
    }
}
