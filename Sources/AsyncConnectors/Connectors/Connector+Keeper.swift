internal import AsyncTransport
internal import Synchronization

// The keeper: one task of the service that closes what has expired or died, and that the tasks of HTTP/2 connections are children of.

extension Connector {
    /// A pool that nothing has used for so long is forgotten.
    private static var poolLifetime: UInt64 { 60_000_000_000 }

    /// Closes idle connections as they expire or die, and runs those that speak HTTP/2, until the task is cancelled.
    ///
    /// The service that uses the connector runs this as one of its child tasks.
    public func maintain() async {
        await withParker { parker in
            await withDiscardingTaskGroup { group in
                keeper.withLock { $0 = parker }
                while !parker.isCancelled {
                    // Whatever comes to rest during the sweep may have been missed by it: it asks for another.
                    nextSweep.store(.max, ordering: .relaxed)
                    runUnstarted(in: &group)
                    let next = await sweep()
                    closeExcess()
                    nextSweep.store(next, ordering: .relaxed)
                    await parker.park(until: Deadline(nanoseconds: next))
                }
                keeper.withLock { $0 = nil }
                runUnstarted(in: &group)
                group.cancelAll()
            }
        }
        await closeIdle()
    }

    /// Has the keeper run a new HTTP/2 connection, on the worker that made it.
    func start(_ connection: HTTP2ClientConnection, of pool: ConnectionPool) {
        unstarted.withLock { $0.append((connection, pool)) }
        keeper.withLock { $0 }?.unpark()
    }

    private func runUnstarted(in group: inout DiscardingTaskGroup) {
        let waiting = unstarted.withLock { (waiting: inout [(HTTP2ClientConnection, ConnectionPool)]) in
            defer { waiting = [] }
            return waiting
        }
        for (connection, pool) in waiting {
            group.addTask(executorPreference: connection.executor) { [self] in
                await connection.run {
                    pool.http2.changed($0)
                } missedPing: {
                    pool.notePingFailure()
                }
                if connection.countNoMore() {
                    idleTotal.subtract(1, ordering: .relaxed)
                    pool.noteEvicted()
                }
            }
        }
    }

    private func sweep() async -> UInt64 {
        let now = Deadline.currentNanoseconds
        var next = UInt64.max
        for (identity, pool) in pools.withLock({ $0 }) {
            let (removed, expiry) = await pool.sweep()
            idleTotal.subtract(removed, ordering: .relaxed)
            next = min(next, expiry)
            if expiry == .max, now > Self.poolLifetime, await pool.retire(unusedSince: now - Self.poolLifetime) {
                await forget(pool)
                for worker in known { worker.withLock { $0.remove(identity) } }
            } else {
                next = min(next, now + Self.poolLifetime)
            }
        }
        return next
    }

    /// Removes a pool that nothing uses any more, and keeps what it has counted.
    private func forget(_ pool: ConnectionPool) async {
        let facts = await pool.facts()
        pools.withLock { pools in
            if pools[pool.identity] === pool { pools[pool.identity] = nil }
            past.withLock { $0 = $0 + facts }
        }
    }

    /// Closes idle connections until there are no more than may be.
    private func closeExcess() {
        guard idleTotal.load(ordering: .relaxed) > poolSize else { return }
        for pool in pools.withLock({ Array($0.values) }) {
            while idleTotal.load(ordering: .relaxed) > poolSize, let oldest = pool.takeOldest() {
                idleTotal.subtract(1, ordering: .relaxed)
                oldest.close()
            }
        }
    }

    /// Closes all connections that rest.
    private func closeIdle() async {
        for pool in pools.withLock({ Array($0.values) }) {
            while let session = pool.takeIdle(worker: 0) {
                idleTotal.subtract(1, ordering: .relaxed)
                session.close()
            }
        }
    }

    /// Sums up what the pools have done; exact only while nothing is going on.
    public func poolFacts() async -> PoolFacts {
        var (all, sum) = pools.withLock { pools in (Array(pools.values), past.withLock { $0 }) }
        for pool in all { sum = sum + (await pool.facts()) }
        return sum
    }
}
