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

    /// Binds every address and starts to listen.
    ///
    /// - Throws: ``TransportError`` naming the address that cannot be had; none stays bound then.
    func build() throws(TransportError) -> [TransportStack] {
        var stacks: [TransportStack] = []
        for endpoint in endpoints {
            stacks.append(
                TransportStack(
                    socket: try ListeningSocket(address: endpoint.address, options: endpoint.options),
                    tls: endpoint.tls
                )
            )
        }
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
