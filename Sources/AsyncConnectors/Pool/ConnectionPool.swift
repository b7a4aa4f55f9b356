internal import AsyncTransport
internal import Synchronization

/// The connections to one peer: which rest, how many are in use, what has happened to them.
///
/// The actor answers for the peer as a whole. Each worker has a front of its own, a stack of idle connections behind a lock that
/// other workers take only when their own front is empty: so leasing and releasing cost no hop, and reuse still spans all workers.
package actor ConnectionPool {
    package nonisolated let identity: PeerIdentity
    /// The peer's HTTP/2 connections.
    nonisolated let http2 = HTTP2Front()
    private nonisolated let fronts: [Lock<[HTTP1ClientSession]>]
    private nonisolated let idle = Atomic<Int>(0)
    private nonisolated let leased = Atomic<Int>(0)
    private nonisolated let reused = Atomic<Int>(0)
    private nonisolated let created = Atomic<Int>(0)
    private nonisolated let evicted = Atomic<Int>(0)
    private nonisolated let pingFailures = Atomic<Int>(0)
    /// Set while the keeper removes the pool: whoever still finds it looks again.
    private nonisolated let isRetired = Atomic<Bool>(false)
    /// Set while the keeper makes up its mind, which nothing suspends.
    private nonisolated let isBeingRetired = Atomic<Bool>(false)
    private nonisolated let lastUse = Atomic<UInt64>(0)

    init(identity: PeerIdentity, workerCount: Int) {
        self.identity = identity
        fronts = (0..<workerCount).map { _ in Lock([]) }
    }

    // MARK: - Fronts, from any worker

    /// Counts one more lease; false when the pool is being removed and another must be looked up.
    nonisolated func beginLease() -> Bool {
        leased.add(1, ordering: .sequentiallyConsistent)
        // For some instructions it may be open whether the keeper has seen this lease.
        while isBeingRetired.load(ordering: .sequentiallyConsistent) {}
        guard isRetired.load(ordering: .sequentiallyConsistent) else { return true }
        leased.subtract(1, ordering: .sequentiallyConsistent)
        return false
    }

    nonisolated func endLease() {
        leased.subtract(1, ordering: .sequentiallyConsistent)
    }

    /// Takes an idle connection: the worker's own most recent one, else another worker's.
    nonisolated func takeIdle(worker: Int) -> HTTP1ClientSession? {
        guard idle.load(ordering: .relaxed) > 0 else { return nil }
        for step in 0..<fronts.count {
            guard let session = fronts[(worker + step) % fronts.count].withLock({ $0.popLast() }) else { continue }
            idle.subtract(1, ordering: .relaxed)
            return session
        }
        return nil
    }

    /// Lets a connection rest; returns whether something may have arrived on it by then.
    ///
    /// As soon as the lock is free the connection may be another worker's: nothing of it is touched afterwards.
    nonisolated func putIdle(_ session: HTTP1ClientSession, worker: Int) -> Bool {
        lastUse.store(session.idle.since, ordering: .relaxed)
        idle.add(1, ordering: .relaxed)
        return fronts[worker % fronts.count].withLock { (sessions: inout [HTTP1ClientSession]) in
            sessions.append(session)
            return session.stream.mayBeReadable
        }
    }

    /// Takes the connection that has rested longest, to make room for another.
    nonisolated func takeOldest() -> HTTP1ClientSession? {
        var oldest: (front: Int, since: UInt64)?
        for (index, front) in fronts.enumerated() {
            guard let since = front.withLock({ $0.first?.idle.since }) else { continue }
            if since < oldest?.since ?? .max { oldest = (index, since) }
        }
        guard let oldest else { return nil }
        let session = fronts[oldest.front].withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let session else { return nil }
        idle.subtract(1, ordering: .relaxed)
        evicted.add(1, ordering: .relaxed)
        return session
    }

    nonisolated func noteReused() {
        reused.add(1, ordering: .relaxed)
    }

    nonisolated func noteCreated() {
        created.add(1, ordering: .relaxed)
    }

    nonisolated func noteEvicted() {
        evicted.add(1, ordering: .relaxed)
    }

    nonisolated func notePingFailure() {
        pingFailures.add(1, ordering: .relaxed)
    }

    // MARK: - The keeper's work

    /// Removes the connections that have expired, or that the peer has closed or written to; returns when to look again.
    func sweep() -> (removed: Int, nextExpiry: UInt64) {
        var removed = 0
        var next = UInt64.max
        for front in fronts {
            let unfit = front.withLock { (sessions: inout [HTTP1ClientSession]) -> [HTTP1ClientSession] in
                var unfit: [HTTP1ClientSession] = []
                sessions.removeAll { session in
                    // Being told of something is not enough: it may be the edge of bytes that were read before the connection rested.
                    if !session.idle.hasExpired, session.isQuiet() {
                        next = min(next, session.idle.expiry)
                        return false
                    }
                    unfit.append(session)
                    return true
                }
                return unfit
            }
            for session in unfit { session.close() }
            removed += unfit.count
        }
        evicted.add(removed, ordering: .relaxed)
        idle.subtract(removed, ordering: .relaxed)
        return (removed, next)
    }

    /// Marks the pool as removed if nothing has used it since `time`; nobody can lease from it afterwards.
    func retire(unusedSince time: UInt64) -> Bool {
        guard lastUse.load(ordering: .relaxed) < time else { return false }
        isBeingRetired.store(true, ordering: .sequentiallyConsistent)
        defer { isBeingRetired.store(false, ordering: .sequentiallyConsistent) }
        let isUnused =
            leased.load(ordering: .sequentiallyConsistent) == 0 && idle.load(ordering: .sequentiallyConsistent) == 0
            && http2.isEmpty
        guard isUnused, lastUse.load(ordering: .relaxed) < time else { return false }
        isRetired.store(true, ordering: .sequentiallyConsistent)
        return true
    }

    /// What has happened so far.
    package func facts() -> PoolFacts {
        let connections = http2.connections
        let streamCounts = connections.map(\.activeCount)
        let idleCount = idle.load(ordering: .relaxed) + streamCounts.count { $0 == 0 }
        let streamCount = streamCounts.reduce(0, +)
        let inUse = leased.load(ordering: .relaxed)
        return PoolFacts(
            open: idleCount + max(inUse - streamCount, 0) + streamCounts.count { $0 > 0 },
            idle: idleCount,
            inUse: inUse,
            h2Connections: connections.count,
            h2Streams: streamCount,
            created: created.load(ordering: .relaxed),
            reused: reused.load(ordering: .relaxed),
            evicted: evicted.load(ordering: .relaxed),
            pingFailures: pingFailures.load(ordering: .relaxed)
        )
    }
}

/// The state of one pool, or of all pools of a connector together.
public struct PoolFacts: Sendable, Equatable {
    /// Connections that are open, those that are being made included.
    public var open = 0
    /// Connections that rest in the pool.
    public var idle = 0
    /// Requests that have a connection or a stream, or wait for one.
    public var inUse = 0
    /// HTTP/2 connections among those that are open.
    public var h2Connections = 0
    /// Streams that are in use on them.
    public var h2Streams = 0
    /// Connections made since the start.
    public var created = 0
    /// Requests that were given a connection which had served another before.
    public var reused = 0
    /// Resting connections that were closed: expired, closed or written to by the peer, or to make room.
    public var evicted = 0
    /// HTTP/2 connections that were given up because they did not answer a ping.
    public var pingFailures = 0

    /// The facts of no pool.
    package static let none = PoolFacts()

    static func + (left: PoolFacts, right: PoolFacts) -> PoolFacts {
        PoolFacts(
            open: left.open + right.open,
            idle: left.idle + right.idle,
            inUse: left.inUse + right.inUse,
            h2Connections: left.h2Connections + right.h2Connections,
            h2Streams: left.h2Streams + right.h2Streams,
            created: left.created + right.created,
            reused: left.reused + right.reused,
            evicted: left.evicted + right.evicted,
            pingFailures: left.pingFailures + right.pingFailures
        )
    }
}
