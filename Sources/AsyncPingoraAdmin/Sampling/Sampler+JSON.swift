internal import AsyncConnectors
internal import AsyncPingora
internal import AsyncTransport
internal import Logging

// What was seen, as JSON: moments in `history.json`, how things are in `overview.json`.

extension Sampler {
    /// At most so many kinds of errors are listed.
    private static let errorLimit = 100

    /// The samples after the one of this number, as rows under the columns' names.
    func history(after sequence: Int) -> [UInt8] {
        let samples = state.withLock { $0.samples }
        var json = JSONWriter()
        json.object { json in
            json.member("instance", instance)
            json.member("interval", Double(Self.interval.components.seconds))
            json.member("columns", each: ["sequence", "uptime"] + Sample.columns) { $0.value($1) }
            json.member("rows", each: samples.lazy.filter { $0.sequence > sequence }) { json, sample in
                json.array { json in
                    json.value(sample.sequence)
                    json.value(sample.uptime)
                    for value in sample.values { json.value(value) }
                }
            }
        }
        return json.bytes
    }

    /// How the server is.
    func overview(_ options: AdminOptions) -> [UInt8] {
        let seen = state.withLock { $0 }
        guard let now = seen.readings.last, let first = seen.readings.first else { return Array("{}".utf8) }
        let before = seen.readings.count > 1 ? first : nil
        let seconds = before.map { now.seconds(since: $0) } ?? 0
        var json = JSONWriter()
        json.object { json in
            json.member("process") { describeProcess(seen, options, in: &$0) }
            json.member("window", seconds)
            json.member("total") { json in
                json.object { describe(Traffic(now.total, since: before?.total, seconds: seconds), now.total, in: &$0) }
            }
            json.member("services", each: seen.facts?.services ?? []) { json, facts in
                let reading = now.services[facts.name] ?? ServiceReading()
                let earlier = before.map { $0.services[facts.name] ?? ServiceReading() }
                json.object { json in
                    describe(facts, in: &json)
                    describe(Traffic(reading, since: earlier, seconds: seconds), reading, in: &json)
                }
            }
            describePools(seen, in: &json)
            describeErrors(now, since: before, seconds: seconds, in: &json)
        }
        return json.bytes
    }

    private func describeProcess(_ seen: State, _ options: AdminOptions, in json: inout JSONWriter) {
        let readings = seen.readings
        let cpu = readings.count > 1 ? readings[readings.count - 1].cpuShare(since: readings[readings.count - 2]) : nil
        json.object { json in
            json.member("name", options.title)
            json.member("version", options.version)
            json.member("pid", seen.facts.map { Int($0.processID) })
            json.member("uptime", uptime(at: SystemClock.monotonicNanoseconds))
            json.member("phase", seen.facts?.phase.rawValue)
            json.member("logLevel", options.logLevel?.level.rawValue)
            json.member("logLevels", each: Logger.Level.allCases) { $0.value($1.rawValue) }
            json.member("hasMetrics", registry != nil)
            json.member("memory", seen.usage?.residentBytes)
            json.member("cpu", cpu)
            json.member("descriptors", seen.usage?.openDescriptors)
        }
    }

    /// What metrics tell of a service, or of all together.
    private func describe(_ traffic: Traffic, _ reading: ServiceReading, in json: inout JSONWriter) {
        json.member("requests", reading.requests.isEmpty ? nil : reading.requests.values.reduce(0, +))
        json.member("requestRate", traffic.requestRate)
        json.member("statuses") { json in
            json.object { json in
                for (status, count) in reading.requests.sorted(by: { $0.key < $1.key }) { json.member(status, count) }
            }
        }
        json.member("latency") { Self.describe(traffic.duration, in: &$0) }
        json.member("errors", reading.requests.isEmpty ? nil : reading.errors.values.reduce(0, +))
        json.member("errorRate", traffic.errorRate)
        json.member("receivedRate", traffic.receivedRate)
        json.member("sentRate", traffic.sentRate)
        json.member("queueDepth", reading.queueDepth)
        json.member("lag") { Self.describe(traffic.lag, in: &$0) }
    }

    private static func describe(_ histogram: Histogram?, in json: inout JSONWriter) {
        json.object { json in
            json.member("p50", histogram?.quantile(0.5))
            json.member("p90", histogram?.quantile(0.9))
            json.member("p99", histogram?.quantile(0.99))
            json.member("mean", histogram?.mean)
        }
    }

    private func describe(_ facts: ServiceFacts, in json: inout JSONWriter) {
        json.member("name", facts.name)
        json.member("state", facts.state.rawValue)
        json.member("threads", facts.threadCount)
        json.member("flavor", facts.flavor.rawValue)
        json.member("connections", facts.listening?.openConnections)
        json.member("accepted", facts.listening?.acceptedConnections)
        json.member("listeners", each: facts.listening?.listeners ?? []) { json, listener in
            json.object { json in
                json.member("address", listener.address.description)
                json.member("tls", listener.usesTLS)
            }
        }
    }

    private func describePools(_ seen: State, in json: inout JSONWriter) {
        json.member("pools", each: seen.pools) { json, entry in
            let pool = entry.facts
            json.object { json in
                json.member("service", entry.service)
                json.member("peer", pool.address.description)
                json.member("tls", pool.isEncrypted)
                json.member("serverName", pool.serverName)
                json.member("open", pool.facts.open)
                json.member("idle", pool.facts.idle)
                json.member("inUse", pool.facts.inUse)
                json.member("h2Connections", pool.facts.h2Connections)
                json.member("h2Streams", pool.facts.h2Streams)
                json.member("created", pool.facts.created)
                json.member("reused", pool.facts.reused)
                json.member("evicted", pool.facts.evicted)
                json.member("pingFailures", pool.facts.pingFailures)
            }
        }
        json.member("poolsOmitted", seen.poolCount - seen.pools.count)
    }

    private func describeErrors(_ now: Reading, since before: Reading?, seconds: Double, in json: inout JSONWriter) {
        var rows: [(service: String, kind: ErrorKind, count: Double, rate: Double?)] = []
        for (service, reading) in now.services {
            for (kind, count) in reading.errors where count > 0 {
                let earlier = before?.services[service]?.errors[kind] ?? 0
                rows.append((service, kind, count, seconds > 0 ? max(count - earlier, 0) / seconds : nil))
            }
        }
        rows.sort { ($1.count, $0.service, $0.kind) < ($0.count, $1.service, $1.kind) }
        json.member("errors", each: rows.prefix(Self.errorLimit)) { json, row in
            json.object { json in
                json.member("service", row.service)
                json.member("type", row.kind.type)
                json.member("source", row.kind.source)
                json.member("count", row.count)
                json.member("rate", row.rate)
            }
        }
        json.member("errorsOmitted", max(rows.count - Self.errorLimit, 0))
    }
}
