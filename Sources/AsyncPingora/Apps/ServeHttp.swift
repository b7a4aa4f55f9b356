internal import AsyncConnectors
internal import AsyncTransport
internal import HTTPCodecs
public import Logging

/// A plain HTTP server: answers each request itself.
public protocol ServeHttp: Sendable {
    /// Answers the request, by ``Session/respond(_:headers:body:)`` or piece by piece.
    ///
    /// An error, or no complete response, becomes the status that the error asks for, else 500.
    func serve(_ session: Session) async throws
}

/// Runs a ``ServeHttp`` on the requests of a service, with modules.
public struct HttpServer<Server: ServeHttp>: HttpServerApp {
    /// The user's logic.
    public let server: Server
    private let modules: HttpModules
    private let logger: Logger

    /// Makes the app.
    public init(
        _ server: Server,
        modules: HttpModules = HttpModules(),
        logger: Logger = Logger(label: "AsyncPingora.HttpServer")
    ) {
        self.server = server
        self.modules = modules
        self.logger = logger
    }

    /// Serves one exchange.
    public func process(_ session: Session, connection: HttpConnectionContext) async {
        session.modules = modules.makeContext()
        var failure: PingoraError?
        do {
            if !session.modules.isEmpty { try await session.modules.filterRequestHeader(&session.request) }
            try await server.serve(session)
            if !session.downstream.isResponseComplete { failure = PingoraError(.noResponse) }
        } catch {
            failure = PingoraError(callback: error)
        }
        guard let failure else { return }
        session.failure = failure
        await fail(session, error: failure)
    }

    private func fail(_ session: Session, error: PingoraError) async {
        let status = ErrorResponse.status(for: error)
        if error.source != .downstream {
            logger.error(
                "\(error), status: \(status), \(session.requestSummary)",
                metadata: session.logMetadata
            )
        }
        session.disableKeepAlive()
        await session.answer(status: status)
        if !session.downstream.isResponseComplete { session.downstream.abort() }
    }
}
