internal import AsyncTransport
package import Logging
internal import Synchronization

/// The sockets that systemd has opened for this process (`sd_listen_fds(3)`).
package enum SystemdSockets {
    /// The number of the first one.
    package static let firstDescriptor: Int32 = 3
    /// More than that is a mistake.
    package static let maximumCount: Int32 = 16_384

    /// Which descriptors the environment announces for the process; empty when it is about another one, or about none.
    ///
    /// - Parameters:
    ///   - environment: the value of a variable.
    ///   - process: this process's number.
    /// - Returns: their numbers.
    package static func announced(by environment: (String) -> String?, process: Int32) -> Range<Int32> {
        guard let owner = environment("LISTEN_PID").flatMap(Int32.init), owner == process,
            let count = environment("LISTEN_FDS").flatMap(Int32.init), (1...maximumCount).contains(count)
        else { return firstDescriptor..<firstDescriptor }
        return firstDescriptor..<firstDescriptor + count
    }

    /// The names that the unit file gives to the sockets, in their order; `?` for those beyond the list.
    package static func names(_ variable: String?, count: Int) -> [String] {
        let given = variable?.split(separator: ":", omittingEmptySubsequences: false).map(String.init) ?? []
        return (0..<count).map { $0 < given.count ? given[$0] : "?" }
    }

    private static let isTaken = Atomic<Bool>(false)

    /// Takes over what the environment announces, once in the life of the process.
    package static func take(logger: Logger) -> [ListenerTable.Inherited] {
        let descriptors = announced(by: ProcessEnvironment.value, process: ProcessEnvironment.processIdentifier)
        guard !descriptors.isEmpty, !isTaken.exchange(true, ordering: .sequentiallyConsistent) else { return [] }
        let names = names(ProcessEnvironment.value("LISTEN_FDNAMES"), count: descriptors.count)
        return zip(descriptors, names).compactMap { number, name in
            let descriptor = PassedDescriptor(number)
            do throws(TransportError) {
                let address = try descriptor.listeningAddress()
                logger.info("systemd has opened \(address) (\(name))")
                return ListenerTable.Inherited(address: address, descriptor: descriptor, staysShared: true)
            } catch {
                logger.warning("systemd's socket \(name) is of no use: \(error)")
                return nil
            }
        }
    }
}
