internal import CHTTPScanner
public import HTTPTypes

/// The head of a request: method, target, version and fields.
///
/// A value with copy-on-write storage that keeps the bytes as they came.
public struct RequestHeader: Sendable {
    /// The fields, in order and letter case as they came.
    public var headers = HeaderMap()
    /// The version it was sent in.
    ///
    /// An upstream is always asked in its own session's version.
    public var version: HTTPVersion
    /// How the client says it came, which HTTP/2 tells and HTTP/1 does not; nil then.
    public internal(set) var scheme: Scheme?
    /// Whether this is an extended CONNECT (RFC 8441), shown as the HTTP/1.1 upgrade it stands for.
    public internal(set) var isExtendedConnect = false
    /// Which method it is.
    public private(set) var methodKind: MethodKind
    /// The method's name when it is not one of the known ones.
    private var otherMethod = ""
    // SAFETY: its buffer is only read while self is not changed and written only when unique. Of what `serialize` writes,
    // `wireByteCount` is an upper bound; the offsets that `adoptStartLine` gets are the scanner's, within the bytes it scanned.
    private var targetText = ByteText.slash

    /// Makes `GET /`.
    public init() {
        version = .http11
        methodKind = .get
    }

    /// Makes a request head without fields.
    ///
    /// - Throws: ``HeaderError/invalidTarget`` when `target` is empty or holds anything but visible ASCII.
    public init(method: HTTPRequest.Method, target: String, version: HTTPVersion = .http11) throws(HeaderError) {
        self.init()
        self.version = version
        self.method = method
        try setTarget(target)
    }

    /// The schemes that HTTP is spoken in (RFC 9110 4.2).
    public enum Scheme: String, Sendable {
        /// Without TLS.
        case http
        /// With TLS.
        case https
    }

    // MARK: - Method

    /// The methods that HTTP defines, as something cheap to switch on.
    public enum MethodKind: Sendable {
        /// GET.
        case get
        /// HEAD.
        case head
        /// POST.
        case post
        /// PUT.
        case put
        /// DELETE.
        case delete
        /// CONNECT.
        case connect
        /// OPTIONS.
        case options
        /// TRACE.
        case trace
        /// PATCH.
        case patch
        /// Any other.
        case other

        /// Whether the method only asks (RFC 9110 9.2.1).
        public var isSafe: Bool {
            switch self {
            case .get, .head, .options, .trace: true
            default: false
            }
        }

        /// Whether doing it twice is as good as once (RFC 9110 9.2.2), so that it may be tried again.
        public var isIdempotent: Bool { isSafe || self == .put || self == .delete }

        var text: StaticString {
            switch self {
            case .get: "GET"
            case .head: "HEAD"
            case .post: "POST"
            case .put: "PUT"
            case .delete: "DELETE"
            case .connect: "CONNECT"
            case .options: "OPTIONS"
            case .trace: "TRACE"
            case .patch: "PATCH"
            case .other: ""
            }
        }
    }

    /// Whether the request only asks (RFC 9110 9.2.1).
    public var isSafe: Bool { methodKind.isSafe }
    /// Whether doing it twice is as good as once (RFC 9110 9.2.2), so that it may be tried again.
    public var isIdempotent: Bool { methodKind.isIdempotent }

    /// The method.
    public var method: HTTPRequest.Method {
        get {
            switch methodKind {
            case .get: .get
            case .head: .head
            case .post: .post
            case .put: .put
            case .delete: .delete
            case .connect: .connect
            case .options: .options
            case .trace: .trace
            case .patch: .patch
            case .other: HTTPRequest.Method(otherMethod) ?? .get
            }
        }
        set {
            var name = newValue.rawValue
            methodKind = name.withUTF8 { unsafe Self.kind(of: UnsafeRawBufferPointer($0)) }
            otherMethod = methodKind == .other ? newValue.rawValue : ""
        }
    }

    // MARK: - Target

    /// The request target as it stands on the request line.
    public var target: String { withTarget { $0.utf8String } }

    /// The target up to the query.
    public var path: String {
        let target = target
        return target.firstIndex(of: "?").map { String(target[..<$0]) } ?? target
    }

    /// What follows the first `?` of the target; nil when there is none.
    public var query: String? {
        let target = target
        return target.firstIndex(of: "?").map { String(target[target.index(after: $0)...]) }
    }

    /// Calls `body` with the target's bytes.
    public func withTarget<Result>(_ body: (RawSpan) -> Result) -> Result {
        unsafe body(RawSpan(_unsafeBytes: targetText.buffer))
    }

    /// Replaces the target.
    ///
    /// - Throws: ``HeaderError/invalidTarget`` when it is empty or holds anything but visible ASCII.
    public mutating func setTarget(_ target: String) throws(HeaderError) {
        guard !target.isEmpty, target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .invalidTarget }
        var target = target
        let text = uniqueTarget()
        target.withUTF8 { unsafe text.assign(UnsafeRawBufferPointer($0)) }
    }

    /// The form of a request target (RFC 9112 3.2).
    public enum TargetForm: Sendable {
        /// `/path?query`
        case origin
        /// `http://host/path`
        case absolute
        /// `host:port`, with CONNECT
        case authority
        /// `*`, with OPTIONS
        case asterisk
    }

    /// The form of the target.
    public var targetForm: TargetForm {
        withTarget { target in
            if methodKind == .connect { return .authority }
            if target.byteCount > 0, target[0] == 0x2F { return .origin }
            return target.byteCount == 1 && target[0] == 0x2A ? .asterisk : .absolute
        }
    }

    /// Turns an absolute target into the form in which an origin server is asked (RFC 9112 3.2.1 and 3.2.4): path and query, or `*` for
    /// OPTIONS of no path at all; a missing Host is made of its authority.
    package mutating func makeTargetRelative() {
        guard targetForm == .absolute else { return }
        // Taken apart once: few clients send such a target.
        let text = target
        guard let scheme = text.firstRange(of: "://") else { return }
        let rest = text[scheme.upperBound...]
        let start = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        // Parts of a target are visible ASCII, as the target was.
        if !headers.contains(.host) { try? headers.set(.host, String(rest[..<start])) }
        let path = rest[start...]
        let root = methodKind == .options && path.isEmpty ? "*" : "/"
        try? setTarget(path.first == "/" ? String(path) : root + path)
    }

    /// Whom the request is for: the authority of an absolute target, else `Host`; nil when there is neither.
    public var authority: String? {
        switch targetForm {
        case .origin, .asterisk: headers[.host]
        case .authority: target
        case .absolute: withTarget { $0.authorityOfAbsoluteForm } ?? headers[.host]
        }
    }

    private mutating func uniqueTarget() -> ByteText {
        if !isKnownUniquelyReferenced(&targetText) { targetText = ByteText() }
        return targetText
    }

    // MARK: - Copying and writing

    /// Overwrites self with another head, reusing memory: nothing is allocated once self has been used a few times.
    public mutating func copy(from other: borrowing RequestHeader) {
        headers.copy(from: other.headers)
        version = other.version
        scheme = other.scheme
        isExtendedConnect = other.isExtendedConnect
        methodKind = other.methodKind
        // Counting references to a string that is nearly always empty would cost more than the rest of the line.
        if methodKind == .other { otherMethod = other.otherMethod }
        unsafe uniqueTarget().assign(other.targetText.buffer)
    }

    /// An upper bound of the bytes that ``serialize(into:)`` writes.
    public var wireByteCount: Int {
        unsafe headers.serializedBound + targetText.count + otherMethod.utf8.count + 24
    }

    /// Writes the head as an HTTP/1.1 one: request line, fields, empty line.
    ///
    /// There must be ``wireByteCount`` bytes of room.
    public func serialize(into output: inout OutputRawSpan) {
        precondition(output.freeCapacity >= wireByteCount)
        unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
            guard let base = buffer.baseAddress else { return }
            var at = unsafe base + initializedCount
            if methodKind == .other {
                var method = otherMethod
                method.withUTF8 { unsafe at.put(UnsafeRawBufferPointer($0)) }
            } else {
                unsafe at.put(methodKind.text)
            }
            unsafe at.put(" ")
            unsafe at.put(targetText.buffer)
            unsafe at.put(" HTTP/1.1\r\n")
            unsafe at += headers.serialize(to: at)
            initializedCount = unsafe at - base
        }
    }

    /// Takes over the parts of a head that came in HTTP/2; they have been checked.
    mutating func adopt(
        _ kind: MethodKind,
        _ otherMethod: String,
        target: ByteText,
        scheme: Scheme?,
        headers: HeaderMap
    ) {
        version = .http2
        self.scheme = scheme
        self.headers = headers
        targetText = target
        methodKind = kind
        self.otherMethod = otherMethod
    }

    /// Gives up the target's memory; nil when it is shared.
    mutating func releaseTarget() -> ByteText? {
        guard isKnownUniquelyReferenced(&targetText) else { return nil }
        defer { targetText = .slash }
        return targetText
    }

    /// Turns an extended CONNECT into the upgrade that it stands for.
    mutating func showAsUpgrade() {
        isExtendedConnect = true
        methodKind = .get
        headers.append(.connection, staticBytes: "Upgrade")
        headers.append(.upgrade, staticBytes: "websocket")
    }

    /// The target's bytes, which stay where they are as long as the head is neither changed nor let go.
    var rawTarget: UnsafeRawBufferPointer { unsafe targetText.buffer }

    /// Calls `body` with the method's bytes.
    func withMethod<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if methodKind == .other {
            var method = otherMethod
            return method.withUTF8 { unsafe body(UnsafeRawBufferPointer($0)) }
        }
        let text = methodKind.text
        return unsafe body(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Calls `body` with the method's bytes.
    package func withMethodBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        unsafe withMethod { unsafe body(RawSpan(_unsafeBytes: $0)) }
    }

    /// Takes over a head that has been scanned.
    mutating func adoptStartLine(_ bytes: UnsafePointer<UInt8>, state: chs_state) {
        version = state.minor_version == 0 ? .http10 : .http11
        scheme = nil
        isExtendedConnect = false
        let method = unsafe UnsafeRawBufferPointer(start: bytes + Int(state.skipped), count: Int(state.method_length))
        methodKind = unsafe Self.kind(of: method)
        if methodKind == .other {
            otherMethod = unsafe String(decoding: method, as: UTF8.self)
        } else if !otherMethod.isEmpty {
            otherMethod = ""
        }
        unsafe uniqueTarget().assign(
            UnsafeRawBufferPointer(start: bytes + Int(state.target_start), count: Int(state.target_length))
        )
    }

    static func kind(of method: UnsafeRawBufferPointer) -> MethodKind {
        // Methods are case-sensitive (RFC 9110 9.1).
        func isEqual(_ text: StaticString) -> Bool {
            guard method.count == text.utf8CodeUnitCount else { return false }
            for index in 0..<method.count where unsafe method[index] != text.utf8Start[index] { return false }
            return true
        }
        switch method.count {
        case 3: return isEqual("GET") ? .get : isEqual("PUT") ? .put : .other
        case 4: return isEqual("POST") ? .post : isEqual("HEAD") ? .head : .other
        case 5: return isEqual("PATCH") ? .patch : isEqual("TRACE") ? .trace : .other
        case 6: return isEqual("DELETE") ? .delete : .other
        case 7: return isEqual("OPTIONS") ? .options : isEqual("CONNECT") ? .connect : .other
        default: return .other
        }
    }
}

extension RequestHeader: CustomStringConvertible {
    /// `GET /path, Host: example.com`: one line, control characters escaped.
    public var description: String {
        "\(method.rawValue) \(target)" + (headers[.host].map { ", Host: \($0.escapingControls)" } ?? "")
    }
}

extension RawSpan {
    /// What stands between `://` and the path (RFC 3986 3.2); nil when there is no `://`.
    fileprivate var authorityOfAbsoluteForm: String? {
        var start = 0
        while start + 3 <= byteCount, self[start] != 0x3A || self[start + 1] != 0x2F || self[start + 2] != 0x2F {
            start += 1
        }
        guard start + 3 <= byteCount else { return nil }
        start += 3
        var end = start
        while end < byteCount, self[end] != 0x2F, self[end] != 0x3F, self[end] != 0x23 { end += 1 }
        return extracting(start..<end).utf8String
    }
}

extension UnsafeMutableRawPointer {
    /// Copies bytes to where self points and moves behind them.
    mutating func put(_ source: UnsafeRawBufferPointer) {
        // SAFETY: the caller has made room for `source`, which lies elsewhere.
        guard let base = source.baseAddress else { return }
        unsafe copyMemory(from: base, byteCount: source.count)
        unsafe self += source.count
    }

    /// Copies a literal to where self points and moves behind it.
    @inline(__always)
    mutating func put(_ text: StaticString) {
        // SAFETY: the caller has made room for `text`, which lasts for ever.
        unsafe copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        unsafe self += text.utf8CodeUnitCount
    }
}
