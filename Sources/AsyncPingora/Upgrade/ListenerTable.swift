package import AsyncTransport
package import Logging

/// The listening sockets of a server: those it was given when it started, and those it has now.
///
/// A listener first looks here for a socket that another process, or systemd, has opened for it. Which is told by the address, and
/// for a port 0 by what was asked for and by which service. All of a group (SO_REUSEPORT) are taken: a connection waits in the queue of
/// one of them.
package final class ListenerTable: Sendable {
    /// A socket that waits for the listener it is meant for.
    package struct Inherited {
        /// The service that had it; nil when that is not known.
        package var service: String?
        /// The address that was asked for; nil when that is not known.
        package var requested: SocketAddress?
        package var address: SocketAddress
        package var descriptor: PassedDescriptor
        /// Whether another process keeps the socket for good, as systemd does.
        package var staysShared: Bool

        package init(
            service: String? = nil,
            requested: SocketAddress? = nil,
            address: SocketAddress,
            descriptor: PassedDescriptor,
            staysShared: Bool = false
        ) {
            self.service = service
            self.requested = requested
            self.address = address
            self.descriptor = descriptor
            self.staysShared = staysShared
        }
    }

    /// A socket that this server listens on.
    package struct Open {
        package var service: String
        package var requested: SocketAddress
        package var socket: ListeningSocket
        /// Whether another process keeps the socket for good.
        package var staysShared: Bool

        package init(
            service: String,
            requested: SocketAddress,
            socket: ListeningSocket,
            staysShared: Bool = false
        ) {
            self.service = service
            self.requested = requested
            self.socket = socket
            self.staysShared = staysShared
        }
    }

    private struct State {
        package var inherited: [Inherited] = []
        package var open: [Open] = []
    }

    private let state = Lock(State())

    /// Makes an empty table.
    package init() {}

    /// Adds sockets to be taken by those who listen where they do.
    package func add(_ inherited: [Inherited]) {
        state.withLock { $0.inherited += inherited }
    }

    /// Takes a socket that `service` may use for an address; nil when there is none.
    package func take(_ requested: SocketAddress, for service: String) -> Inherited? {
        state.withLock { (state: inout State) in
            let found = state.inherited.firstIndex { inherited in
                if requested.port == 0 { return inherited.requested == requested && inherited.service == service }
                return inherited.address == requested
            }
            return found.map { state.inherited.remove(at: $0) }
        }
    }

    /// Notes sockets that are listened on, so that they can be handed over.
    package func note(_ open: [Open]) {
        state.withLock { $0.open += open }
    }

    /// No process shares the sockets any more, but for those that keep them for good.
    package func wasReleased() {
        for open in openSockets { open.socket.isShared = open.staysShared }
    }

    /// The sockets that are listened on.
    package var openSockets: [Open] { state.withLock { $0.open } }

    /// Closes the sockets that no listener has taken, for connections to them would wait for nobody.
    package func closeUnused(logger: Logger) {
        let unused = state.withLock { (state: inout State) in
            defer { state.inherited = [] }
            return state.inherited
        }
        for inherited in unused { logger.warning("no service listens on \(inherited.address) any more: it is closed") }
    }
}
