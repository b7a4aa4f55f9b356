internal import AsyncPingora

extension ServerConfiguration {
    /// The keys whose values are others than the program was started with, and which a running program cannot change.
    func keysThatNeedRestart(since running: ServerConfiguration, sections: ConfigurationSections) -> [String] {
        func differs<Value: Equatable>(_ path: (ServerConfiguration) -> Value) -> Bool { path(self) != path(running) }
        let keys: [(name: String, hasChanged: Bool)] = [
            ("daemon", differs(\.process.isDaemon)),
            ("daemon_wait_for_ready", differs(\.process.waitsUntilReady)),
            ("daemon_ready_timeout_seconds", differs(\.process.readyTimeout)),
            ("error_log", differs(\.process.errorLog)),
            ("pid_file", differs(\.process.pidFile)),
            ("upgrade_sock", differs(\.process.upgradeSocket)),
            ("upgrade_sock_connect_accept_max_retries", differs(\.server.upgradeAttempts)),
            ("user", differs(\.process.user)),
            ("group", differs(\.process.group)),
            ("working_directory", differs(\.process.workingDirectory)),
            ("grace_period_seconds", differs(\.server.gracePeriod)),
            ("threads", differs(\.server.threadCount)),
            ("flavor", differs(\.server.flavor)),
            ("services", differs(\.services)),
            ("listener", differs(\.listener)),
            ("access_log", differs { $0.accessLog == nil }),
            ("access_log.format", accessLog != nil && running.accessLog != nil && differs(\.accessLog?.format)),
            ("admin", differs(\.adminAddress)),
            ("metrics", differs(\.metricsAddress)),
        ]
        let own = sections.sections.flatMap { $0.restart(running.sections[$0.name], self.sections[$0.name]) }
        return keys.filter(\.hasChanged).map(\.name) + own
    }
}
