public import AsyncPingora

// What of the framework can change while it runs.

extension ConfigurationSource {
    /// Has the server's reload signal, SIGHUP, read the file again.
    public func follow(_ server: Server) async {
        await server.onReload { [self] in await reload() }
    }

    /// Sets what is logged (`log_level`), now and with each new configuration.
    public func follow(_ level: LogLevel) {
        level.level = current.logLevel
        follow { level.level = $0.logLevel }
    }

    /// Gives a proxy service the limits and timeouts of clients' connections (`server`), the size of its pool
    /// (`upstream_keepalive_pool_size`) and the number of attempts (`max_retries`) of each new configuration.
    ///
    /// Requests and HTTP/2 connections that begin from then on go by them.
    public func follow<Proxy>(_ service: ListeningService<HttpApp<HttpProxy<Proxy>>>) {
        let app = service.app
        follow {
            app.replaceOptions($0.http)
            app.app.connector.poolSize = $0.connector.poolSize
            app.app.maximumAttempts = $0.proxy.maximumAttempts
        }
    }

    /// Gives a service of one's own the limits and timeouts of clients' connections (`server`) of each new configuration.
    public func follow<Content>(_ service: ListeningService<HttpApp<HttpServer<Content>>>) {
        let app = service.app
        follow { app.replaceOptions($0.http) }
    }

    /// Has an access log go on in the file that each new configuration names (`access_log.path`), which is opened again also if it is
    /// the same; one that cannot be opened is logged, and lines go to the old one.
    public func follow(_ log: AccessLog) {
        follow { log.reopen(at: $0.accessLog.map { AccessLog.Destination($0.path) }) }
    }

    /// Has a listener's certificates read again with each new configuration; those that cannot be used are logged, and the old stay.
    ///
    /// - Parameters:
    ///   - acceptor: what accepts the connections.
    ///   - name: what the log calls it, such as the address.
    ///   - certificates: where a configuration says that they are; nil is where they were.
    public func follow(
        _ acceptor: TLSAcceptor,
        named name: String,
        certificates: @escaping @Sendable (ServerConfiguration) -> [TLSCertificateSource]? = { _ in nil }
    ) {
        follow { configuration in
            do throws(TLSConfigurationError) {
                try acceptor.reload(certificates: certificates(configuration))
            } catch {
                throw ReloadError(description: "\(name) goes on with its old certificates: \(error)")
            }
        }
    }
}

private struct ReloadError: Error, CustomStringConvertible {
    let description: String
}
