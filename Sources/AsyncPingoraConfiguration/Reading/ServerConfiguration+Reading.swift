internal import AsyncPingora
internal import Yams

extension ServerConfiguration {
    /// Reads a file; blocks.
    ///
    /// - Parameters:
    ///   - file: its path.
    ///   - sections: the program's own, which are known besides the framework's.
    ///   - verifiesFiles: whether the files that it names are looked at, too, and the sections' `verify` is asked.
    /// - Throws: ``ConfigurationError`` with everything that is wrong with it.
    public init(
        file: String,
        sections: ConfigurationSections = ConfigurationSections(),
        verifiesFiles: Bool = false
    ) throws(ConfigurationError) {
        let document = try YAMLDocument(file: file)
        try self.init(document: document, file: file, sections: sections, verifiesFiles: verifiesFiles)
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - text: YAML.
    ///   - file: what errors call it.
    ///   - sections: the program's own, which are known besides the framework's.
    ///   - verifiesFiles: whether the files that it names are looked at, too, and the sections' `verify` is asked.
    /// - Throws: ``ConfigurationError`` with everything that is wrong with it.
    public init(
        text: String,
        file: String = "configuration",
        sections: ConfigurationSections = ConfigurationSections(),
        verifiesFiles: Bool = false
    ) throws(ConfigurationError) {
        let document = try YAMLDocument(text: text, file: file)
        try self.init(document: document, file: file, sections: sections, verifiesFiles: verifiesFiles)
    }

    private init(
        document: YAMLDocument,
        file: String,
        sections: ConfigurationSections,
        verifiesFiles: Bool
    ) throws(ConfigurationError) {
        self.init()
        let problems = ProblemList(file: file)
        withExtendedLifetime(document) {
            let reader = SectionReader(document.root, path: "", problems: problems)
            readAll(reader)
            for section in sections.sections {
                guard let entry = reader.take(section.name) else { continue }
                self.sections[section.name] = section.decode(entry, problems, verifiesFiles)
            }
            if verifiesFiles { verifyFiles(reader, problems: problems) }
            reader.finish(foreign: Self.foreignKeys)
        }
        try problems.throwIfAny()
    }

    /// Keys of Pingora's that stand for something there is nothing of here.
    private static let foreignKeys = [
        "listener_tasks_per_fd": "one task accepts for each address, up to 64 connections in a row",
        "s2n_config_cache_size": "TLS is OpenSSL's",
        "daemon_notify_timeout_seconds": "a background process reports through a pipe, at the first try",
        "graceful_shutdown_timeout_seconds": "the server ends with the last request, or after grace_period_seconds",
        "upstream_connect_offload_threadpools": "connecting does not block",
        "upstream_connect_offload_thread_per_pool": "connecting does not block",
        "max_blocking_threads": "there are no threads for blocking work",
        "blocking_threads_ttl_seconds": "there are no threads for blocking work",
    ]

    /// Every key of the framework's, sections' keys with the section's name in front; the services' is `services.NAME`.
    package static var keys: [String] {
        let survey = SectionReader.KeySurvey()
        var configuration = ServerConfiguration()
        configuration.readAll(
            SectionReader(nil, path: "", problems: ProblemList(file: ""), survey: survey)
        )
        return survey.keys
    }

    private mutating func readAll(_ reader: SectionReader) {
        readProcess(reader)
        readThreads(reader)
        readUpstream(reader)
        readObservation(reader)
        reader.section("listener") { readListener($0) }
        reader.section("server") { readServer($0) }
    }

    private func verifyFiles(_ reader: SectionReader, problems: ProblemList) {
        do throws(TLSConfigurationError) {
            try upstreamTLS.check()
        } catch {
            problems.add("key 'ca_file': \(error)", at: reader.take("ca_file")?.value.position)
        }
    }

    // MARK: - The process

    private mutating func readProcess(_ reader: SectionReader) {
        reader.set(&version, "version", .integer(1...1))
        reader.set(&process.isDaemon, "daemon", .flag)
        reader.set(&process.waitsUntilReady, "daemon_wait_for_ready", .flag)
        reader.set(&process.readyTimeout, "daemon_ready_timeout_seconds", .seconds(1...86_400))
        reader.set(&process.errorLog, "error_log", .path)
        reader.set(&process.pidFile, "pid_file", .path)
        reader.set(&process.upgradeSocket, "upgrade_sock", .path)
        reader.set(&server.upgradeAttempts, "upgrade_sock_connect_accept_max_retries", .integer(1...3_600))
        reader.set(&process.user, "user", .text("the name of a user"))
        reader.set(&process.group, "group", .text("the name of a group"))
        reader.set(&process.workingDirectory, "working_directory", .path)
        reader.set(&server.gracePeriod, "grace_period_seconds", .seconds(0...86_400))
    }

    private mutating func readThreads(_ reader: SectionReader) {
        reader.set(&server.threadCount, "threads", .threadCount)
        reader.set(&server.flavor, "flavor", .flavor)
        var isStealing: Bool?
        reader.set(&isStealing, "work_stealing", .flag)
        if let isStealing { server.flavor = isStealing ? .stealing : .pinned }
        reader.conflict("work_stealing", with: "flavor")
        reader.sections("services") { name, reader in
            var threads = ServiceThreads()
            reader.set(&threads.threadCount, "threads", .threadCount)
            reader.set(&threads.flavor, "flavor", .flavor)
            services[name] = threads
        }
    }

    private mutating func readListener(_ reader: SectionReader) {
        reader.set(&listener.backlog, "backlog", .integer(1...65_535))
        reader.set(&listener.reusePort, "reuse_port", .flag)
        reader.set(&listener.ipv6Only, "ipv6_only", .flag)
        reader.set(&listener.fastOpenQueueLength, "fast_open_queue", .integer(1...65_535))
        reader.set(&listener.unixPermissions, "unix_permissions", .fileMode)
        reader.set(&listener.connection.dscp, "dscp", .integer(0...63))
        reader.set(&listener.connection.sendBufferSize, "send_buffer", .byteCount(4_096...1 << 30))
        reader.set(&listener.connection.receiveBufferSize, "receive_buffer", .byteCount(4_096...1 << 30))
        reader.section("tcp_keepalive") { listener.connection.keepAlive = $0.tcpKeepAlive() }
    }

    // MARK: - Clients

    private mutating func readServer(_ reader: SectionReader) {
        reader.set(&http.requestHeadTimeout, "request_head_timeout", .timeout)
        reader.set(&http.keepAliveTimeout, "keepalive_timeout", .timeout)
        reader.set(&http.keepAliveRequestLimit, "keepalive_request_limit", .limit)
        reader.set(&http.bodyReadTimeout, "body_read_timeout", .timeout)
        reader.set(&http.writeTimeout, "write_timeout", .timeout)
        reader.set(&http.minimumSendRate, "minimum_send_rate", .limit)
        reader.set(&http.lingeringTimeout, "lingering_timeout", .duration)
        reader.set(&http.maximumDrainBytes, "max_drain_bytes", .byteCount(0...1 << 30))
        reader.set(&http.allowsConnect, "allow_connect", .flag)
        reader.set(&http.allowsH2C, "h2c", .flag)
        reader.section("limits") { reader in
            reader.set(&http.limits.maximumHeadBytes, "head_bytes", .byteCount(1_024...16 << 20))
            reader.set(&http.limits.maximumFieldCount, "fields", .integer(1...10_000))
            reader.set(&http.limits.maximumTargetBytes, "target_bytes", .byteCount(64...16 << 20))
            reader.set(&http.limits.maximumChunkLineBytes, "chunk_line_bytes", .byteCount(16...1 << 20))
            reader.set(&http.limits.maximumTrailerBytes, "trailer_bytes", .byteCount(0...16 << 20))
            reader.set(&http.limits.maximumTrailerCount, "trailer_fields", .integer(0...10_000))
        }
        reader.section("http2") { reader in
            reader.set(&http.http2.maximumConcurrentStreams, "max_streams", .integer(1...1_000_000))
            reader.set(&http.http2.initialStreamWindow, "stream_window", .byteCount(1...Int(Int32.max)))
            reader.set(&http.http2.connectionWindow, "connection_window", .byteCount(65_535...Int(Int32.max)))
            reader.set(&http.http2.maximumFrameSize, "max_frame_size", .byteCount(16_384...16_777_215))
            reader.set(&http.http2.maximumHeaderListBytes, "head_bytes", .byteCount(1_024...16 << 20))
            reader.set(&http.http2.maximumFieldCount, "fields", .integer(1...10_000))
            reader.set(&http.http2.headerTableSize, "header_table_size", .byteCount(0...1 << 20))
            reader.set(&http.http2.enablesConnectProtocol, "websockets", .flag)
            reader.set(&http.http2.resetBurst, "reset_burst", .integer(1...1_000_000))
            reader.set(&http.http2.resetsPerSecond, "resets_per_second", .integer(1...1_000_000))
        }
    }

    // MARK: - Upstreams

    private mutating func readUpstream(_ reader: SectionReader) {
        var authorities: String?
        reader.set(&authorities, "ca_file", .path)
        if let authorities { upstreamTLS.authorityFiles = [authorities] }
        var logsKeys = false
        reader.set(&logsKeys, "upstream_debug_ssl_keylog", .flag)
        if logsKeys { upstreamTLS.keyLogFile = ProcessEnvironment.value("SSLKEYLOGFILE") }
        reader.setList(&ipv4Sources, "client_bind_to_ipv4", .host(isIPv6: false))
        reader.setList(&ipv6Sources, "client_bind_to_ipv6", .host(isIPv6: true))
        reader.set(&connector.poolSize, "upstream_keepalive_pool_size", .integer(0...1_000_000))
        reader.set(&proxy.maximumAttempts, "max_retries", .integer(1...1_000))
        reader.section("upstream") { reader in
            reader.set(&upstream.connectionTimeout, "connection_timeout", .timeout)
            reader.set(&upstream.tlsHandshakeTimeout, "tls_handshake_timeout", .timeout)
            reader.set(&upstream.totalConnectionTimeout, "total_connection_timeout", .timeout)
            reader.set(&upstream.readTimeout, "read_timeout", .timeout)
            reader.set(&upstream.writeTimeout, "write_timeout", .timeout)
            reader.set(&upstream.idleTimeout, "idle_timeout", .timeout)
            reader.set(&upstream.httpVersions, "http", .word(["h1": .http1, "h2": .http2, "auto": .negotiated]))
            reader.set(&upstream.maximumH2Streams, "max_h2_streams", .integer(1...1_000_000))
            reader.set(&upstream.h2PingInterval, "h2_ping_interval", .timeout)
            reader.set(&upstream.h2PingTimeout, "h2_ping_timeout", .duration)
            reader.set(&upstream.h2StreamWindow, "h2_stream_window", .byteCount(65_535...Int(Int32.max)))
            reader.set(&upstream.h2ConnectionWindow, "h2_connection_window", .byteCount(65_535...Int(Int32.max)))
            reader.set(&upstream.maximumResponseHeadBytes, "response_head_bytes", .byteCount(1_024...16 << 20))
            reader.set(&upstream.maximumResponseFieldCount, "response_fields", .integer(1...10_000))
            reader.set(&upstream.usesFastOpen, "fast_open", .flag)
            reader.set(&upstream.socket.dscp, "dscp", .integer(0...63))
            reader.set(&upstream.socket.sendBufferSize, "send_buffer", .byteCount(4_096...1 << 30))
            reader.set(&upstream.socket.receiveBufferSize, "receive_buffer", .byteCount(4_096...1 << 30))
            reader.section("tcp_keepalive") { upstream.socket.keepAlive = $0.tcpKeepAlive() }
        }
    }

    // MARK: - Watching

    private mutating func readObservation(_ reader: SectionReader) {
        reader.set(&logLevel, "log_level", .logLevel)
        reader.section("access_log") { reader in
            var settings = AccessLogSettings(path: "-")
            reader.set(&settings.path, "path", .text("a path, or - for standard output"))
            reader.set(&settings.format, "format", .accessLogFormat)
            accessLog = settings
        }
        reader.section("admin") { $0.set(&adminAddress, "listen", .address) }
        reader.section("metrics") { $0.set(&metricsAddress, "listen", .address) }
    }
}

extension SectionReader {
    /// A section of probes; what it leaves out is the system's.
    fileprivate func tcpKeepAlive() -> TCPKeepAlive {
        var probes = TCPKeepAlive(idleSeconds: 0, intervalSeconds: 0, probeCount: 0)
        set(&probes.idleSeconds, "idle_seconds", .integer(1...32_767))
        set(&probes.intervalSeconds, "interval_seconds", .integer(1...32_767))
        set(&probes.probeCount, "probes", .integer(1...127))
        set(&probes.userTimeoutMilliseconds, "user_timeout_ms", .integer(0...86_400_000))
        return probes
    }
}

extension ValueKind where Value == Int {
    fileprivate static var threadCount: ValueKind { .integer(1...1_024) }
}

extension ValueKind where Value == String {
    fileprivate static var accessLogFormat: ValueKind {
        ValueKind(expected: "common, combined, json, json:FIELD,… or a pattern of known $variables") { scalar in
            (try? AccessLogFormat(scalar.string)) == nil ? nil : scalar.string
        }
    }
}

extension ValueKind where Value == ExecutorFlavor {
    fileprivate static var flavor: ValueKind { .word(["pinned": .pinned, "stealing": .stealing]) }
}
