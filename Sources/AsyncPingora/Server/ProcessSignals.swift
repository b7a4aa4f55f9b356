package import AsyncTransport

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
            await Self.next(parker: parker) { parker in
                let socket = source.withLock { (current: inout SignalSocket?) in
                    if current == nil { current = try? SignalSocket() }
                    return current
                }
                return await socket?.next(parker: parker).map(ServerSignal.init)
            }
        }
    }

    /// Asks until there is a signal, or the task is cancelled.
    ///
    /// Clients may have taken the last descriptor: that is no reason to end.
    package static func next(
        parker: Parker,
        ask: (Parker) async -> ServerSignal?
    ) async -> ServerSignal? {
        while !parker.isCancelled {
            if let signal = await ask(parker) { return signal }
            // It may have used up the wake-up that came with the end of the task.
            if parker.isCancelled { break }
            await parker.park(until: .after(.milliseconds(100)))
        }
        return nil
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
