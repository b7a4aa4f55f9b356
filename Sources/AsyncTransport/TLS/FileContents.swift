internal import Glibc

/// Files that settings name.
package enum FileContents {
    /// Reads a whole file, blocking: settings are read when a server starts or reloads.
    ///
    /// - Parameters:
    ///   - path: the file's.
    ///   - limit: how many bytes it may have: a device that never ends must not fill memory.
    /// - Returns: its bytes.
    /// - Throws: ``TLSConfigurationError`` naming the file.
    package static func read(_ path: String, limit: Int = 1 << 24) throws(TLSConfigurationError) -> [UInt8] {
        // SAFETY: the stream is closed below and used by nobody else; it writes at most the bytes that the array has.
        guard let file = unsafe fopen(path, "rbe") else {
            throw TLSConfigurationError(subject: path, reason: unsafe String(cString: strerror(errno)))
        }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        guard unsafe ferror(file) == 0 else {
            throw TLSConfigurationError(subject: path, reason: unsafe String(cString: strerror(errno)))
        }
        guard bytes.count <= limit else {
            throw TLSConfigurationError(subject: path, reason: "is larger than \(limit) bytes")
        }
        return bytes
    }
}

/// A file that session secrets are appended to, so that a recording of the traffic can be decrypted (`SSLKEYLOGFILE`).
final class KeyLog: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws(TLSConfigurationError) {
        // SAFETY: the path is read during the call.
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw TLSConfigurationError(subject: path, reason: unsafe String(cString: strerror(errno)))
        }
    }

    deinit {
        close(descriptor)
    }

    /// Appends a line in one call, so that lines of several threads do not mix.
    func write(_ line: UnsafePointer<CChar>) {
        // SAFETY: a C string of the caller's, copied here.
        let bytes = unsafe Array(String(cString: line).utf8) + [UInt8(ascii: "\n")]
        _ = unsafe Glibc.write(descriptor, bytes, bytes.count)
    }
}
