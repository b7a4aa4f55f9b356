package import AsyncTransport
public import HTTPCodecs

/// Why a request or a connection failed: what, on whose side, whether another try is safe, and the way up.
///
/// Who is to blame and whether to retry are data, decided where the error arises, not guessed where it is handled.
public struct PingoraError: Error, Sendable {
    /// Which side the error came from.
    public enum Source: String, Sendable {
        /// The server that the proxy talks to.
        case upstream
        /// The client.
        case downstream
        /// This program: a callback, or the framework.
        case `internal`
    }

    /// Whether the request may be tried again, on another connection or peer.
    public enum Retry: Sendable, Equatable {
        /// Yes or no.
        case decided(Bool)
        /// Only when the connection that failed had been used before: the peer may have closed it while it was idle.
        case reusedOnly
    }

    private struct Facts {
        let kind: Kind
        var source: Source
        var retry: Retry
        let cause: (any Error)?
        var context: [String]
    }

    /// Facts behind a reference: errors are rare, but each function that may throw one keeps room for it, an async one for as long as it
    /// lasts.
    private final class Box: Sendable {
        let facts: Facts

        init(_ facts: Facts) {
            self.facts = facts
        }
    }

    private var box: Box
    private var facts: Facts {
        get { box.facts }
        set { box = Box(newValue) }
    }

    /// What went wrong.
    public var kind: Kind { facts.kind }
    /// Which side it came from.
    public var source: Source {
        get { facts.source }
        set { facts.source = newValue }
    }
    /// Whether another try is safe.
    public var retry: Retry {
        get { facts.retry }
        set { facts.retry = newValue }
    }
    /// The error that caused this one.
    public var cause: (any Error)? { facts.cause }
    /// What was being done, the innermost step first.
    public var context: [String] { facts.context }

    /// Makes an error.
    @inline(never)  // so that a place that throws is a call, and the way that throws nothing stays short
    public init(
        _ kind: Kind,
        source: Source = .internal,
        retry: Retry = .decided(false),
        cause: (any Error)? = nil,
        context: String? = nil
    ) {
        box = Box(
            Facts(kind: kind, source: source, retry: retry, cause: cause, context: context.map { [$0] } ?? [])
        )
    }

    /// Returns the error with one more step of what was being done.
    public func adding(context step: String) -> PingoraError {
        var result = self
        result.facts.context.append(step)
        return result
    }

    /// Makes an error of the framework's words for one thrown by a callback; one that is a `PingoraError` already stays as it is.
    public init(callback error: any Error) {
        if let error = error as? PingoraError {
            self = error
        } else if error is CancellationError {
            self.init(.cancelled, cause: error)
        } else {
            self.init(.internalError, cause: error, context: "\(error)")
        }
    }
}

extension PingoraError {
    /// What can go wrong.
    ///
    /// More may be added.
    public struct Kind: Sendable, Equatable, CustomStringConvertible {
        private enum Code: Equatable {
            case connectTimedOut, connectRefused, connectNoRoute, connectError, resolveError
            case tlsHandshakeFailure, tlsHandshakeTimedOut, invalidCert
            case readTimedOut, writeTimedOut, readError, writeError, connectionClosed
            case invalidHTTPHeader(HTTP1.ParseError)
            case invalidBody(HTTP1.ParseError)
            case requestHeadTimedOut
            case httpStatus(Int)
            case h2Error(HTTP2.ErrorCode)
            case h2Downgrade, invalidH2, pingTimedOut
            case noResponse, internalError, cancelled
            case custom(String)
        }

        private let code: Code

        /// No connection within the connection timeout.
        public static let connectTimedOut = Kind(code: .connectTimedOut)
        /// The peer refused the connection.
        public static let connectRefused = Kind(code: .connectRefused)
        /// There is no route to the peer.
        public static let connectNoRoute = Kind(code: .connectNoRoute)
        /// The connection failed for another reason.
        public static let connectError = Kind(code: .connectError)
        /// The host's name has no address.
        public static let resolveError = Kind(code: .resolveError)
        /// The two ends could not agree on TLS.
        public static let tlsHandshakeFailure = Kind(code: .tlsHandshakeFailure)
        /// They did not within the TLS handshake timeout.
        public static let tlsHandshakeTimedOut = Kind(code: .tlsHandshakeTimedOut)
        /// The peer's certificate is not trusted; the cause says why.
        public static let invalidCert = Kind(code: .invalidCert)
        /// Nothing came within the read timeout.
        public static let readTimedOut = Kind(code: .readTimedOut)
        /// Nothing could be sent within the write timeout.
        public static let writeTimedOut = Kind(code: .writeTimedOut)
        /// Reading failed.
        public static let readError = Kind(code: .readError)
        /// Writing failed.
        public static let writeError = Kind(code: .writeError)
        /// The connection ended before the message did.
        public static let connectionClosed = Kind(code: .connectionClosed)
        /// The whole request head did not come in time.
        public static let requestHeadTimedOut = Kind(code: .requestHeadTimedOut)
        /// The upstream wants this request in HTTP/1.1 (HTTP_1_1_REQUIRED, RFC 9113 7).
        public static let h2Downgrade = Kind(code: .h2Downgrade)
        /// What came on a connection was not HTTP/2.
        public static let invalidH2 = Kind(code: .invalidH2)
        /// An HTTP/2 connection did not answer a ping.
        public static let pingTimedOut = Kind(code: .pingTimedOut)
        /// A callback finished without a response where one is needed.
        public static let noResponse = Kind(code: .noResponse)
        /// A callback or the framework itself failed.
        public static let internalError = Kind(code: .internalError)
        /// The task was cancelled.
        public static let cancelled = Kind(code: .cancelled)

        /// A head that breaks the protocol.
        public static func invalidHTTPHeader(_ defect: HTTP1.ParseError) -> Kind {
            Kind(code: .invalidHTTPHeader(defect))
        }
        /// A body that breaks its framing.
        public static func invalidBody(_ defect: HTTP1.ParseError) -> Kind { Kind(code: .invalidBody(defect)) }
        /// An HTTP/2 stream ended with an error code.
        public static func h2Error(_ code: HTTP2.ErrorCode) -> Kind { Kind(code: .h2Error(code)) }
        /// A callback asks for this status as the answer.
        public static func httpStatus(_ status: Int) -> Kind { Kind(code: .httpStatus(status)) }
        /// An error of the user's own.
        public static func custom(_ name: String) -> Kind { Kind(code: .custom(name)) }

        /// The status that a callback asked for; nil for every other kind.
        public var requestedStatus: Int? {
            if case .httpStatus(let status) = code { status } else { nil }
        }

        /// What is wrong with a head or a body; nil for every other kind.
        public var defect: HTTP1.ParseError? {
            switch code {
            case .invalidHTTPHeader(let defect), .invalidBody(let defect): defect
            default: nil
            }
        }

        /// Whether the peer was too slow.
        public var isTimeout: Bool {
            switch code {
            case .connectTimedOut, .tlsHandshakeTimedOut, .readTimedOut, .writeTimedOut, .requestHeadTimedOut,
                .pingTimedOut:
                true
            default: false
            }
        }

        /// Whether it is one of the user's own.
        package var isCustom: Bool {
            if case .custom = code { true } else { false }
        }

        /// A name without dynamic parts, fit for a metric's label.
        public var name: String {
            switch code {
            case .connectTimedOut: "ConnectTimedOut"
            case .connectRefused: "ConnectRefused"
            case .connectNoRoute: "ConnectNoRoute"
            case .connectError: "ConnectError"
            case .resolveError: "ResolveError"
            case .tlsHandshakeFailure: "TLSHandshakeFailure"
            case .tlsHandshakeTimedOut: "TLSHandshakeTimedOut"
            case .invalidCert: "InvalidCert"
            case .readTimedOut: "ReadTimedOut"
            case .writeTimedOut: "WriteTimedOut"
            case .readError: "ReadError"
            case .writeError: "WriteError"
            case .connectionClosed: "ConnectionClosed"
            case .invalidHTTPHeader: "InvalidHTTPHeader"
            case .invalidBody: "InvalidBody"
            case .requestHeadTimedOut: "RequestHeadTimedOut"
            case .httpStatus: "HTTPStatus"
            case .h2Error: "H2Error"
            case .h2Downgrade: "H2Downgrade"
            case .invalidH2: "InvalidH2"
            case .pingTimedOut: "PingTimedOut"
            case .noResponse: "NoResponse"
            case .internalError: "InternalError"
            case .cancelled: "Cancelled"
            case .custom(let name): name
            }
        }

        /// The name, with the defect or status if there is one.
        public var description: String {
            switch code {
            case .invalidHTTPHeader(let defect), .invalidBody(let defect): "\(name) (\(defect))"
            case .httpStatus(let status): "\(name) \(status)"
            case .h2Error(let code): "\(name) \(code)"
            default: name
            }
        }
    }
}

extension PingoraError: CustomStringConvertible {
    /// One line: source, kind, context from the outside in, cause.
    public var description: String {
        var text = "\(source.rawValue) \(kind)"
        if !context.isEmpty { text += " " + context.reversed().joined(separator: ": ") }
        if let cause, !(cause is PingoraError) || context.isEmpty { text += " cause: \(cause)" }
        return text
    }
}

extension PingoraError {
    /// Puts a transport's error in the framework's words.
    package init(_ error: TransportError, source: Source, retry: Retry = .decided(false)) {
        let kind: Kind =
            if error.isCancellation {
                .cancelled
            } else {
                switch error.operation {
                case .connect, .socket, .bind, .option:
                    if error.isTimeout {
                        .connectTimedOut
                    } else if error.isRefused {
                        .connectRefused
                    } else if error.isUnreachable {
                        .connectNoRoute
                    } else {
                        .connectError
                    }
                case .resolve: .resolveError
                case .tls:
                    if error.isTimeout {
                        .tlsHandshakeTimedOut
                    } else if error.tls?.kind == .certificateInvalid {
                        .invalidCert
                    } else {
                        .tlsHandshakeFailure
                    }
                case .write: error.isTimeout ? .writeTimedOut : .writeError
                case .read: error.isTimeout ? .readTimedOut : .readError
                default: .internalError
                }
            }
        self.init(kind, source: source, retry: retry, cause: error)
    }
}
