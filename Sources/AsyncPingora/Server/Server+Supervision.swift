internal import AsyncTransport
internal import Logging

/// What signals have a server's program do.
enum HookKind: String, CaseIterable {
    case reload = "reloading"
    case reopenLogs = "reopening the logs"
}

/// How far a server's run has come.
struct RunProgress {
    enum End {
        /// It goes on.
        case none
        /// What is in flight may finish.
        case graceful(handedOver: Bool)
        /// What is left has been cancelled.
        case fast
    }

    var order = ServiceGraph.Order(indices: [], dependencies: [], dependents: [])
    /// The services that outlive the others, and those that they depend on.
    var lasting: Set<Int> = []
    var end = End.none
    /// Why the server ends, if not because it was asked to.
    var failure: ServerError?
    /// How many services are being prepared or run.
    var liveCount = 0
    /// Whether it waits for what its process is given: the sockets of another one.
    var isTakingOver = false
    /// Whether it has said that it serves.
    var hasAnnounced = false
    /// How many of the order have been prepared, or are being.
    var preparedCount = 0
    /// Hooks that run, and whether they are to run once more.
    var hooks: [HookKind: Bool] = [:]

    var isEnding: Bool {
        if case .none = end { false } else { true }
    }
}

// What happens to a running server arrives as one stream of events, in the group that all of its tasks are in.

extension Server {
    enum Event {
        case inherited((any Error)?)
        case announced((any Error)?)
        case prepared(Int, (any Error)?)
        case ready(Int)
        case ended(Int, (any Error)?)
        case signal(ServerSignal?)
        case called(HookKind)
        case upgraded((any Error)?)
        case graceOver
    }

    typealias Tasks = TaskGroup<Event>

    /// Starts the services, and returns when the last of them has ended.
    func supervise(_ signals: any SignalSource, on control: any TaskExecutor) async {
        await withTaskGroup(of: Event.self) { tasks in
            tasks.addTask(executorPreference: control) { .signal(await signals.next()) }
            inherit(&tasks, control)
            while !isOver, let event = await tasks.next() {
                if Task.isCancelled { endFast(&tasks) }
                handle(event, &tasks, signals, control)
                if phase == .running { announce(&tasks, control) }
            }
            if !progress.isEnding { enter(.shutdownStarted) }
            enter(.shutdownRuntimes)
            tasks.cancelAll()
        }
    }

    private var isOver: Bool {
        progress.liveCount == 0 && (progress.isEnding || units.allSatisfy { $0.state == .ended })
    }

    private func handle(_ event: Event, _ tasks: inout Tasks, _ signals: any SignalSource, _ control: any TaskExecutor)
    {
        switch event {
        case .inherited(let error):
            progress.liveCount -= 1
            progress.isTakingOver = false
            if let error { fail(.process(error), &tasks, control) }
            prepareNext(&tasks, control)
        case .announced(let error):
            if let error { fail(.process(error), &tasks, control) }
        case .prepared(let index, let error):
            progress.liveCount -= 1
            units[index].state = error == nil && !progress.isEnding ? .waiting : .ended
            if let error { fail(.service(name: name(index), stage: .start, reason: error), &tasks, control) }
            prepareNext(&tasks, control)
        case .ready(let index):
            becomeReady(index)
            startServices(&tasks)
        case .ended(let index, let error):
            ended(index, error, &tasks, control)
        case .signal(let signal):
            guard let signal else { return }
            tasks.addTask(executorPreference: control) { .signal(await signals.next()) }
            handle(signal, &tasks, control)
        case .called(let kind):
            if progress.hooks.removeValue(forKey: kind) == true { call(kind, &tasks, control) }
        case .upgraded(let error):
            upgraded(error, &tasks, control)
        case .graceOver:
            guard case .graceful = progress.end else { return }
            logger.warning("the grace period is over: \(namesOfDraining) did not end in it")
            endFast(&tasks)
        }
    }

    private func name(_ index: Int) -> String { units[index].service.name }

    /// Those that end after these are not to blame.
    private var namesOfDraining: String {
        units.filter { $0.state == .draining }.map { "'\($0.service.name)'" }.joined(separator: ", ")
    }

    // MARK: - Start

    /// Takes over what the process is given, before any service asks for it.
    private func inherit(_ tasks: inout Tasks, _ control: any TaskExecutor) {
        progress.liveCount += 1
        progress.isTakingOver = true
        let process = process
        tasks.addTask(executorPreference: control) {
            do {
                try await process.inherit()
                return .inherited(nil)
            } catch {
                return .inherited(error)
            }
        }
    }

    /// Tells who waits for it that the services serve, once; from then on systemd gets its signs of life.
    private func announce(_ tasks: inout Tasks, _ control: any TaskExecutor) {
        guard !progress.hasAnnounced else { return }
        progress.hasAnnounced = true
        let (process, executors) = (process, units.compactMap(\.context?.executor))
        tasks.addTask(executorPreference: control) {
            do {
                try await process.servicesAreReady()
                await process.watch(executors)
                return .announced(nil)
            } catch {
                return .announced(error)
            }
        }
    }

    /// Has the next service acquire what it needs; when all have, starts those that depend on nothing.
    private func prepareNext(_ tasks: inout Tasks, _ control: any TaskExecutor) {
        guard !progress.isEnding else { return }
        guard progress.preparedCount < units.count else {
            do {
                try process.servicesArePrepared()
            } catch {
                return fail(.process(error), &tasks, control)
            }
            enter(.bootstrapComplete)
            startServices(&tasks)
            enterRunningIfReady()
            return
        }
        let index = progress.order.indices[progress.preparedCount]
        let service = units[index].service
        progress.preparedCount += 1
        progress.liveCount += 1
        units[index].state = .preparing
        let context: ServiceContext
        do throws(TransportError) {
            context = try makeContext(for: units[index])
            units[index].context = context
        } catch {
            tasks.addTask { .prepared(index, error) }
            return
        }
        tasks.addTask(executorPreference: context.executor.nextExecutor()) {
            do {
                try await service.prepare(context)
                return .prepared(index, nil)
            } catch {
                return .prepared(index, error)
            }
        }
    }

    private func makeContext(for unit: Unit) throws(TransportError) -> ServiceContext {
        let service = unit.service
        return ServiceContext(
            executor: try ServiceExecutor(
                name: service.name,
                threadCount: service.threadCount ?? configuration.threadCount,
                flavor: service.flavor ?? configuration.flavor
            ),
            logger: logger,
            drain: DrainState(patience: configuration.lastRequestTimeout.wholeNanoseconds),
            listeners: process.listeners,
            readiness: unit.readiness
        )
    }

    /// Starts each service whose dependencies are ready.
    private func startServices(_ tasks: inout Tasks) {
        guard !progress.isEnding, phase != .bootstrap else { return }
        for index in progress.order.indices where units[index].state == .waiting {
            guard progress.order.dependencies[index].allSatisfy({ units[$0].isReady }) else { continue }
            start(index, &tasks)
        }
    }

    private func start(_ index: Int, _ tasks: inout Tasks) {
        let unit = units[index]
        guard let context = unit.context else { return }
        let (service, readiness) = (unit.service, unit.readiness)
        progress.liveCount += 1
        units[index].state = .starting
        tasks.addTask(executorPreference: context.executor.nextExecutor()) {
            do {
                try await Self.run(service, context)
                return .ended(index, nil)
            } catch {
                return .ended(index, error)
            }
        }
        guard service.notifiesReady else {
            becomeReady(index)
            return
        }
        tasks.addTask(executorPreference: context.executor.nextExecutor()) {
            await readiness.wait()
            return .ready(index)
        }
    }

    /// How long a service that has outlived the others may take for what it has begun: enough for an answer.
    private static let farewell = Duration.milliseconds(20)

    private static func run(_ service: any Service, _ context: ServiceContext) async throws {
        guard service.outlivesOthers else { return try await service.run(context) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run(context) }
            group.addTask {
                await context.drainBegins()
                await withParker { parker in
                    let deadline = context.drain.leavesQueues ? Deadline.never : .after(farewell)
                    while !parker.isCancelled, !deadline.hasPassed { await parker.park(until: deadline) }
                }
            }
            try await group.next()
            group.cancelAll()
            // What is cancelled may well complain.
            try? await group.waitForAll()
        }
    }

    private func becomeReady(_ index: Int) {
        // The task that waits for it also ends when the server does.
        if units[index].service.notifiesReady, !units[index].readiness.isAnnounced { return }
        guard !units[index].isReady else { return }
        units[index].isReady = true
        if units[index].state == .starting { units[index].state = .running }
        enterRunningIfReady()
    }

    private func enterRunningIfReady() {
        if phase == .bootstrapComplete, units.allSatisfy(\.isReady) { enter(.running) }
    }

    // MARK: - End

    private func ended(_ index: Int, _ error: (any Error)?, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        progress.liveCount -= 1
        // That it is ready may be on its way as another event.
        becomeReady(index)
        units[index].state = .ended
        logger.debug("service '\(name(index))' has ended")
        if case .fast = progress.end { return }
        if let error {
            let stage = units[index].isReady ? ServerError.Stage.run : .start
            fail(.service(name: name(index), stage: stage, reason: error), &tasks, control)
        } else if !progress.isEnding {
            if units[index].isReady {
                startServices(&tasks)
            } else {
                fail(.endedBeforeReady(service: name(index)), &tasks, control)
            }
        }
        drainServices()
    }

    /// Ends the server for a fault: gracefully if it has begun to serve.
    private func fail(_ error: ServerError, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        // What is cancelled may well complain.
        if case .fast = progress.end { return }
        if progress.failure == nil { progress.failure = error }
        switch progress.end {
        case .fast: break
        case .graceful: logger.error("\(error)")
        case .none:
            if phase == .running || phase == .transferringListeners {
                logger.error("the server ends: \(error)")
                endGracefully(&tasks, control)
            } else {
                endFast(&tasks)
            }
        }
    }

    private func endGracefully(handedOver: Bool = false, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        progress.end = .graceful(handedOver: handedOver)
        enter(.shutdownStarted)
        process.stops()
        for index in units.indices where units[index].state == .waiting { units[index].state = .ended }
        drainServices()
        enter(.shutdownGracePeriod)
        let gracePeriod = configuration.gracePeriod
        tasks.addTask(executorPreference: control) {
            await withParker { parker in
                let deadline = Deadline.after(gracePeriod)
                while !parker.isCancelled, !deadline.hasPassed { await parker.park(until: deadline) }
            }
            return .graceOver
        }
    }

    /// Lets each service finish once nobody depends on it any more: a health checker outlives the proxy that asks it.
    private func drainServices() {
        guard case .graceful(let handedOver) = progress.end else { return }
        // After a hand-over another process answers on the sockets of those that outlive the others, too: there can be only one.
        let onlyLastingAreLeft =
            handedOver || units.indices.allSatisfy { progress.lasting.contains($0) || units[$0].state == .ended }
        for (index, unit) in units.enumerated() where unit.state == .running || unit.state == .starting {
            guard progress.order.dependents[index].allSatisfy({ units[$0].state == .ended }) else { continue }
            guard onlyLastingAreLeft || !unit.service.outlivesOthers else { continue }
            units[index].state = .draining
            unit.context?.drain.begin(handedOver: handedOver)
        }
    }

    private func endFast(_ tasks: inout Tasks) {
        if case .fast = progress.end { return }
        if !progress.isEnding {
            enter(.shutdownStarted)
            process.stops()
        }
        progress.end = .fast
        for index in units.indices where units[index].state == .waiting { units[index].state = .ended }
        tasks.cancelAll()
    }

    // MARK: - Signals

    private func handle(_ signal: ServerSignal, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        switch signal {
        case .fastShutdown:
            logger.notice("asked to end at once")
            endFast(&tasks)
        case .gracefulShutdown:
            terminate(&tasks, control)
        case .upgrade:
            upgrade(&tasks, control)
        case .reload where progress.isEnding:
            logger.info("asked to reload while the server ends: ignored")
        case .reload:
            call(.reload, &tasks, control)
        case .reopenLogs:
            call(.reopenLogs, &tasks, control)
        }
    }

    private func terminate(_ tasks: inout Tasks, _ control: any TaskExecutor) {
        guard !progress.isTakingOver else {
            logger.notice("asked to end before it has begun")
            return endFast(&tasks)
        }
        guard !progress.isEnding else {
            logger.notice("asked to end for a second time: what is in flight is dropped")
            endFast(&tasks)
            return
        }
        logger.notice("asked to end: what is in flight may finish within \(configuration.gracePeriod)")
        enter(.gracefulTerminate)
        endGracefully(&tasks, control)
    }

    private func upgrade(_ tasks: inout Tasks, _ control: any TaskExecutor) {
        guard let handler = upgradeHandler ?? process.upgradeHandler else { return terminate(&tasks, control) }
        guard phase == .running else {
            logger.warning("asked to upgrade while \(phase.rawValue): ignored")
            return
        }
        logger.notice("asked to upgrade: the listeners go to the new process")
        enter(.transferringListeners)
        tasks.addTask(executorPreference: control) {
            do {
                try await handler()
                return .upgraded(nil)
            } catch {
                return .upgraded(error)
            }
        }
    }

    private func upgraded(_ error: (any Error)?, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        if let error { logger.error("the upgrade failed, this process goes on: \(error)") }
        guard !progress.isEnding else { return }
        if error != nil { return enter(.running) }
        logger.notice("the new process accepts connections: what is in flight here may finish")
        endGracefully(handedOver: true, &tasks, control)
    }

    /// Calls the hooks for a signal, or lets those that run be called once more.
    private func call(_ kind: HookKind, _ tasks: inout Tasks, _ control: any TaskExecutor) {
        guard progress.hooks[kind] == nil else {
            progress.hooks[kind] = true
            return
        }
        progress.hooks[kind] = false
        let (hooks, logger, process) = (hooks[kind, default: []], logger, process)
        tasks.addTask(executorPreference: control) {
            process.begins(kind)
            defer { process.hasDone(kind) }
            for hook in hooks {
                do {
                    try await hook()
                } catch {
                    logger.error("\(kind.rawValue) failed, the server goes on: \(error)")
                    if kind == .reload { break }
                }
            }
            return .called(kind)
        }
    }
}
