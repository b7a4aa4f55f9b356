internal import Glibc

/// A folder for one test, which is gone with the last reference, and with it the files and folders in it.
public final class TemporaryFolder: Sendable {
    // SAFETY: paths are passed NUL-terminated and read during the calls; reads write at most as many bytes as their array has.
    /// Its path, without a slash at the end.
    public let path: String

    /// Makes a folder under `/tmp`.
    ///
    /// - Throws: ``TestPeerError`` when the system will not.
    public init() throws {
        let number = String(UInt64.random(in: 0 ... .max), radix: 36)
        path = "/tmp/async-pingora-test-\(getpid())-\(number)"
        guard unsafe mkdir(path, 0o700) == 0 else { throw TestPeerError("cannot make \(path)") }
    }

    deinit {
        Self.remove(path)
    }

    private static func remove(_ path: String) {
        guard unsafe unlink(path) != 0 else { return }
        if let folder = unsafe opendir(path) {
            var names: [String] = []
            while let entry = unsafe readdir(folder) {
                names.append(
                    unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                    }
                )
            }
            unsafe closedir(folder)
            for name in names where name != "." && name != ".." { remove("\(path)/\(name)") }
        }
        unsafe rmdir(path)
    }

    /// The path of something in it.
    public func path(of name: String) -> String { "\(path)/\(name)" }

    /// Whether there is something of this name.
    public func has(_ name: String) -> Bool { unsafe access(path(of: name), F_OK) == 0 }

    /// Makes a folder in it.
    ///
    /// - Throws: ``TestPeerError`` when the system will not.
    public func makeFolder(_ name: String) throws {
        guard unsafe mkdir(path(of: name), 0o700) == 0 else { throw TestPeerError("cannot make \(name)") }
    }

    /// Gives something in it another name.
    ///
    /// - Throws: ``TestPeerError`` when the system will not.
    public func rename(_ name: String, to other: String) throws {
        guard unsafe Glibc.rename(path(of: name), path(of: other)) == 0 else {
            throw TestPeerError("cannot rename \(name)")
        }
    }

    /// Makes a named pipe in it, with a reader that does not wait.
    ///
    /// - Throws: ``TestPeerError`` when the system will not.
    public func makePipe(_ name: String) throws -> PipeReader {
        guard unsafe mkfifo(path(of: name), 0o600) == 0 else { throw TestPeerError("cannot make \(name)") }
        let descriptor = unsafe open(path(of: name), O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw TestPeerError("cannot open \(name)") }
        return PipeReader(descriptor: descriptor)
    }

    /// Returns the contents of a file; nil when there is none.
    public func contents(of name: String) -> String? {
        let descriptor = unsafe open(path(of: name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        return String(decoding: PipeReader(descriptor: descriptor).read(), as: UTF8.self)
    }
}

/// The end of a pipe that is read from.
public final class PipeReader: Sendable {
    private let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Returns what is there to be read, without waiting for more.
    public func read() -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            // SAFETY: the call writes at most as many bytes as the array has.
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }
}
