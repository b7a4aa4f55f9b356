internal import CNonBlockingIO

/// The end of a datagram socket on which systemd listens to a service.
package final class NotifySocket: Sendable {
    private let descriptor: Int32
    private let address: String

    /// - Parameter address: a path, or a name in the abstract namespace behind an `@`; nil for anything else.
    package init?(address: String) {
        let isAddress = address.hasPrefix("/") || address.hasPrefix("@")
        guard isAddress, (2...107).contains(address.utf8.count) else { return nil }
        descriptor = cnbio_notify_socket()
        guard descriptor >= 0 else { return nil }
        self.address = address
    }

    deinit {
        cnbio_close(descriptor)
    }

    /// Sends a message, or drops it when it cannot be sent at once, or within a second if it `waits`, which blocks the thread.
    package func send(_ message: String, waits: Bool) {
        // SAFETY: both texts last for the call, and the kernel copies.
        _ = unsafe cnbio_notify(descriptor, address, message, message.utf8.count, waits)
    }
}
