package import AsyncTransport

/// Where an access log's text goes.
package protocol LogSink: Sendable {
    /// What it is called in messages.
    var name: String { get }
    /// Writes the first of `bytes`, as many as it takes at once.
    func write(_ bytes: RawSpan) -> AppendFile.Outcome
    /// Waits until more can be written, or for so long.
    func waitUntilWritable(milliseconds: Int32)
    /// Removes the last `count` bytes again, which the last write has taken; says whether it could.
    func takeBack(_ count: Int) -> Bool
    /// Returns the sink of the same name, which may be another one by now.
    func reopened() throws(TransportError) -> Self
}

extension AppendFile: LogSink {}

extension AccessLog.Destination {
    /// Opens it; blocks.
    func open() throws(TransportError) -> any LogSink {
        switch self {
        case .file(let path): try AppendFile(path: path)
        case .standardOutput: AppendFile.standardOutput()
        case .standardError: AppendFile.standardError()
        case .custom(let body): ClosureSink(body: body)
        }
    }
}

/// A closure of the user's, which takes everything or throws.
struct ClosureSink: LogSink {
    let body: @Sendable (RawSpan) throws -> Void

    var name: String { "(closure)" }

    func write(_ bytes: RawSpan) -> AppendFile.Outcome {
        do {
            try body(bytes)
            return .wrote(bytes.byteCount)
        } catch let error as TransportError {
            return .failed(error)
        } catch {
            return .failed(TransportError(.write, errno: 0, detail: "\(error)"))
        }
    }

    func waitUntilWritable(milliseconds: Int32) {}
    func takeBack(_ count: Int) -> Bool { false }
    func reopened() -> ClosureSink { self }
}
