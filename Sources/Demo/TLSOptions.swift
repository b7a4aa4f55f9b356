import ArgumentParser
import AsyncPingora

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

    /// Adds the address, if there is one, to `listeners`.
    func add(to listeners: inout Listeners) throws {
        guard let address else { return }
        guard let certificateFile, let keyFile else { throw ValidationError("--tls-listen needs --cert and --key") }
        try listen(on: address, TLSCertificateSource(chainFile: certificateFile, keyFile: keyFile), &listeners)
    }

    /// Adds the address to `listeners`, by default `standard` with a certificate made for the occasion; returns where it is.
    func add(to listeners: inout Listeners, standard: ListenAddress) throws -> ListenAddress {
        let address = address ?? standard
        if let certificateFile, let keyFile {
            try listen(on: address, TLSCertificateSource(chainFile: certificateFile, keyFile: keyFile), &listeners)
        } else {
            try listen(on: address, TLSCertificateSource.selfSigned(for: ["localhost", "IP:127.0.0.1"]), &listeners)
        }
        return address
    }

    private func listen(
        on address: ListenAddress,
        _ certificate: @autoclosure () throws -> TLSCertificateSource,
        _ listeners: inout Listeners
    ) throws {
        do {
            var settings = TLSServerSettings(certificates: [try certificate()])
            settings.alpn = .http2OrHTTP1
            try listeners.addTLS(address.address, settings: settings)
        } catch {
            throw ValidationErrorLine(message: "cannot listen on \(address.address) with TLS: \(error)")
        }
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

    var tls: TLSClientOptions? {
        guard isEncrypted else { return nil }
        var options = TLSClientOptions(serverName: serverName)
        options.authorityFiles = authorityFile.map { [$0] } ?? []
        options.revocationFile = revocationFile
        return options
    }
}
