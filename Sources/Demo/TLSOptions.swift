import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration

/// Where clients connect with TLS, and the certificate they are shown.
struct TLSListenOptions: ParsableArguments {
    @Option(name: .customLong("tls-listen"), help: "Where clients connect with TLS; HTTP/2 is agreed on by ALPN.")
    var address: ListenAddress?

    @Option(name: .customLong("cert"), help: "The certificate, with the intermediate ones behind it, in a PEM file.")
    var certificateFile: String?

    @Option(name: .customLong("key"), help: "Its key, in a PEM file.")
    var keyFile: String?

    func validate() throws {
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw ValidationError("--cert and --key go together")
        }
    }

    /// The address and its certificate; nil when no certificate was given.
    ///
    /// - Parameter standard: the address when none was given; nil when one must be.
    /// - Returns: what to listen with.
    /// - Throws: when options are missing that belong to those that are there.
    func settings(standard: ListenAddress?) throws -> TLSListenerSettings? {
        guard let certificateFile, let keyFile else {
            if address != nil, standard == nil { throw ValidationError("--tls-listen needs --cert and --key") }
            return nil
        }
        guard let address = address ?? standard else { throw ValidationError("--cert and --key need --tls-listen") }
        return TLSListenerSettings(listen: address.address, certificate: certificateFile, key: keyFile)
    }
}

/// Whether the upstream is spoken to with TLS, and what of it is trusted.
struct TLSUpstreamOptions: ParsableArguments {
    @Flag(name: .customLong("upstream-tls"), help: "Speak TLS to the upstream.")
    var isEncrypted = false

    @Option(
        name: .customLong("upstream-sni"),
        help:
            "The name the upstream is asked for, and its certificate must be for; by default it must be for its address."
    )
    var serverName: String?

    @Option(
        name: .customLong("upstream-ca"),
        help: "The authorities that are trusted instead of the system's, in a PEM file."
    )
    var authorityFile: String?

    @Option(
        name: .customLong("upstream-crl"),
        help: "The authorities' lists of revoked certificates, in a PEM file; none are checked by default."
    )
    var revocationFile: String?

    func validate() throws {
        if !isEncrypted, serverName != nil || authorityFile != nil || revocationFile != nil {
            throw ValidationError("--upstream-sni, --upstream-ca and --upstream-crl go with --upstream-tls")
        }
    }

    /// How the upstream is spoken to; nil is in the clear.
    func options(_ configuration: ServerConfiguration) -> TLSClientOptions? {
        let section = configuration[DemoSection.section]
        guard isEncrypted || section?.upstreamTLS == true else { return nil }
        var options = configuration.tlsOptions(serverName: serverName ?? section?.upstreamServerName)
        if let authorityFile { options.authorityFiles = [authorityFile] }
        if let revocationFile { options.revocationFile = revocationFile }
        return options
    }
}
