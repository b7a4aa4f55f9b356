internal import Glibc

/// What went wrong with a socket, a poller or a thread, with the system's error number.
public struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being done.
    public struct Operation: Equatable, Sendable {
        private enum Code: String {
            case socket, bind, listen, accept, connect, read, write, option, poller, thread, resolve, address, tls,
                file, process, identity, open
        }

        private let code: Code
        /// Creating a socket.
        public static let socket = Operation(code: .socket)
        /// Binding a listening or source address.
        public static let bind = Operation(code: .bind)
        /// Starting to listen.
        public static let listen = Operation(code: .listen)
        /// Accepting a connection.
        public static let accept = Operation(code: .accept)
        /// Connecting to a peer.
        public static let connect = Operation(code: .connect)
        /// Reading from a stream.
        public static let read = Operation(code: .read)
        /// Writing to a stream.
        public static let write = Operation(code: .write)
        /// Setting a socket option.
        public static let option = Operation(code: .option)
        /// Registering with the poller, or creating it.
        public static let poller = Operation(code: .poller)
        /// Starting a thread.
        public static let thread = Operation(code: .thread)
        /// Resolving a host name.
        public static let resolve = Operation(code: .resolve)
        /// Understanding an address.
        public static let address = Operation(code: .address)
        /// Opening a file.
        public static let open = Operation(code: .open)
        /// Agreeing on TLS, or decrypting and encrypting with it.
        public static let tls = Operation(code: .tls)

        /// Opening or changing a file.
        public static let file = Operation(code: .file)
        /// Starting a process.
        public static let process = Operation(code: .process)
        /// Finding or becoming a user or group.
        public static let identity = Operation(code: .identity)

        /// The operation's name, without dynamic parts.
        public var name: String { code.rawValue }
    }

    /// What was being done.
    public let operation: Operation
    /// The system's error number; 0 when the error is not the system's.
    public let errno: Int32
    /// More in words, such as the address; empty when there is nothing to add.
    public let detail: String
    /// What was wrong with the TLS; nil when it was something else.
    public let tls: TLSFailure?

    /// Makes an error.
    public init(_ operation: Operation, errno: Int32, detail: String = "", tls: TLSFailure? = nil) {
        self.operation = operation
        self.errno = errno
        self.detail = detail
        self.tls = tls
    }

    /// Whether the deadline passed first.
    public var isTimeout: Bool { errno == ETIMEDOUT }
    /// Whether the peer refused the connection, or nobody listens.
    public var isRefused: Bool { errno == ECONNREFUSED || errno == ENOENT }
    /// Whether there is no route to the peer.
    public var isUnreachable: Bool { errno == ENETUNREACH || errno == EHOSTUNREACH }
    /// Whether the peer has reset or closed the connection.
    public var isClosedByPeer: Bool { errno == ECONNRESET || errno == EPIPE }
    /// Whether the process or the system has run out of descriptors or memory: worth a pause, not a crash.
    public var isOutOfResources: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) }
    /// Whether the task was cancelled while it waited.
    public var isCancellation: Bool { errno == ECANCELED }

    /// The operation, the system's words for the error, and the detail.
    public var description: String {
        // SAFETY: strerror's text is a constant or the calling thread's own (glibc 2.32 and later), and is copied at once.
        let reason = errno == 0 ? "failed" : unsafe String(cString: strerror(errno))
        let what = detail.isEmpty ? operation.name : "\(operation.name) \(detail)"
        return tls.map { "\(what): \($0)" } ?? "\(what): \(reason)"
    }
}

extension TransportError {
    package static func timedOut(_ operation: Operation) -> TransportError {
        TransportError(operation, errno: ETIMEDOUT)
    }

    /// Whether somebody else has the address.
    package var isInUse: Bool { errno == EADDRINUSE }
    /// Whether as many as may do wait to be accepted already.
    package var isQueueFull: Bool { errno == EAGAIN }

    package static func cancelled(_ operation: Operation) -> TransportError {
        TransportError(operation, errno: ECANCELED)
    }
}
