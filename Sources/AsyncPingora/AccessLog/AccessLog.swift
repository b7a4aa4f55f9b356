public import AsyncTransport
internal import CoreMetrics
public import Logging
internal import Synchronization

/// An access log: one line for each exchange, put together by the worker and written by a thread of its own.
///
/// Give it to the services with `observers`; several may share one. Its thread runs as long as one of them does, and when a service has
/// ended all its lines have been written.
///
///     let log = try AccessLog(AccessLog.Options(.file("/var/log/proxy/access.log"), format: .combined))
///     let proxy = httpProxyService(MyProxy(), listeners: listeners, observers: [log])
///
/// It never makes an exchange wait. What cannot be written is dropped and counted, be it that lines come too fast or that the disk is full,
/// and the error log is told when that begins and when it ends. A line is written as a whole or not at all.
public final class AccessLog: ExchangeObserver {
    /// Where lines go.
    public enum Destination: Sendable {
        /// A file that is appended to; it is made with mode 0640 if there is none.
        case file(String)
        /// The process's standard output.
        case standardOutput
        /// The process's standard error.
        case standardError
        /// A closure, called on the log's thread with one or more whole lines.
        ///
        /// When it throws, what it was given counts as dropped.
        case custom(@Sendable (RawSpan) throws -> Void)

        /// Makes the destination that a setting or an argument names: a path, or `-` for standard output.
        public init(_ text: String) {
            self = text == "-" ? .standardOutput : .file(text)
        }
    }

    /// What the lines look like, and how they are kept until they are written.
    public struct Options: Sendable {
        /// Where lines go.
        public var destination: Destination
        /// What they look like.
        public var format: AccessLogFormat
        /// A line waits for others no longer than this.
        ///
        /// Default one second.
        public var flushInterval: Duration = .seconds(1)
        /// Bytes of memory for lines that wait to be written; what there is no room for is dropped.
        ///
        /// Default 8 MiB. It is taken as it is needed.
        public var memoryLimit = 8_388_608
        /// No value takes more bytes than this in a line: longer ones end in `...`.
        ///
        /// Default 2048.
        public var valueLimit = 2_048

        /// Makes options: where lines go, and what they look like.
        public init(_ destination: Destination, format: AccessLogFormat = .combined) {
            self.destination = destination
            self.format = format
        }
    }

    private let format: LineFormat
    private let buffers: LineBuffers
    private let flushInterval: Duration
    private let logger: Logger
    private let state: Lock<State>
    /// Lines that the sink did not take.
    private let lost = Atomic<UInt64>(0)
    /// Of `droppedCount`, how many the metric has been told of.
    private let reported = Atomic<UInt64>(0)
    private let droppedCounter = Counter(label: "pingora_accesslog_dropped_total")
    private let mustReopen = Atomic<Bool>(false)
    /// The writer has nothing to do, and wants to be woken by the next line.
    private let isResting = Atomic<Bool>(false)

    private struct State {
        /// Nil while somebody uses it.
        var writer: LogWriter?
        /// Wakes the thread that writes.
        var parker: Parker?
        /// Services that would take over from the one whose thread writes.
        var waiting: [ObjectIdentifier: Parker] = [:]
        /// Where lines go when the log is next opened again; nil is where they go now.
        var destination: Destination?
    }

    /// Opens the destination.
    ///
    /// - Throws: ``/AsyncTransport/TransportError`` when a file cannot be opened.
    public convenience init(
        _ options: Options,
        logger: Logger = Logger(label: "AsyncPingora.AccessLog")
    ) throws(TransportError) {
        self.init(options, sink: try options.destination.open(), logger: logger)
    }

    package init(_ options: Options, sink: any LogSink, logger: Logger) {
        format = LineFormat(options.format, valueLimit: max(options.valueLimit, 16))
        buffers = LineBuffers(byteCount: options.memoryLimit, longestLine: format.longestLine)
        flushInterval = options.flushInterval
        self.logger = logger
        state = Lock(State(writer: LogWriter(sink: sink, logger: logger)))
    }

    deinit {
        droppedCounter.destroy()
    }

    /// How many lines were dropped so far; also the counter `pingora_accesslog_dropped_total` of swift-metrics.
    public var droppedCount: UInt64 { buffers.droppedCount + lost.load(ordering: .relaxed) }

    /// Has the file opened again, which may have been renamed: soon, between two lines.
    ///
    /// When that fails, the error log is told, and lines still go to the old one.
    /// - Parameter destination: where lines go from then on; nil is where they went before.
    public func reopen(at destination: Destination? = nil) {
        if let destination { state.withLock { $0.destination = destination } }
        mustReopen.store(true, ordering: .sequentiallyConsistent)
        wake()
    }

    /// Adds the exchange's line.
    public func exchangeEnded(_ session: Session) {
        let notice = buffers.append { buffer, clock in format.write(session, clock: &clock, to: buffer) }
        switch notice {
        case .none: break
        case .hasBegun: if isResting.load(ordering: .relaxed) { wake() }
        case .isFull: wake()
        }
    }

    @inline(never)
    private func wake() {
        state.withLock { $0.parker }?.unpark()
    }

    // MARK: - Writing

    /// Writes lines on a thread of the log's own until the service ends; of several services one does so.
    public func runAlongside() async {
        await withParker { parker in
            state.withLock { $0.waiting[ObjectIdentifier(parker)] = parker }
            defer { state.withLock { $0.waiting[ObjectIdentifier(parker)] = nil } }
            while !parker.isCancelled {
                if let writer = takeWriter() {
                    giveBack(await write(with: writer))
                    return
                }
                await parker.park()
            }
        }
    }

    /// Writes what is left.
    public func serviceEnded() {
        // Another service's thread sees to it, if there is one.
        guard var writer = takeWriter() else { return }
        _ = writeAll(with: &writer, isEnding: { true })
        giveBack(writer)
    }

    private func takeWriter() -> LogWriter? { state.withLock { $0.writer.take() } }

    private func giveBack(_ writer: LogWriter) {
        let waiting = state.withLock { (state: inout State) in
            state.writer = writer
            return Array(state.waiting.values)
        }
        for parker in waiting { parker.unpark() }
    }

    private func write(with writer: LogWriter) async -> LogWriter {
        do throws(TransportError) {
            let executor = try ServiceExecutor(name: "access log", threadCount: 1)
            defer { executor.shutdown() }
            return await withTaskGroup(of: LogWriter.self) { group in
                group.addTask(executorPreference: executor.nextExecutor()) { await self.keepWriting(with: writer) }
                return await group.next() ?? writer
            }
        } catch {
            logger.error("access log: \(error); nothing is written")
            return writer
        }
    }

    private func keepWriting(with writer: LogWriter) async -> LogWriter {
        var writer = writer
        await withParker { parker in
            state.withLock { $0.parker = parker }
            defer { state.withLock { $0.parker = nil } }
            while !parker.isCancelled {
                if writeAll(with: &writer, isEnding: { parker.isCancelled }) {
                    await parker.park(until: .after(flushInterval))
                } else {
                    isResting.store(true, ordering: .sequentiallyConsistent)
                    // A worker adds its line, then looks whether it must wake this thread; both under the lock that this takes.
                    if buffers.isEmpty { await parker.park() }
                    isResting.store(false, ordering: .relaxed)
                }
            }
        }
        return writer
    }

    /// Writes the lines that are there; says whether there were any.
    private func writeAll(with writer: inout LogWriter, isEnding: () -> Bool) -> Bool {
        if mustReopen.exchange(false, ordering: .sequentiallyConsistent) {
            writer.reopen(at: state.withLock { $0.destination.take() })
        }
        let taken = buffers.takeAll()
        let count = writer.write(taken, isEnding: isEnding)
        lost.add(UInt64(count), ordering: .relaxed)
        for buffer in taken { buffers.giveBack(buffer) }
        let total = droppedCount
        let before = reported.exchange(total, ordering: .relaxed)
        if total > before { droppedCounter.increment(by: total - before) }
        writer.note(droppedCount: buffers.droppedCount, now: SystemClock.monotonicNanoseconds)
        return !taken.isEmpty
    }
}
