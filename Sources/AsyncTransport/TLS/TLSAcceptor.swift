/// Makes TLS connections of those that clients open: a listener's settings, put to use by all workers.
///
/// Each worker has OpenSSL objects of its own, for those lock badly among threads; ticket keys and remembered sessions are shared.
public final class TLSAcceptor: Sendable {
    /// The settings it was made with; ``reload(certificates:)`` may have replaced the certificates.
    public let settings: TLSServerSettings
    private let shared: TLSServerShared
    private let state: Lock<State>

    private struct State {
        var certificates: [TLSCertificateSource]
        var files: TLSServerFiles
        /// By worker.
        var contexts: [Int: TLSServerContext] = [:]
    }

    /// Reads the files that `settings` name and checks that all of it can be used.
    ///
    /// - Throws: ``TLSConfigurationError`` naming the file or setting.
    public init(_ settings: TLSServerSettings) throws(TLSConfigurationError) {
        self.settings = settings
        shared = TLSServerShared(
            tickets: try TicketKeys(lifetime: settings.ticketKeyLifetime),
            sessions: TLSSessionCache(capacity: settings.sessionCacheSize, lifetime: settings.sessionLifetime),
            keyLog: try settings.keyLogFile.map { path throws(TLSConfigurationError) in try KeyLog(path) }
        )
        let files = try TLSServerFiles(settings)
        _ = try TLSServerContext(settings: settings, files: files, shared: shared)
        state = Lock(State(certificates: settings.certificates, files: files))
    }

    /// Reads the files again: handshakes that begin from now on use what they hold; connections that are there go on.
    ///
    /// Blocks while it reads. Sessions may still be resumed, without a look at the new certificates.
    /// - Parameter certificates: where the certificates are from now on; nil is where they were read before.
    /// - Throws: ``TLSConfigurationError``; what was in use then stays.
    public func reload(certificates: [TLSCertificateSource]? = nil) throws(TLSConfigurationError) {
        let certificates = certificates ?? state.withLock { $0.certificates }
        var settings = settings
        settings.certificates = certificates
        let files = try TLSServerFiles(settings)
        _ = try TLSServerContext(settings: settings, files: files, shared: shared)
        state.withLock { $0 = State(certificates: certificates, files: files) }
    }

    /// Replaces the key that encrypts tickets, before its time.
    ///
    /// - Throws: ``TLSConfigurationError`` when there is no randomness to be had.
    public func rotateTicketKeys() throws(TLSConfigurationError) {
        try shared.tickets.rotate()
    }

    /// Goes through the server's side of a handshake on `stream`, which is attached to the calling task's parker.
    ///
    /// - Parameters:
    ///   - stream: a connection that a client has opened.
    ///   - isWantedUntil: asked at each wake-up until when the connection is wanted.
    /// - Returns: the encrypted stream, which takes `stream` over.
    /// - Throws: ``TransportError`` with the operation `tls`; `stream` is then closed.
    package func accept(
        _ stream: any ByteStream,
        isWantedUntil: () -> Deadline = { .never }
    ) async throws(TransportError) -> any ByteStream {
        do throws(TransportError) {
            let context = try context()
            let encrypted = TLSStream(over: stream, engine: try context.makeEngine())
            let chosen = settings.certificateCallback
            let completed = settings.handshakeCompleteCallback
            try await encrypted.shakeHands(
                until: .after(settings.handshakeTimeout),
                isWantedUntil: isWantedUntil,
                chooseCertificate: { hello in
                    guard let hello, let chosen else { return nil }
                    return try await chosen(hello)
                },
                complete: { digest in try await completed?(digest) }
            )
            return encrypted
        } catch {
            stream.close(reset: false)
            throw error
        }
    }

    private func context() throws(TransportError) -> TLSServerContext {
        let worker = ThreadContext.currentIndex ?? 0
        let (known, files) = state.withLock { ($0.contexts[worker], $0.files) }
        if let known { return known }
        do throws(TLSConfigurationError) {
            let made = try TLSServerContext(settings: settings, files: files, shared: shared)
            state.withLock { if $0.files == files { $0.contexts[worker] = made } }
            return made
        } catch {
            throw .tls(.configuration, error.description)
        }
    }
}

/// What the settings' files hold.
struct TLSServerFiles: Hashable, Sendable {
    var certificates: [CertificateText] = []
    var clientAuthorities: [UInt8]?
    var clientRevocations: [UInt8]?

    init(_ settings: TLSServerSettings) throws(TLSConfigurationError) {
        for source in settings.certificates { certificates.append(try source.read()) }
        if settings.clientVerification != .off {
            guard let file = settings.clientAuthorityFile else {
                throw TLSConfigurationError(subject: "clientAuthorityFile", reason: "is needed to verify clients")
            }
            clientAuthorities = try FileContents.read(file)
            if let file = settings.clientRevocationFile { clientRevocations = try FileContents.read(file) }
        }
    }
}

/// What the workers share.
struct TLSServerShared: Sendable {
    let tickets: TicketKeys
    let sessions: TLSSessionCache
    let keyLog: KeyLog?
}
