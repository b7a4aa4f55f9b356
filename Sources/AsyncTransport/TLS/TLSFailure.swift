internal import COpenSSL

/// What went wrong with TLS on a connection.
public struct TLSFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of thing went wrong.
    public struct Kind: Hashable, Sendable {
        private enum Code: String {
            case handshakeFailed, certificateInvalid, brokenRecord, cutOff, configuration, refused
        }

        private let code: Code
        /// The two ends could not agree, or one of them did not speak TLS.
        public static let handshakeFailed = Kind(code: .handshakeFailed)
        /// The peer's certificate is not trusted: see ``TLSFailure/verifyResult``.
        public static let certificateInvalid = Kind(code: .certificateInvalid)
        /// After the handshake: something that does not decrypt, or an alert.
        public static let brokenRecord = Kind(code: .brokenRecord)
        /// The connection ended without the peer having said that it would.
        public static let cutOff = Kind(code: .cutOff)
        /// A file or a setting is of no use.
        public static let configuration = Kind(code: .configuration)
        /// A callback refused the connection.
        public static let refused = Kind(code: .refused)

        /// The kind's name, without dynamic parts.
        public var name: String { code.rawValue }
    }

    /// What kind of thing went wrong.
    public let kind: Kind
    /// OpenSSL's number for what is wrong with a certificate (`X509_V_ERR_...`); 0 when that is not it.
    public let verifyResult: Int
    /// OpenSSL's words for it, or the framework's.
    public let reason: String

    init(_ kind: Kind, verifyResult: Int = 0, reason: String) {
        self.kind = kind
        self.verifyResult = verifyResult
        self.reason = reason
    }

    /// Kind and reason.
    public var description: String { "\(kind.name) (\(reason))" }
}

/// Settings for TLS that cannot be used: a file that cannot be read, a key that does not belong to its certificate, an unknown curve.
public struct TLSConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What the settings name: usually a file.
    public let subject: String
    /// What is wrong with it.
    public let reason: String

    /// Names both.
    public var description: String { "\(subject): \(reason)" }
}

/// OpenSSL's list of errors, one per thread, which must be empty before anything is asked that may add to it.
enum OpenSSLErrors {
    /// Empties the list before a call that may add to it.
    ///
    /// Nearly always there is nothing in it, and to look costs a quarter of what clearing does.
    static func forget() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// Empties the list and returns the words for its oldest entry, which is nearest to the cause.
    static func drain() -> String {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0 else { return "no reason given" }
        // SAFETY: the text is a constant of the library's.
        guard let text = unsafe ERR_reason_error_string(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }

    /// The configuration error for `subject`, with what the list says of it.
    static func configuration(_ subject: String) -> TLSConfigurationError {
        TLSConfigurationError(subject: subject, reason: drain())
    }
}
