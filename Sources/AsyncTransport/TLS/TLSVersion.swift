internal import COpenSSL

/// A version of TLS that this library speaks.
public enum TLSVersion: String, Hashable, Sendable, Comparable, CaseIterable {
    /// TLS 1.2 (RFC 5246).
    case tls12 = "TLSv1.2"
    /// TLS 1.3 (RFC 8446).
    case tls13 = "TLSv1.3"

    var number: Int32 { self == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION }

    /// Orders versions by age.
    public static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.number < right.number }
}
