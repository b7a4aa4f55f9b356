/// Sees each exchange of a service once it has ended: what access logs and metrics are made of.
///
/// Given to a service with `observers`. A service without any measures nothing.
public protocol ExchangeObserver: Sendable {
    /// Is called once per exchange, after `logging`, also for requests that were refused before any callback saw them.
    ///
    /// Runs on the worker that served the exchange: it must neither block nor keep the session.
    /// ``Session/timings`` and ``Session/failure`` tell how it went.
    func exchangeEnded(_ session: Session)

    /// Runs beside the listeners of each service that it observes, for as long as the service does; cancelled then.
    func runAlongside() async

    /// Is called when a service has ended, after the last of its exchanges.
    ///
    /// Runs on a worker of the service, which serves nobody any more: it may block for a short while.
    func serviceEnded()
}

extension ExchangeObserver {
    /// Returns at once.
    public func runAlongside() async {}
    /// Does nothing.
    public func serviceEnded() {}
}

extension [any ExchangeObserver] {
    /// Has an exchange measured, if anybody asks.
    func begin(_ session: Session) {
        if !isEmpty { session.timings.begin() }
    }

    /// Tells of an exchange that has ended, if anybody asks.
    func end(_ session: Session) {
        guard !isEmpty else { return }
        tell(of: session)
    }

    @inline(never)  // a frame of its own: it is not needed without observers
    private func tell(of session: Session) {
        session.timings.note(.end)
        // In their places: a copy of each counts references.
        for index in indices { self[index].exchangeEnded(session) }
    }
}
