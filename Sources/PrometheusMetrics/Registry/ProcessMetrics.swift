internal import AsyncTransport
internal import CoreMetrics

extension MetricsRegistry {
    /// Adds what Prometheus's client libraries tell of every process: CPU time, memory, descriptors and the time of the start.
    ///
    /// They are read from the kernel whenever there is a scrape, but for the start.
    ///
    /// - Returns: the collector that reads them.
    @discardableResult
    public func addProcessMetrics() -> CollectorID {
        describe("process_cpu_seconds_total", help: "CPU time of the process, user and system, in seconds.")
        describe("process_start_time_seconds", help: "When the process began, in seconds since the epoch.")
        describe("process_resident_memory_bytes", help: "Memory of the process that is in RAM, in bytes.")
        describe("process_virtual_memory_bytes", help: "Address space of the process, in bytes.")
        describe("process_open_fds", help: "Descriptors that are open.")
        describe("process_max_fds", help: "The most descriptors that may be open.")
        let cpu = makeCounter(label: "process_cpu_seconds_total", dimensions: []) as? CounterSeries
        let start = gauge("process_start_time_seconds")
        let resident = gauge("process_resident_memory_bytes")
        let virtual = gauge("process_virtual_memory_bytes")
        let open = gauge("process_open_fds")
        let maximum = gauge("process_max_fds")
        // Not with each scrape: it is reckoned from the clock, which may be corrected.
        if let seconds = ProcessUsage.current().startSeconds { start.set(seconds) }
        return addCollector {
            let usage = ProcessUsage.current()
            if let seconds = usage.cpuSeconds { cpu?.raise(to: seconds) }
            if let bytes = usage.residentBytes { resident.set(bytes) }
            if let bytes = usage.virtualBytes { virtual.set(bytes) }
            if let count = usage.openDescriptors { open.set(count) }
            if let count = usage.maximumDescriptors { maximum.set(count) }
        }
    }

    private func gauge(_ name: String) -> any MeterHandler {
        makeMeter(label: name, dimensions: [])
    }
}
