internal import AsyncTransport
internal import Logging

/// Accepts connections of one endpoint and gives each a child task of its own, on the worker that has the fewest.
final class AcceptLoop<App: ServerApp>: Sendable {
    let stack: TransportStack
    let app: App
    let counts: ConnectionCounts
    let executor: ServiceExecutor
    let drain: DrainState
    let logger: Logger

    /// Connections accepted before others get a turn: a flood of new ones does not starve those that are there.
    private static var burst: Int { 64 }
    /// A queue that does not end is one that others fill, because another process has the socket as well.
    private static var longestQueue: Int { 65_536 }
    /// How long accepting pauses when descriptors or memory have run out.
    private static var pause: Duration { .milliseconds(100) }

    init(
        stack: TransportStack,
        app: App,
        counts: ConnectionCounts,
        executor: ServiceExecutor,
        drain: DrainState,
        logger: Logger
    ) {
        self.stack = stack
        self.app = app
        self.counts = counts
        self.executor = executor
        self.drain = drain
        self.logger = logger
    }

    /// Runs until the service drains or is cancelled; returns when the last connection has ended.
    func run() async throws {
        try await withParker { parker in
            drain.add(parker)
            defer { drain.remove(parker) }
            try stack.socket.register(parker: parker)
            let resting = RestingConnections(loop: parker)
            await withDiscardingTaskGroup { group in
                var accepted = 0
                var resumesAt = Deadline.never
                while !drain.isDraining, !parker.isCancelled {
                    for slot in resting.takeReady() { serve(slot, resting, in: &group) }
                    if resumesAt != .never, !resumesAt.hasPassed {
                        await parker.park(until: resumesAt)
                        continue
                    }
                    resumesAt = .never
                    do throws(TransportError) {
                        switch try stack.socket.tryAccept() {
                        case .connection(let socket):
                            serve(newSlot(socket), resting, in: &group)
                            accepted += 1
                            if accepted % Self.burst == 0 { await Task.yield() }
                        case .wouldBlock:
                            resting.trimIfCalm()
                            await parker.park(until: resting.trimsAt)
                        }
                    } catch {
                        logger.error("accepting on \(stack.address) pauses: \(error)")
                        resumesAt = .after(Self.pause)
                    }
                }
                if !parker.isCancelled, !drain.leavesQueues { serveQueue(resting, in: &group) }
                stack.socket.close()
                // Those that rest get a task once more, which answers what has been asked by now and closes them.
                resting.close()
                if parker.isCancelled { group.cancelAll() }
                while true {
                    for slot in resting.takeReady() { serve(slot, resting, in: &group) }
                    if resting.isEmpty { break }
                    await parker.park()
                }
            }
        }
    }

    /// Accepts those who have connected by now: closing the socket would reset them.
    private func serveQueue(_ resting: RestingConnections, in group: inout DiscardingTaskGroup) {
        stack.socket.stopQueueing()
        for _ in 0..<Self.longestQueue {
            guard case .connection(let socket) = try? stack.socket.tryAccept() else { return }
            serve(newSlot(socket), resting, in: &group)
        }
    }

    private func newSlot(_ socket: AcceptedSocket) -> ConnectionSlot {
        app.metrics?.connections.accepted()
        return ConnectionSlot(socket, worker: executor.leastLoadedWorker(), counts: counts)
    }

    private func serve(_ slot: ConnectionSlot, _ resting: RestingConnections, in group: inout DiscardingTaskGroup) {
        group.addTask(executorPreference: slot.worker ?? executor.nextExecutor()) { [self] in
            await serve(slot, resting)
        }
    }

    private func serve(_ slot: ConnectionSlot, _ resting: RestingConnections) async {
        guard let connection = slot.take(drain: drain) else {
            app.metrics?.connections.ended()
            slot.end()
            return
        }
        if case .idle(let deadline) = await process(connection) {
            if resting.add(connection, slot: slot, until: deadline) { return }
            // The service has begun to end: a last look at what has arrived.
            _ = await process(connection)
        }
        app.metrics?.connections.ended()
        slot.end(connection)
    }

    /// Not longer than that is the parker cancelled with the task: thereafter it may be another connection's.
    private func process(_ connection: ServerConnection) async -> ConnectionOutcome {
        let parker = connection.parker
        return await withTaskCancellationHandler {
            guard await secure(connection) else { return .ended }
            return await app.process(connection)
        } onCancel: {
            parker.cancel()
        }
    }

    /// Goes through the TLS handshake of a new connection on a listener that asks for one; false when there is no agreement.
    private func secure(_ connection: ServerConnection) async -> Bool {
        guard let acceptor = stack.tls, connection.tls == nil else { return true }
        do throws(TransportError) {
            // A client in the middle of it has asked for nothing yet: a service that ends does not wait for it for long.
            let drain = drain
            let patience = Deadline.after(nanoseconds: drain.patience)
            connection.stream = try await acceptor.accept(connection.stream) {
                drain.isDraining ? patience : .never
            }
            app.metrics?.connections.handshakeSucceeded(isResumed: connection.tls?.isResumed ?? false)
            return true
        } catch {
            app.metrics?.connections.handshakeFailed()
            logger.debug("no TLS with \(connection.clientAddress?.description ?? "a client"): \(error)")
            return false
        }
    }
}
