internal import AsyncTransport
internal import Glibc

/// A command-line tool that a test runs: `openssl`, `curl`.
///
/// What it reads and writes goes through files without a name, so that neither side ever waits for the other. It is killed when this object
/// goes.
public final class ChildProcess: Sendable {
    private let process: pid_t
    private let output: Int32
    private let status = Lock<Int32?>(nil)

    /// What a tool wrote, and how it ended.
    public struct Outcome: Sendable {
        /// The exit status; negative when a signal ended it.
        public let status: Int32
        /// Standard output and standard error, as they came.
        public let bytes: [UInt8]

        /// The output as text.
        public var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    /// Starts a tool that is found by its name.
    ///
    /// - Parameters:
    ///   - arguments: its name and its arguments.
    ///   - input: what it reads.
    /// - Throws: ``TestPeerError`` when it cannot be started.
    public init(_ arguments: [String], input: [UInt8] = []) throws {
        // SAFETY: every pointer lasts until the call that is given it returns: posix_spawnp copies what it needs.
        let source = Self.namelessFile()
        defer { close(source) }
        output = Self.namelessFile()
        guard source >= 0, output >= 0 else { throw TestPeerError("no temporary file") }
        _ = unsafe write(source, input, input.count)
        lseek(source, 0, SEEK_SET)
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, source, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe texts.indices { unsafe free(texts[index]) } }
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("PATH=/usr/bin:/bin"), nil]
        defer { unsafe free(environment[0]) }
        var started = pid_t()
        let result = unsafe posix_spawnp(&started, arguments[0], &actions, nil, &texts, &environment)
        guard result == 0 else {
            close(output)
            throw TestPeerError("\(arguments[0]) cannot be started: \(result)")
        }
        process = started
    }

    private static func namelessFile() -> Int32 {
        let path = "/tmp/async-pingora-child-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        // SAFETY: the path is read during the calls.
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
        if file >= 0 { unsafe unlink(path) }
        return file
    }

    deinit {
        end()
        close(output)
    }

    /// Runs a tool to its end.
    public static func run(_ arguments: [String], input: [UInt8] = []) async throws -> Outcome {
        try await ChildProcess(arguments, input: input).outcome()
    }

    /// Waits for the tool to end.
    public func outcome() async -> Outcome {
        await BlockingCall.run { [self] in wait(options: 0) }
        return Outcome(status: status.withLock { $0 } ?? -1, bytes: written())
    }

    /// Waits until the tool has written `text`, or has ended; returns all it has written.
    public func output(containing text: String) async -> String {
        let found = Lock("")
        await BlockingCall.run { [self] in
            while true {
                let hasEnded = wait(options: WNOHANG)
                let written = String(decoding: written(), as: UTF8.self)
                found.withLock { $0 = written }
                if hasEnded || written.split(separator: text, omittingEmptySubsequences: false).count > 1 { return }
                usleep(2_000)
            }
        }
        return found.withLock { $0 }
    }

    /// Ends the tool if it has not ended.
    public func end() {
        if status.withLock({ $0 }) != nil { return }
        kill(process, SIGKILL)
        wait(options: 0)
    }

    /// Whether it has ended.
    @discardableResult
    private func wait(options: Int32) -> Bool {
        status.withLock { (status: inout Int32?) in
            if status != nil { return true }
            var value: Int32 = 0
            // SAFETY: it fills the number it is lent.
            guard unsafe waitpid(process, &value, options) == process else { return false }
            status = value & 0x7F == 0 ? (value >> 8) & 0xFF : -(value & 0x7F)
            return true
        }
    }

    private func written() -> [UInt8] {
        var facts = stat()
        guard unsafe fstat(output, &facts) == 0, facts.st_size > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: facts.st_size)
        // SAFETY: it fills at most the bytes that the array has. `pread` leaves the offset, which the tool shares, where it is.
        let count = unsafe pread(output, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(count, 0)))
    }
}
