internal import AsyncTransport

/// The process's signals: SIGINT, SIGTERM, SIGQUIT, SIGHUP and SIGUSR1, as ``ServerSignal`` says.
public final class ProcessSignals: SignalSource {
    private let source: Lock<SignalSocket?>

    /// Makes the source; the signals are caught from now on, also while the server starts.
    public init() {
        source = Lock(try? SignalSocket())
    }

    /// Returns the next signal of the process.
    public func next() async -> ServerSignal? {
        await withParker { parker in
            while !parker.isCancelled {
                let socket = source.withLock { (current: inout SignalSocket?) in
                    if current == nil { current = try? SignalSocket() }
                    return current
                }
                if let signal = await socket?.next(parker: parker) { return ServerSignal(signal) }
                // Clients may have taken the last descriptor: that is no reason to end.
                await parker.park(until: .after(.milliseconds(100)))
            }
            return nil
        }
    }
}

extension ServerSignal {
    fileprivate init(_ signal: SignalSocket.Signal) {
        self =
            switch signal {
            case .interrupt: .fastShutdown
            case .terminate: .gracefulShutdown
            case .quit: .upgrade
            case .hangUp: .reload
            case .user1: .reopenLogs
            }
    }
}
