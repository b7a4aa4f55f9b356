package import AsyncTransport
package import Logging

/// Brings lines to a sink, whole or not at all, and says in the log when that fails and when it works again.
package struct LogWriter: Sendable {
    private var sink: any LogSink
    private let logger: Logger
    /// Holds the one line end that a torn line is ended with.
    private let lineEnd: TextBuffer
    /// The sink ends in a part of a line that could not be taken back.
    private var endsTorn = false
    /// Lines lost since the sink failed; nil while it works.
    private var lostSinceFailure: UInt64?
    private var overflow = Overflow()

    /// Whether lines come faster than they can be written.
    private struct Overflow {
        var isReported = false
        var droppedCount: UInt64 = 0
        var droppedBefore: UInt64 = 0
        var calmSince: UInt64 = 0
    }

    /// How long the end waits for a pipe that takes nothing.
    private static let patience: UInt64 = 1_000_000_000

    package init(sink: any LogSink, logger: Logger) {
        self.sink = sink
        self.logger = logger
        lineEnd = TextBuffer(capacity: 1)
        lineEnd.append(UInt8(ascii: "\n"))
    }

    /// Changes to another destination, or to the file that has the name now; keeps the old one when there is none to be had.
    package mutating func reopen(at destination: AccessLog.Destination? = nil) {
        do throws(TransportError) {
            sink = if let destination { try destination.open() } else { try sink.reopened() }
            endsTorn = false
        } catch {
            logger.error("access log: \(error); the lines still go to the file that was open")
        }
    }

    /// Writes lines.
    ///
    /// - Parameters:
    ///   - buffers: the lines, in order.
    ///   - isEnding: whether a sink that takes nothing is not waited for without end.
    /// - Returns: how many of them were lost.
    package mutating func write(_ buffers: [TextBuffer], isEnding: () -> Bool) -> Int {
        var lost = 0
        var failure: TransportError?
        if endsTorn {
            failure = lineEnd.withBytes { put($0, isEnding: isEnding).failure }
            endsTorn = failure != nil
        }
        for buffer in buffers {
            if failure == nil {
                let (written, error) = buffer.withBytes { put($0, isEnding: isEnding) }
                failure = error
                if error == nil { continue }
                let whole = buffer.lines(upTo: written)
                let torn = written - whole.end
                if torn > 0, !sink.takeBack(torn) { endsTorn = true }
                lost += buffer.lineCount - whole.count
            } else {
                lost += buffer.lineCount
            }
        }
        if !buffers.isEmpty { report(failure, lost: lost) }
        return lost
    }

    /// Writes as much as the sink takes.
    private func put(_ bytes: RawSpan, isEnding: () -> Bool) -> (count: Int, failure: TransportError?) {
        var count = 0
        var givesUpAt: UInt64?
        while count < bytes.byteCount {
            switch sink.write(bytes.extracting(count..<bytes.byteCount)) {
            case .failed(let error):
                return (count, error)
            case .wrote(let more) where more > 0:
                count += more
                givesUpAt = nil
            case .wrote, .wouldBlock:
                if isEnding() {
                    let now = SystemClock.monotonicNanoseconds
                    givesUpAt = givesUpAt ?? now &+ Self.patience
                    if now >= givesUpAt ?? 0 { return (count, .timedOut(.write)) }
                }
                sink.waitUntilWritable(milliseconds: 100)
            }
        }
        return (count, nil)
    }

    // MARK: - Telling about it

    private mutating func report(_ failure: TransportError?, lost: Int) {
        if let failure {
            if lostSinceFailure == nil {
                logger.error("access log: \(failure); lines are dropped until \(sink.name) can be written again")
            }
            lostSinceFailure = (lostSinceFailure ?? 0) + UInt64(lost)
        } else if let lost = lostSinceFailure {
            logger.notice("access log: \(sink.name) can be written again; \(lost) lines were dropped")
            lostSinceFailure = nil
        }
    }

    /// Takes note of how many lines there was no room for so far.
    package mutating func note(droppedCount: UInt64, now: UInt64) {
        if droppedCount > overflow.droppedCount {
            if !overflow.isReported {
                logger.error("access log: lines come faster than \(sink.name) takes them; some are dropped")
                overflow.droppedBefore = overflow.droppedCount
                overflow.isReported = true
            }
            overflow.droppedCount = droppedCount
            overflow.calmSince = now
        } else if overflow.isReported, now >= overflow.calmSince + 1_000_000_000 {
            logger.notice(
                "access log: \(sink.name) keeps up again; \(droppedCount - overflow.droppedBefore) lines were dropped"
            )
            overflow.isReported = false
        }
    }
}
