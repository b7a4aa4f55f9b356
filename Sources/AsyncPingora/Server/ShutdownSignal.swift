internal import AsyncTransport
internal import Synchronization

/// How a server is asked to end.
public enum ShutdownSignal: Sendable {
    /// At once: whatever is in flight is dropped (SIGINT).
    case fast
    /// After what is in flight, within the grace period (SIGTERM, SIGQUIT).
    case graceful
}

/// Where a server learns that it shall end: from the process's signals, or from a test.
public protocol ShutdownSource: Sendable {
    /// Returns the next signal, waiting for it. When its task is cancelled it may return anything at once.
    func next() async -> ShutdownSignal
}

/// A source that is asked to shut down by a call, from any thread.
public final class ManualShutdown: ShutdownSource {
    private let signals = Lock<[ShutdownSignal]>([])
    private let waiting = Lock<Parker?>(nil)

    /// Makes a source that has not been asked.
    public init() {}

    /// Asks the server to end.
    ///
    /// A second call may be more urgent than the first.
    public func request(_ signal: ShutdownSignal) {
        signals.withLock { $0.append(signal) }
        waiting.withLock { $0 }?.unpark()
    }

    /// Returns the next signal that was requested.
    public func next() async -> ShutdownSignal {
        await withParker { parker in
            waiting.withLock { $0 = parker }
            defer { waiting.withLock { $0 = nil } }
            while !parker.isCancelled {
                if let signal = signals.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return signal }
                await parker.park()
            }
            return .fast
        }
    }
}

/// The process's signals: SIGINT is fast, SIGTERM and SIGQUIT are graceful.
public final class ProcessSignals: ShutdownSource {
    private let source: Lock<SignalSocket?>

    /// Makes the source; the signals are caught from now on, also while the server starts.
    public init() {
        source = Lock(try? SignalSocket())
    }

    /// Returns the next signal of the process.
    public func next() async -> ShutdownSignal {
        await withParker { parker in
            while !parker.isCancelled {
                let socket = source.withLock { (current: inout SignalSocket?) in
                    if current == nil { current = try? SignalSocket() }
                    return current
                }
                if let number = await socket?.next(parker: parker) {
                    return number == SignalSocket.interrupt ? .fast : .graceful
                }
                // Clients may have taken the last descriptor: that is no reason to end.
                await parker.park(until: .after(.milliseconds(100)))
            }
            return .fast
        }
    }
}
