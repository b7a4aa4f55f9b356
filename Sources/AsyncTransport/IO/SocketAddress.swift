internal import CNonBlockingIO
internal import Glibc

/// Where a stream listens or connects to: an IP address with a port, or the path of a Unix-domain socket.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    private enum Value: Hashable {
        // The bytes of the address as the kernel has them; text is made of them when somebody asks.
        case ipv4(UInt32, port: UInt16)
        case ipv6(high: UInt64, low: UInt64, port: UInt16)
        case unix(path: String)
    }

    private let value: Value

    private init(value: Value) {
        self.value = value
    }

    /// Makes an address from a numeric host and a port; nil when `host` is neither an IPv4 nor an IPv6 address.
    public init?(host: String, port: UInt16) {
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        // What comes behind a NUL would not reach the parser and yet be kept.
        guard !host.utf8.contains(0) else { return nil }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = isBracketed ? String(host.dropFirst().dropLast()) : host
        // SAFETY: the text is passed NUL-terminated, and each call fills the storage and length it is lent.
        let isIPv4 = unsafe !isBracketed && cnbio_parse_ipv4(bare, port, &storage, &length) == 0
        guard unsafe isIPv4 || cnbio_parse_ipv6(bare, port, &storage, &length) == 0 else { return nil }
        unsafe self.init(native: &storage, length: length)
    }

    /// Makes the address of a Unix-domain socket; nil when the path is empty or longer than 107 bytes.
    public init?(unixPath path: String) {
        guard (1...107).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        value = .unix(path: path)
    }

    /// Returns the same host with another port; a Unix-domain socket stays what it is.
    public func with(port: UInt16) -> SocketAddress {
        switch value {
        case .ipv4(let bits, _): SocketAddress(value: .ipv4(bits, port: port))
        case .ipv6(let high, let low, _): SocketAddress(value: .ipv6(high: high, low: low, port: port))
        case .unix: self
        }
    }

    /// Parses `127.0.0.1:80`, `[::1]:80` or `unix:/path`; nil when the text is none of them.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            self.init(unixPath: String(text.dropFirst(5)))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = String(text[..<colon])
        // A bare IPv6 address must be in brackets, or its last group would be taken for the port.
        guard !host.contains(":") || host.hasPrefix("[") else { return nil }
        self.init(host: host, port: port)
    }

    /// Digits alone: the standard library takes a sign as well.
    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? UInt16(text) : nil
    }

    /// The port; nil for a Unix-domain socket.
    public var port: UInt16? {
        switch value {
        case .ipv4(_, let port), .ipv6(_, _, let port): port
        case .unix: nil
        }
    }

    /// The numeric host, without brackets; nil for a Unix-domain socket.
    public var host: String? {
        guard !isUnix else { return nil }
        // SAFETY: the text is copied before its buffer goes, which is large enough for any address.
        return unsafe withNative { native, _ in
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer -> String? in
                guard let base = buffer.baseAddress, unsafe cnbio_address_text(native, base, 64) > 0 else { return nil }
                return unsafe String(cString: base)
            }
        }
    }

    /// The path of a Unix-domain socket; nil for an IP address.
    ///
    /// Empty for the unnamed end of a connection.
    public var unixPath: String? {
        if case .unix(let path) = value { path } else { nil }
    }

    /// `127.0.0.1:80`, `[::1]:80` or `unix:/path`.
    public var description: String {
        switch value {
        case .ipv4(_, let port): "\(host ?? ""):\(port)"
        case .ipv6(_, _, let port): "[\(host ?? "")]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Appends the numeric host, without brackets; `unix:` for a Unix-domain socket.
    package func writeHost(to buffer: TextBuffer) {
        switch value {
        case .ipv4(let bits, _):
            var rest = UInt32(littleEndian: bits)
            for index in 0..<4 {
                if index > 0 { buffer.append(UInt8(ascii: ".")) }
                buffer.append(TextBuffer.Word(decimal: UInt8(truncatingIfNeeded: rest)))
                rest >>= 8
            }
        case .ipv6:
            // SAFETY: the call writes at most 64 bytes, and says how many.
            unsafe withNative { native, _ in
                unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
                    guard let base = text.baseAddress else { return }
                    let length = unsafe cnbio_address_text(native, base, 64)
                    guard length > 0 else { return }
                    buffer.append(
                        unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: Int(length)))
                    )
                }
            }
        case .unix:
            buffer.append("unix:")
        }
    }

    /// Appends what ``description`` is; others may have chosen the path of a Unix-domain socket, so it is escaped.
    package func write(to buffer: TextBuffer, escapedAs escape: TextBuffer.Escape) {
        switch value {
        case .ipv4(_, let port):
            writeHost(to: buffer)
            buffer.append(UInt8(ascii: ":"))
            buffer.append(decimal: UInt64(port))
        case .ipv6(_, _, let port):
            buffer.append(UInt8(ascii: "["))
            writeHost(to: buffer)
            buffer.append("]:")
            buffer.append(decimal: UInt64(port))
        case .unix(let path):
            buffer.append("unix:")
            buffer.append(path, escapedAs: escape, limit: 1_024)
        }
    }

    var isUnix: Bool { if case .unix = value { true } else { false } }

    var family: Int32 {
        switch value {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Calls `body` with the kernel's form of the address.
    func withNative<Result>(_ body: (UnsafePointer<sockaddr_storage>, socklen_t) -> Result) -> Result {
        // SAFETY: each call fills the storage and length it is lent, and refuses a path that does not fit.
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        switch value {
        case .ipv4(let bits, let port): unsafe cnbio_ipv4_address(bits, port, &storage, &length)
        case .ipv6(let high, let low, let port): unsafe cnbio_ipv6_address(high, low, port, &storage, &length)
        case .unix(let path): unsafe cnbio_unix_address(path, path.utf8.count, &storage, &length)
        }
        return unsafe withUnsafePointer(to: storage) { unsafe body($0, length) }
    }

    /// Understands the kernel's form; nil for a family other than IPv4, IPv6 and Unix.
    init?(native: UnsafePointer<sockaddr_storage>, length: socklen_t) {
        // SAFETY: the caller passes a whole sockaddr_storage, whose family says how to read it; the path is copied.
        let port = unsafe cnbio_address_port(native)
        switch unsafe Int32(native.pointee.ss_family) {
        case AF_UNIX:
            let isNamed = Int(length) > MemoryLayout<sa_family_t>.size
            value = .unix(path: isNamed ? unsafe String(cString: cnbio_unix_path(native)) : "")
        case AF_INET:
            value = unsafe .ipv4(cnbio_ipv4_bits(native), port: port)
        case AF_INET6:
            value = unsafe .ipv6(high: cnbio_ipv6_bits(native, 0), low: cnbio_ipv6_bits(native, 1), port: port)
        default:
            return nil
        }
    }

    /// Resolves a host name by the system's resolver.
    ///
    /// **Blocks the calling thread**; see `DNSResolver` of AsyncConnectors for the asynchronous form.
    ///
    /// - Throws: ``TransportError`` with the resolver's words when there is no such name or no answer.
    package static func resolveBlocking(host: String, port: UInt16) throws(TransportError) -> [SocketAddress] {
        // SAFETY: both arrays have the 16 places that the call is told of; the error's text is a constant of the system's library.
        var storages = [sockaddr_storage](repeating: sockaddr_storage(), count: 16)
        var lengths = [socklen_t](repeating: 0, count: 16)
        let count = unsafe cnbio_resolve(host, port, &storages, &lengths, 16)
        guard count >= 0 else {
            throw TransportError(
                .resolve,
                errno: 0,
                detail: "\(host): \(unsafe String(cString: cnbio_resolve_error(count)))"
            )
        }
        var result: [SocketAddress] = []
        for index in 0..<Int(count) {
            let address = unsafe withUnsafePointer(to: storages[index]) {
                unsafe SocketAddress(native: $0, length: lengths[index])
            }
            if let address, !result.contains(address) { result.append(address) }
        }
        return result
    }
}
