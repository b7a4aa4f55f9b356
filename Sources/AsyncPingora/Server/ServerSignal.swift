internal import AsyncTransport

/// What a running server can be asked to do from outside: by one of the process's signals, or by a ``ManualSignals``.
public enum ServerSignal: Sendable, CaseIterable {
    /// End at once, whatever is in flight (SIGINT).
    case fastShutdown
    /// End after what is in flight, within the grace period (SIGTERM).
    case gracefulShutdown
    /// Hand over to a new process, then end as for ``gracefulShutdown`` (SIGQUIT).
    case upgrade
    /// Read the configuration again (SIGHUP).
    case reload
    /// Open the log files again, for they have been moved away (SIGUSR1).
    case reopenLogs
}

/// Where a server's signals come from: the process, or a test.
public protocol SignalSource: Sendable {
    /// Returns the next signal, waiting for it; nil when its task is cancelled.
    ///
    /// Called in a task on a ``ServiceExecutor``, one call at a time.
    func next() async -> ServerSignal?
}

/// A source whose signals are sent by a call, from any thread: for tests, and for programs that embed a server.
public final class ManualSignals: SignalSource {
    private let signals = Lock<[ServerSignal]>([])
    private let waiting = Lock<Parker?>(nil)

    /// Makes a source without signals.
    public init() {}

    /// Sends a signal; one that comes before the server runs is kept.
    public func send(_ signal: ServerSignal) {
        signals.withLock { $0.append(signal) }
        waiting.withLock { $0 }?.unpark()
    }

    /// Returns the next signal that was sent.
    public func next() async -> ServerSignal? {
        await withParker { parker in
            waiting.withLock { $0 = parker }
            defer { waiting.withLock { $0 = nil } }
            while !parker.isCancelled {
                if let signal = signals.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return signal }
                await parker.park()
            }
            return nil
        }
    }
}
