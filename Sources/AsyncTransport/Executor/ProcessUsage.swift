internal import CNonBlockingIO

/// What the kernel counts for this process; a fact that it does not tell is nil.
package struct ProcessUsage: Sendable {
    /// CPU time of all threads since the start, in seconds.
    package let cpuSeconds: Double?
    /// When the process began, in seconds since the epoch.
    package let startSeconds: Double?
    /// Memory that is in RAM, in bytes.
    package let residentBytes: Double?
    /// Address space, in bytes.
    package let virtualBytes: Double?
    /// Descriptors that are open.
    package let openDescriptors: Double?
    /// How many may be open; nil also when there is no limit.
    package let maximumDescriptors: Double?

    /// Asks the kernel: some system calls, and one directory entry for each open descriptor.
    package static func current() -> ProcessUsage {
        let usage = cnbio_process_usage()
        func known(_ value: Double) -> Double? { value < 0 ? nil : value }
        return ProcessUsage(
            cpuSeconds: known(usage.cpu_seconds),
            startSeconds: known(usage.start_seconds),
            residentBytes: known(Double(usage.resident_bytes)),
            virtualBytes: known(Double(usage.virtual_bytes)),
            openDescriptors: known(Double(usage.open_descriptors)),
            maximumDescriptors: known(Double(usage.maximum_descriptors))
        )
    }
}
