public import HTTPCodecs

/// How connections of clients are timed, limited and kept.
public struct HttpServerOptions: Sendable {
    /// How long the whole request head may take once its first byte has come; then 408.
    ///
    /// Default 30 s.
    public var requestHeadTimeout: Duration? = .seconds(30)
    /// How long a connection may wait for its first request or between requests; then it is closed quietly.
    ///
    /// Default 60 s.
    public var keepAliveTimeout: Duration? = .seconds(60)
    /// How many requests a connection may carry; nil has no limit.
    public var keepAliveRequestLimit: Int?
    /// How long a client may send nothing of the body it has announced; then 408.
    ///
    /// Default 60 s.
    public var bodyReadTimeout: Duration? = .seconds(60)
    /// How long a client may take nothing of what is being sent.
    ///
    /// Default 60 s.
    public var writeTimeout: Duration? = .seconds(60)
    /// Bytes per second that a client must take on average over each write; nil asks for none.
    ///
    /// A write may then last as long as its bytes take at this rate, at least 1 s, whatever ``writeTimeout`` says.
    public var minimumSendRate: Int?
    /// Whether CONNECT requests are passed to the app; otherwise they get 405.
    public var allowsConnect = false
    /// Whether a client without TLS may speak HTTP/2 at once, with prior knowledge (RFC 9113 3.3).
    ///
    /// Default false. HTTP/1 clients are served all the same.
    public var allowsH2C = false
    /// What HTTP/2 clients are told and allowed.
    public var http2 = HTTP2.Settings()
    /// Limits on request heads, chunk lines and trailers.
    public var limits = HTTP1.Limits()
    /// How much of an unread request body is read and dropped to keep a connection, in bytes.
    ///
    /// Default 64 KiB.
    public var maximumDrainBytes = 65_536
    /// How long a connection that is being closed may go on sending, so that it reads the answer before the reset.
    ///
    /// Default 2 s.
    public var lingeringTimeout: Duration = .seconds(2)

    /// Makes the defaults.
    public init() {}
}
