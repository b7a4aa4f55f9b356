public import AsyncTransport

/// Where a service listens.
public struct Listeners: Sendable {
    struct Endpoint: Sendable {
        var address: SocketAddress
        var options: ListenerOptions
        var tls: TLSAcceptor?
    }

    private(set) var endpoints: [Endpoint] = []

    /// Makes an empty list.
    public init() {}

    /// The addresses that were added; a port 0 is still 0.
    public var addresses: [SocketAddress] { endpoints.map(\.address) }

    /// Adds an address: TCP, where port 0 lets the kernel choose, or a Unix-domain socket.
    public mutating func add(_ address: SocketAddress, options: ListenerOptions = ListenerOptions()) {
        endpoints.append(Endpoint(address: address, options: options))
    }

    /// Adds an address whose connections are encrypted.
    ///
    /// - Parameters:
    ///   - address: where to listen.
    ///   - options: how.
    ///   - settings: certificates, protocols, who may connect.
    /// - Returns: what accepts the connections; keep it to reload certificates.
    /// - Throws: ``TLSConfigurationError`` when a file or a setting is of no use.
    @discardableResult
    public mutating func addTLS(
        _ address: SocketAddress,
        options: ListenerOptions = ListenerOptions(),
        settings: TLSServerSettings
    ) throws(TLSConfigurationError) -> TLSAcceptor {
        let acceptor = try TLSAcceptor(settings)
        addTLS(address, options: options, acceptor: acceptor)
        return acceptor
    }

    /// Adds an address whose connections are encrypted by an acceptor that others may use as well.
    public mutating func addTLS(
        _ address: SocketAddress,
        options: ListenerOptions = ListenerOptions(),
        acceptor: TLSAcceptor
    ) {
        endpoints.append(Endpoint(address: address, options: options, tls: acceptor))
    }

    /// Listens on every address: on a socket that `table` has for it, else on one that is bound now.
    ///
    /// - Parameters:
    ///   - service: who will listen.
    ///   - table: where sockets come from, and where those that are used are noted.
    /// - Returns: one endpoint per socket: more than addresses when several were inherited for one.
    /// - Throws: ``TransportError`` naming the address that cannot be had; none stays open then.
    package func build(for service: String, table: ListenerTable) throws(TransportError) -> [TransportStack] {
        var stacks: [TransportStack] = []
        var open: [ListenerTable.Open] = []
        func add(_ socket: ListeningSocket, _ endpoint: Endpoint, staysShared: Bool = false) {
            stacks.append(TransportStack(socket: socket, tls: endpoint.tls))
            open.append(.init(service: service, requested: endpoint.address, socket: socket, staysShared: staysShared))
        }
        func adopt(for endpoint: Endpoint) throws(TransportError) -> Bool {
            guard let passed = table.take(endpoint.address, for: service) else { return false }
            let socket = try ListeningSocket(adopting: passed.descriptor, options: endpoint.options)
            socket.isShared = true
            add(socket, endpoint, staysShared: passed.staysShared)
            return true
        }
        for endpoint in endpoints {
            if try adopt(for: endpoint) { continue }
            add(try ListeningSocket(address: endpoint.address, options: endpoint.options), endpoint)
        }
        for endpoint in endpoints {
            while try adopt(for: endpoint) {}
        }
        table.note(open)
        return stacks
    }
}

/// A listening endpoint with what is stacked on its connections before an app gets them.
package struct TransportStack: Sendable {
    package let socket: ListeningSocket
    /// Encrypts its connections; nil leaves them in the clear.
    package let tls: TLSAcceptor?

    package var address: SocketAddress { socket.address }
}
