public import HTTPCodecs

/// Something that a line of an ``AccessLog`` tells of an exchange.
///
/// Each has a name: as a variable in a text pattern it has a `$` before it, and it is the key in a line of JSON. Where nginx has a
/// variable of that meaning, the name is nginx's. What an exchange does not have is `-` in text and `null` in JSON.
public struct AccessLogField: Hashable, Sendable {
    enum Code: Hashable, Sendable {
        case timeISO8601, timeLocal, secondsSinceEpoch
        case clientAddress, clientPort, clientUser, serverAddress, serverPort
        case requestLine, method, target, path, query, version, scheme, host
        case requestHeader
        case status, bytesSent, bytesReceived
        case requestTime, filterTime, peerTime, connectTime, upstreamHeaderTime, upstreamResponseTime
        case upstreamAddress, upstreamStatus, upstreamBytesReceived, attempts, isUpstreamReused
        case tlsVersion, tlsCipher, tlsServerName, tlsProtocol, tlsIsResumed, ja4
        case errorKind, errorSource, errorMessage, requestID, traceID
    }

    let code: Code
    /// Which field of the request's it is, for that code.
    let headerName: HeaderName?
    /// What it is called in patterns and as a key.
    public let name: String

    private init(_ name: String, _ code: Code, headerName: HeaderName? = nil) {
        self.name = name
        self.code = code
        self.headerName = headerName
    }

    /// Finds a field by its name, without the `$`; nil when there is none.
    ///
    /// `http_` and the rest of a name is the request's field of that name, with `_` for `-`.
    public init?(name: String) {
        if let known = Self.byName[name] {
            self = known
        } else if name.hasPrefix("http_"),
            let header = HeaderName(String(name.dropFirst(5).map { $0 == "_" ? "-" : $0 }))
        {
            self.init(name, .requestHeader, headerName: header)
        } else {
            return nil
        }
    }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// Every field but the request's own by name.
    public static let all: [AccessLogField] = [
        timeISO8601, timeLocal, secondsSinceEpoch,
        clientAddress, clientPort, clientUser, serverAddress, serverPort,
        requestLine, method, target, path, query, version, scheme, host,
        status, bytesSent, bytesReceived,
        requestTime, filterTime, peerTime, connectTime, upstreamHeaderTime, upstreamResponseTime,
        upstreamAddress, upstreamStatus, upstreamBytesReceived, attempts, isUpstreamReused,
        tlsVersion, tlsCipher, tlsServerName, tlsProtocol, tlsIsResumed, ja4,
        errorKind, errorSource, errorMessage, requestID, traceID,
    ]

    // MARK: - When

    /// `time_iso8601`: when the exchange ended, as `2026-11-29T10:00:00.123Z`.
    public static let timeISO8601 = AccessLogField("time_iso8601", .timeISO8601)
    /// `time_local`: the same as the Common Log Format has it, in UTC: `29/Nov/2026:10:00:00 +0000`.
    public static let timeLocal = AccessLogField("time_local", .timeLocal)
    /// `msec`: the same in seconds since 1970, with milliseconds.
    public static let secondsSinceEpoch = AccessLogField("msec", .secondsSinceEpoch)

    // MARK: - Who

    /// `remote_addr`: the client's numeric address; `unix:` for a Unix-domain socket.
    public static let clientAddress = AccessLogField("remote_addr", .clientAddress)
    /// `remote_port`: the client's port.
    public static let clientPort = AccessLogField("remote_port", .clientPort)
    /// `remote_user`: who the client says it is, by Basic authentication (RFC 7617); nobody has checked it.
    public static let clientUser = AccessLogField("remote_user", .clientUser)
    /// `server_addr`: the address that the client connected to.
    public static let serverAddress = AccessLogField("server_addr", .serverAddress)
    /// `server_port`: the port that the client connected to.
    public static let serverPort = AccessLogField("server_port", .serverPort)

    // MARK: - What was asked

    /// `request`: method, target and version, as `GET / HTTP/1.1`.
    public static let requestLine = AccessLogField("request", .requestLine)
    /// `request_method`: the method.
    public static let method = AccessLogField("request_method", .method)
    /// `request_uri`: the target, as it came or as callbacks changed it.
    public static let target = AccessLogField("request_uri", .target)
    /// `uri`: the target up to the query.
    public static let path = AccessLogField("uri", .path)
    /// `args`: the query.
    public static let query = AccessLogField("args", .query)
    /// `server_protocol`: the version of HTTP that the client speaks, as `HTTP/1.1`.
    public static let version = AccessLogField("server_protocol", .version)
    /// `scheme`: `https` when the client's connection is TLS, `http` otherwise.
    public static let scheme = AccessLogField("scheme", .scheme)
    /// `host`: whom the request is for.
    public static let host = AccessLogField("host", .host)
    /// `http_NAME`: a field of the request, as callbacks have left it; the first of its name.
    public static func requestHeader(_ name: HeaderName) -> AccessLogField {
        let text = name.text.lowercased().map { $0 == "-" ? "_" : $0 }
        return AccessLogField("http_" + text, .requestHeader, headerName: name)
    }
    /// `http_referer`: the request's `Referer`.
    public static let referer = requestHeader(.referer)
    /// `http_user_agent`: the request's `User-Agent`.
    public static let userAgent = requestHeader(.userAgent)

    // MARK: - What came of it

    /// `status`: what was answered; 000 when nothing was.
    public static let status = AccessLogField("status", .status)
    /// `body_bytes_sent`: body bytes sent to the client, without framing.
    public static let bytesSent = AccessLogField("body_bytes_sent", .bytesSent)
    /// `body_bytes_received`: body bytes received from the client, without framing.
    public static let bytesReceived = AccessLogField("body_bytes_received", .bytesReceived)
    /// `error_kind`: the name of what went wrong.
    public static let errorKind = AccessLogField("error_kind", .errorKind)
    /// `error_source`: which side that came from.
    public static let errorSource = AccessLogField("error_source", .errorSource)
    /// `error_message`: what went wrong, in a line of words.
    public static let errorMessage = AccessLogField("error_message", .errorMessage)

    // MARK: - How long it took, in seconds with microseconds

    /// `request_time`: from the complete head to the end.
    public static let requestTime = AccessLogField("request_time", .requestTime)
    /// `filter_time`: until the callbacks before `upstreamPeer` had let the request through.
    public static let filterTime = AccessLogField("filter_time", .filterTime)
    /// `upstream_peer_time`: from there until the peer of the last attempt was chosen.
    public static let peerTime = AccessLogField("upstream_peer_time", .peerTime)
    /// `upstream_connect_time`: from there until there was a connection, pooled or new.
    public static let connectTime = AccessLogField("upstream_connect_time", .connectTime)
    /// `upstream_header_time`: from the choice of the peer until its response's head was there.
    public static let upstreamHeaderTime = AccessLogField("upstream_header_time", .upstreamHeaderTime)
    /// `upstream_response_time`: from the choice of the peer to the end.
    public static let upstreamResponseTime = AccessLogField("upstream_response_time", .upstreamResponseTime)

    // MARK: - The upstream that was asked last

    /// `upstream_addr`: its address.
    public static let upstreamAddress = AccessLogField("upstream_addr", .upstreamAddress)
    /// `upstream_status`: what it answered.
    public static let upstreamStatus = AccessLogField("upstream_status", .upstreamStatus)
    /// `upstream_bytes_received`: body bytes received from it, without framing.
    public static let upstreamBytesReceived = AccessLogField("upstream_bytes_received", .upstreamBytesReceived)
    /// `upstream_attempts`: how many attempts were begun.
    public static let attempts = AccessLogField("upstream_attempts", .attempts)
    /// `upstream_connection_reused`: whether its connection had been used before: 1 or 0, in JSON `true` or `false`.
    public static let isUpstreamReused = AccessLogField("upstream_connection_reused", .isUpstreamReused)

    // MARK: - The client's TLS

    /// `ssl_protocol`: the version.
    public static let tlsVersion = AccessLogField("ssl_protocol", .tlsVersion)
    /// `ssl_cipher`: the cipher suite, by OpenSSL's name.
    public static let tlsCipher = AccessLogField("ssl_cipher", .tlsCipher)
    /// `ssl_server_name`: the name that the client asked for.
    public static let tlsServerName = AccessLogField("ssl_server_name", .tlsServerName)
    /// `ssl_alpn_protocol`: the protocol agreed on.
    public static let tlsProtocol = AccessLogField("ssl_alpn_protocol", .tlsProtocol)
    /// `ssl_session_reused`: whether an earlier session was resumed: 1 or 0, in JSON `true` or `false`.
    public static let tlsIsResumed = AccessLogField("ssl_session_reused", .tlsIsResumed)
    /// `ssl_ja4`: the fingerprint of the client's software; computing it costs several microseconds.
    public static let ja4 = AccessLogField("ssl_ja4", .ja4)

    // MARK: - Which one it was

    /// `request_id`: the request's `X-Request-Id`, as callbacks have left it.
    public static let requestID = AccessLogField("request_id", .requestID)
    /// `trace_id`: the trace that the request belongs to: ``Session/traceContext``.
    public static let traceID = AccessLogField("trace_id", .traceID)
}
