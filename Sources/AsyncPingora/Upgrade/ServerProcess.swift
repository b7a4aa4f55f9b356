internal import AsyncTransport
internal import Logging

/// What a server has to do with the process it runs in: where its listening sockets come from and go to, who is told how it fares.
///
/// All that is asynchronous runs on the server's own worker.
final class ServerProcess: Sendable {
    /// The sockets of the server's listeners.
    let listeners = ListenerTable()
    private let configuration: Server.Configuration
    private let logger: Logger
    private let systemd = SystemdNotifier()
    private let state = Lock(State())

    private struct State {
        var pidFile: PidFile?
        /// The old process, as long as it waits to hear that this one serves.
        var release: HandoverRelease?
        /// Another process is in charge, and speaks for the service.
        var isReplaced = false
    }

    init(_ configuration: Server.Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Writes the pid file, and takes the sockets that are open already: systemd's, and those of the process that this one replaces.
    ///
    /// - Throws: ``UpgradeError``, or `TransportError`, when that one does not hand over, or the file cannot be written.
    func inherit() async throws {
        if let path = configuration.pidFile {
            let file = try PidFile(writing: path)
            state.withLock { $0.pidFile = file }
        }
        listeners.add(SystemdSockets.take(logger: logger))
        if configuration.takesOver { try await takeOver() }
    }

    private func takeOver() async throws {
        guard let path = configuration.upgradeSocket else {
            throw UpgradeError("to take over from a running process, a server needs the path of an upgrade socket")
        }
        let claim = HandoverClaim(
            path: path,
            timeout: configuration.upgradeTimeout,
            otherUser: configuration.identity?.user,
            logger: logger
        )
        let granted = try await claim.wait {
            logger.notice("waits for the old process at \(path): send it SIGQUIT")
            systemd.status("waiting for the old process")
            // Whoever started this one in the background goes on, for the signal is his to send.
            configuration.daemon?.ready()
        }
        listeners.add(granted.sockets)
        state.withLock { $0.release = granted.release }
    }

    /// All services have what only root may have: becomes the user that the server shall run as.
    func servicesArePrepared() throws {
        try configuration.identity?.assume()
    }

    /// All services serve: lets the old process go, and tells whoever waits for that.
    ///
    /// - Throws: ``UpgradeError`` when the old process goes on: this one must not.
    func servicesAreReady() async throws {
        if let release = state.withLock({ $0.release.take() }) {
            try await release.ready()
            listeners.wasReleased()
            logger.notice("has taken over from the old process")
        }
        listeners.closeUnused(logger: logger)
        systemd.ready()
        configuration.daemon?.ready()
    }

    /// What the signal for an upgrade does; nil when there is no upgrade socket.
    ///
    /// It returns when a new process serves.
    var upgradeHandler: Server.Hook? {
        guard let path = configuration.upgradeSocket else { return nil }
        let offer = HandoverOffer(
            path: path,
            timeout: configuration.upgradeTimeout,
            attempts: configuration.upgradeAttempts
        )
        return { [self] in
            try await offer.pass(listeners.openSockets)
            state.withLock { $0.isReplaced = true }
        }
    }

    /// A signal has come for which hooks are about to be called.
    func begins(_ kind: HookKind) {
        switch kind {
        case .reload:
            systemd.reloading()
        case .reopenLogs:
            do {
                try configuration.daemon?.reopenErrorLog()
            } catch {
                logger.error("\(kind.rawValue) failed, the server goes on: \(error)")
            }
        }
    }

    /// The hooks have been called, whatever came of it.
    func hasDone(_ kind: HookKind) {
        if kind == .reload { systemd.ready() }
    }

    /// The server begins to end.
    func stops() {
        if !state.withLock({ $0.isReplaced }) { systemd.stopping() }
    }

    /// Nothing runs any more, or nothing could be started.
    func hasEnded(_ error: (any Error)?) async {
        let reason = error.map { "\($0)" } ?? "it was asked to end"
        await state.withLock { $0.release.take() }?.failed(reason)
        if let error { configuration.daemon?.failed(error) }
        state.withLock { $0.pidFile.take() }?.remove(hasFailed: error != nil)
    }

    /// Gives systemd its signs of life, each after all of the services' threads have had a turn; returns at once when it asks for none.
    func watch(_ executors: [ServiceExecutor]) async {
        guard let pause = systemd.watchdogPause else { return }
        await withParker { parker in
            while !parker.isCancelled {
                let next = Deadline.after(pause)
                await withTaskGroup(of: Void.self) { group in
                    for executor in executors.flatMap(\.executors) { group.addTask(executorPreference: executor) {} }
                }
                systemd.watchdog()
                while !next.hasPassed, !parker.isCancelled { await parker.park(until: next) }
            }
        }
    }
}
