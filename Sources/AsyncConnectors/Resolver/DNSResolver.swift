public import AsyncTransport

/// Resolves names by `/etc/hosts` and DNS without blocking a worker, and keeps what it has learned for as long as DNS allows.
///
/// A thread of its own asks; it is started with the first look-up and sleeps while there is none. Those who ask for a name that is being
/// looked up already wait for the same answer. Call it in tasks of a service, and make one for the whole service.
public final class DNSResolver: Resolver {
    /// Whom to ask, how long to wait, and how much to keep.
    public struct Options: Sendable {
        /// Whom to ask; none means the servers in `/etc/resolv.conf`, as it was at the first look-up.
        public var servers: [SocketAddress] = []
        /// How long a look-up may take, with all its tries.
        ///
        /// Default 5 s.
        public var timeout: Duration = .seconds(5)
        /// How long the first try of a server may take, each further one longer; nil leaves it to `/etc/resolv.conf`, which says 5 s.
        ///
        /// Default 1 s.
        public var tryTimeout: Duration? = .seconds(1)
        /// How often each server is asked; nil leaves it to `/etc/resolv.conf`.
        ///
        /// Default 3.
        public var tryCount: Int? = 3
        /// The most names kept; 0 keeps none.
        ///
        /// Default 1024.
        public var cacheCapacity = 1_024
        /// The longest time an answer is kept, whatever DNS allows.
        ///
        /// Default an hour.
        public var maximumLifetime: Duration = .seconds(3_600)
        /// How long it is kept that a name has no address.
        ///
        /// Default 1 s.
        public var negativeLifetime: Duration = .seconds(1)

        /// Makes the defaults.
        public init() {}
    }

    /// Whom to ask, how long to wait, and how much to keep.
    public let options: Options
    private let state = Lock(State())

    private struct State {
        var lookup: NameLookup?
        var kept: [String: Kept] = [:]
        var pending: [String: Question] = [:]
    }

    /// What is known about a name; no addresses: that it has none.
    private struct Kept {
        var addresses: [SocketAddress]
        var expiry: UInt64
    }

    /// A look-up under way, and who waits for it.
    private final class Question: Sendable {
        private struct State {
            var outcome: NameLookup.Outcome?
            var waiting: [ObjectIdentifier: Parker] = [:]
        }

        private let state = Lock(State())

        var outcome: NameLookup.Outcome? { state.withLock { $0.outcome } }

        func add(_ parker: Parker) {
            state.withLock { $0.waiting[ObjectIdentifier(parker)] = parker }
        }

        func remove(_ parker: Parker) {
            state.withLock { $0.waiting[ObjectIdentifier(parker)] = nil }
        }

        func finish(_ outcome: NameLookup.Outcome) {
            let waiting = state.withLock { (state: inout State) in
                state.outcome = outcome
                return Array(state.waiting.values)
            }
            for parker in waiting { parker.unpark() }
        }
    }

    /// Makes a resolver; its thread starts with the first look-up.
    public init(options: Options = Options()) {
        self.options = options
    }

    /// Returns the addresses of `host`, IPv4 and IPv6, best first (RFC 6724), each with `port`.
    ///
    /// - Throws: ``PingoraError``: `resolveError` with source upstream when there is no address, no answer, or not in time; `cancelled`
    ///   when the task is.
    public func resolve(host: String, port: UInt16) async throws(PingoraError) -> [SocketAddress] {
        if let numeric = SocketAddress(host: host, port: port) { return [numeric] }
        guard (1...254).contains(host.utf8.count), host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw Self.error("\(host.debugDescription) is no name")
        }
        let name = host.lowercased()
        let outcome: NameLookup.Outcome
        switch try find(name) {
        case .kept(let addresses): outcome = addresses.isEmpty ? .absent : .found(addresses, seconds: 0)
        case .asked(let question): outcome = try await wait(for: question, name: name)
        }
        switch outcome {
        case .found(let addresses, _): return addresses.map { $0.with(port: port) }
        case .absent: throw Self.error("\(host) has no address")
        case .failed(let reason, _): throw Self.error("\(host): \(reason)")
        }
    }

    private static func error(_ context: String) -> PingoraError {
        PingoraError(.resolveError, source: .upstream, context: context)
    }

    // MARK: - Asking

    private enum Found {
        case kept([SocketAddress])
        case asked(Question)
    }

    /// What is kept, or the look-up under way, which is begun if there is none.
    private func find(_ name: String) throws(PingoraError) -> Found {
        let now = Deadline.currentNanoseconds
        let (found, isNew) = state.withLock { (state: inout State) -> (Found, Bool) in
            if let kept = state.kept[name], kept.expiry > now { return (.kept(kept.addresses), false) }
            if let question = state.pending[name] { return (.asked(question), false) }
            let question = Question()
            state.pending[name] = question
            return (.asked(question), true)
        }
        guard isNew, case .asked(let question) = found else { return found }
        do throws(TransportError) {
            try lookup().begin(name) { outcome in
                self.keep(outcome, of: name)
                question.finish(outcome)
            }
        } catch {
            state.withLock { $0.pending[name] = nil }
            question.finish(.failed("\(error)", isTimeout: false))
        }
        return found
    }

    /// The thread that asks, started if need be.
    private func lookup() throws(TransportError) -> NameLookup {
        try state.withLock { (state: inout State) throws(TransportError) in
            if let lookup = state.lookup { return lookup }
            let made = try NameLookup(
                servers: options.servers,
                tryMilliseconds: options.tryTimeout.map { Int(clamping: $0.wholeNanoseconds / 1_000_000) },
                tryCount: options.tryCount
            )
            state.lookup = made
            return made
        }
    }

    private func wait(for question: Question, name: String) async throws(PingoraError) -> NameLookup.Outcome {
        let deadline = Deadline.after(options.timeout)
        let result = await withParker { (parker) -> Result<NameLookup.Outcome, PingoraError> in
            question.add(parker)
            defer { question.remove(parker) }
            while true {
                if let outcome = question.outcome { return .success(outcome) }
                if parker.isCancelled { return .failure(PingoraError(.cancelled)) }
                if deadline.hasPassed { return .failure(Self.error("\(name) was not resolved in time")) }
                await parker.park(until: deadline)
            }
        }
        return try result.get()
    }

    // MARK: - Keeping

    private func keep(_ outcome: NameLookup.Outcome, of name: String) {
        var addresses: [SocketAddress] = []
        var lifetime: UInt64 = 0
        switch outcome {
        case .found(let found, let seconds):
            addresses = found
            lifetime = min(Duration.seconds(seconds), options.maximumLifetime).wholeNanoseconds
        case .absent:
            lifetime = options.negativeLifetime.wholeNanoseconds
        case .failed:
            break
        }
        let now = Deadline.currentNanoseconds
        let (expiry, overflow) = now.addingReportingOverflow(lifetime)
        state.withLock { (state: inout State) in
            state.pending[name] = nil
            state.kept[name] = nil
            guard lifetime > 0, options.cacheCapacity > 0 else { return }
            if state.kept.count >= options.cacheCapacity {
                state.kept = state.kept.filter { $0.value.expiry > now }
            }
            if state.kept.count >= options.cacheCapacity,
                let next = state.kept.min(by: { $0.value.expiry < $1.value.expiry })
            {
                state.kept[next.key] = nil
            }
            state.kept[name] = Kept(addresses: addresses, expiry: overflow ? .max : expiry)
        }
    }
}
