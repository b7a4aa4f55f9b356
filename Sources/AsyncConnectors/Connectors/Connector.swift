package import AsyncTransport
internal import Synchronization

/// Gives out connections to peers: pooled ones first, new ones else.
///
/// Shared by all workers of a service. Its upkeep, closing what has expired or died, runs in ``maintain()``.
public final class Connector: Sendable {
    /// How many connections are kept.
    public struct Options: Sendable {
        /// The most idle connections kept, over all peers and workers together.
        ///
        /// Beyond it the longest idle is closed. Default 1024.
        public var poolSize = 1_024

        /// Makes the defaults.
        public init() {}
    }

    /// The most idle connections kept, which may be changed at any time, from any thread.
    ///
    /// When it shrinks, the longest idle HTTP/1.1 connections are closed; those of HTTP/2 go when their time is up.
    public var poolSize: Int {
        get { idleLimit.load(ordering: .relaxed) }
        set {
            idleLimit.store(newValue, ordering: .relaxed)
            keeper.withLock { $0 }?.unpark()
        }
    }
    private let idleLimit: Atomic<Int>
    let workerCount: Int
    /// Every pool, by what its connections have in common.
    let pools = Lock<[PeerIdentity: ConnectionPool]>([:])
    /// Each worker's copy of the part it uses, so that workers do not meet at one lock.
    let known: [Lock<KnownPools>]
    /// What pools have counted that are gone.
    let past = Lock(PoolFacts())
    let tlsConnector = TLSConnector()
    let idleTotal = Atomic<Int>(0)
    let keeper = Lock<Parker?>(nil)
    /// HTTP/2 connections that have no task yet.
    let unstarted = Lock<[(HTTP2ClientConnection, ConnectionPool)]>([])
    /// When the keeper looks next, in nanoseconds.
    let nextSweep = Atomic<UInt64>(.max)

    /// Makes a connector for a service with so many workers.
    public init(options: Options = Options(), workerCount: Int) {
        idleLimit = Atomic(options.poolSize)
        self.workerCount = max(workerCount, 1)
        known = (0..<max(workerCount, 1)).map { _ in Lock(KnownPools()) }
    }

    /// What carries one exchange, and where it goes back to.
    package struct Lease {
        /// By protocol version.
        package enum Carrier {
            case http1(HTTP1ClientSession)
            case http2(HTTP2ClientSession)
        }

        package let carrier: Carrier
        package let pool: ConnectionPool
        /// Whether the connection has carried an exchange before.
        package let isReused: Bool

        /// The exchange's session.
        package var session: any UpstreamSession {
            switch carrier {
            case .http1(let session): session
            case .http2(let session): session
            }
        }
    }

    /// Returns a pooled connection to `peer` that is fit for use, attached to `parker`; nil when there is none.
    ///
    /// Synchronous, for this is what most requests need: no hop, no lock that another worker holds for long.
    package func leasePooled(_ peer: any Peer, parker: Parker) -> Lease? {
        let worker = (ThreadContext.currentIndex ?? 0) % workerCount
        let pool = leasedPool(for: peer, worker: worker)
        if peer.options.httpVersions != .http1, let lease = leaseStream(in: pool, worker: worker, parker: parker) {
            return lease
        }
        while let session = pool.takeIdle(worker: worker) {
            idleTotal.subtract(1, ordering: .relaxed)
            guard isFit(session) else {
                session.close()
                continue
            }
            session.stream.attach(to: parker)
            pool.noteReused()
            return Lease(carrier: .http1(session), pool: pool, isReused: true)
        }
        pool.endLease()
        return nil
    }

    /// A stream on one of the peer's HTTP/2 connections; nil when none has room.
    func leaseStream(in pool: ConnectionPool, worker: Int, parker: Parker) -> Lease? {
        guard let reservation = pool.http2.reserve(worker: worker) else { return nil }
        if reservation.wasIdle { idleTotal.subtract(1, ordering: .relaxed) }
        if reservation.isReused { pool.noteReused() }
        let session = HTTP2ClientSession(reservation, parker: parker)
        return Lease(carrier: .http2(session), pool: pool, isReused: reservation.isReused)
    }

    /// Makes a new connection to `peer`, or waits for one that is being made, attached to `parker`.
    ///
    /// - Parameters:
    ///   - peer: where to connect, and how.
    ///   - parker: what to wake when the connection has news.
    ///   - isAbandoned: asked at each wake-up whether the connection is still wanted.
    /// - Returns: the connection, leased.
    /// - Throws: ``PingoraError`` with source upstream.
    package func connect(
        _ peer: any Peer,
        parker: Parker,
        isAbandoned: () -> Bool = { false }
    ) async throws(PingoraError) -> Lease {
        let worker = (ThreadContext.currentIndex ?? 0) % workerCount
        let pool = leasedPool(for: peer, worker: worker)
        do throws(PingoraError) {
            if peer.canSpeakHTTP2, !pool.http2.isAvoided {
                let lease = try await connectHTTP2(peer, pool: pool, parker: parker, isAbandoned: isAbandoned)
                if let lease { return lease }
            }
            let stream = try await open(peer, offersHTTP2: false, parker: parker, isAbandoned: isAbandoned)
            pool.noteCreated()
            let session = HTTP1ClientSession(stream: stream, peer: peer)
            return Lease(carrier: .http1(session), pool: pool, isReused: false)
        } catch {
            pool.endLease()
            throw error
        }
    }

    /// Returns a pooled connection, or else a new one.
    ///
    /// - Throws: ``PingoraError`` with source upstream.
    package func lease(_ peer: any Peer, parker: Parker) async throws(PingoraError) -> Lease {
        if let pooled = leasePooled(peer, parker: parker) { return pooled }
        return try await connect(peer, parker: parker)
    }

    /// Takes a connection back: into the pool if it is fit for another exchange, else it is closed.
    package func release(_ lease: Lease, peer: HttpPeer) {
        defer { lease.pool.endLease() }
        switch lease.carrier {
        case .http1(let session):
            rest(session, in: lease.pool, peer: peer)
        case .http2(let session):
            giveBack(session.end(), of: session.connection, to: lease.pool)
        }
    }

    /// Ends a lease whose exchange did not end well.
    ///
    /// An HTTP/1.1 connection is closed; of an HTTP/2 one the stream is reset, and others go on. `error` says whether the connection, or the
    /// peer's HTTP/2, is to be trusted any more.
    package func discard(_ lease: Lease, peer: any Peer, after error: PingoraError? = nil) {
        switch lease.carrier {
        case .http1(let session):
            session.close()
        case .http2(let session):
            let spare = session.end()
            // A connection on which nothing came in time may be dead: no more streams are opened on it.
            if let error, error.source == .upstream, error.kind.isTimeout { session.connection.retire() }
            let isUnwanted = error?.kind == .h2Downgrade || error?.kind == .invalidH2
            if isUnwanted, peer.options.httpVersions == .negotiated { lease.pool.http2.avoid() }
            giveBack(spare, of: session.connection, to: lease.pool)
        }
        lease.pool.endLease()
    }

    private func giveBack(
        _ spare: consuming HTTP2Stream?,
        of connection: HTTP2ClientConnection,
        to pool: ConnectionPool
    ) {
        guard connection.giveBack(spare) else { return }
        guard makeRoom(in: pool) else { return connection.retire() }
        if !connection.countAsIdle() { idleTotal.subtract(1, ordering: .relaxed) }
    }

    private func rest(_ session: HTTP1ClientSession, in pool: ConnectionPool, peer: HttpPeer) {
        guard peer.timeouts.idle > 0, session.isReusable, session.isQuiet() else {
            session.close()
            return
        }
        session.rest()
        session.idle.begin(idleTimeout: peer.timeouts.idle)
        guard !session.idle.hasExpired, makeRoom(in: pool) else {
            session.close()
            return
        }
        // Asked once per connection: keepers do not come and go, and a parker is valid for ever.
        let keeper = session.keeper ?? keeper.withLock { $0 }
        session.keeper = keeper
        session.stream.attach(to: keeper)
        session.stream.awakenOnInput()
        let expiry = session.idle.expiry
        let isRestless = pool.putIdle(session, worker: ThreadContext.currentIndex ?? 0)
        // What came before the pool held the connection woke a keeper that could not find it.
        if isRestless || expiry < nextSweep.load(ordering: .relaxed) { keeper?.unpark() }
    }

    private func isFit(_ session: HTTP1ClientSession) -> Bool {
        guard !session.idle.hasExpired, session.isQuiet() else { return false }
        do {
            try session.stream.moveToCurrentThread()
            return true
        } catch {
            return false
        }
    }

    private func leasedPool(for peer: any Peer, worker: Int) -> ConnectionPool {
        if let pool = known[worker].withLock({ $0.find(peer) }), pool.beginLease() { return pool }
        let identity = peer.identity
        while true {
            let pool = pools.withLock { (all: inout [PeerIdentity: ConnectionPool]) in
                if let pool = all[identity] { return pool }
                let made = ConnectionPool(identity: identity, workerCount: workerCount)
                all[identity] = made
                return made
            }
            guard pool.beginLease() else {
                pools.withLock { if $0[identity] === pool { $0[identity] = nil } }
                continue
            }
            known[worker].withLock { $0.insert(pool) }
            return pool
        }
    }

    /// Counts one more idle connection, closing an older one if that would be too many; false when there is no room.
    private func makeRoom(in pool: ConnectionPool) -> Bool {
        let poolSize = poolSize
        guard poolSize > 0 else { return false }
        if idleTotal.add(1, ordering: .relaxed).newValue <= poolSize { return true }
        idleTotal.subtract(1, ordering: .relaxed)
        // The pool's own oldest first; else that of some others: looking at all of them for the very oldest could take long.
        let others = pools.withLock { Array($0.values.prefix(8)) }
        for candidate in [pool] + others {
            guard let oldest = candidate.takeOldest() else { continue }
            oldest.close()
            return true
        }
        return false
    }
}

/// The pools that one worker has used.
///
/// A proxy that returns the same peer object again and again is served without a look-up.
struct KnownPools {
    private var pools: [PeerIdentity: ConnectionPool] = [:]
    private var lastPeer: (any Peer)?
    private var lastPool: ConnectionPool?

    mutating func find(_ peer: any Peer) -> ConnectionPool? {
        if let lastPeer, lastPeer === peer { return lastPool }
        let pool = pools[peer.identity]
        lastPeer = peer
        lastPool = pool
        return pool
    }

    mutating func insert(_ pool: ConnectionPool) {
        pools[pool.identity] = pool
        lastPeer = nil
    }

    mutating func remove(_ identity: PeerIdentity) {
        pools[identity] = nil
        lastPeer = nil
    }
}
