/// The version of HTTP that a message was sent in.
public enum HTTPVersion: UInt8, Sendable, Comparable, CustomStringConvertible {
    /// HTTP/1.0 (RFC 1945).
    case http10
    /// HTTP/1.1 (RFC 9112).
    case http11
    /// HTTP/2 (RFC 9113).
    case http2

    /// Orders versions from old to new.
    public static func < (left: HTTPVersion, right: HTTPVersion) -> Bool { left.rawValue < right.rawValue }

    /// `HTTP/1.1` and the like.
    public var description: String {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        }
    }
}
