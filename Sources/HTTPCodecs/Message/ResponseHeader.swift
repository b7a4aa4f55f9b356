internal import CHTTPScanner
public import HTTPTypes

/// The head of a response: status, reason, version and fields.
///
/// A value with copy-on-write storage that keeps the bytes as they came.
public struct ResponseHeader: Sendable {
    /// The fields, in order and letter case as they came.
    public var headers = HeaderMap()
    /// The version it was sent in.
    ///
    /// A client is always answered in its own session's version.
    public var version = HTTPVersion.http11
    /// The status as a number of at most three digits.
    public private(set) var statusCode: Int
    // SAFETY: its buffer is only read while self is not changed and written only when unique. Of what `serialize` writes,
    // `wireByteCount` is an upper bound; the offsets that `adoptStartLine` gets are the scanner's, within the bytes it scanned.
    private var reasonText = ByteText.empty

    /// Makes a head without fields.
    public init(status: HTTPResponse.Status) {
        statusCode = status.code
        setReason(Self.reason(of: status))
    }

    private static func reason(of status: HTTPResponse.Status) -> String {
        status.reasonPhrase.isEmpty ? canonicalReason(of: status.code) : status.reasonPhrase
    }

    /// Makes a head without fields; a number outside 100…999 becomes 500.
    public init(statusCode: Int) {
        self.init(status: HTTPResponse.Status(code: (100...999).contains(statusCode) ? statusCode : 500))
    }

    /// The status.
    ///
    /// Setting it sets the reason phrase, too.
    public var status: HTTPResponse.Status {
        get { HTTPResponse.Status(code: statusCode, reasonPhrase: reason) }
        set {
            statusCode = newValue.code
            setReason(Self.reason(of: newValue))
        }
    }

    /// The reason phrase as it came; may be empty.
    public var reason: String { unsafe RawSpan(_unsafeBytes: reasonText.buffer).utf8String }

    /// Whether the status is 1xx.
    public var isInformational: Bool { statusCode < 200 }

    /// Calls `body` with the bytes of the reason phrase as it came.
    public func withReason<Result>(_ body: (RawSpan) -> Result) -> Result {
        unsafe body(RawSpan(_unsafeBytes: reasonText.buffer))
    }

    private mutating func setReason(_ reason: String) {
        var reason = reason
        let text = uniqueReason()
        reason.withUTF8 { unsafe text.assign(UnsafeRawBufferPointer($0)) }
    }

    private mutating func uniqueReason() -> ByteText {
        if !isKnownUniquelyReferenced(&reasonText) { reasonText = ByteText(capacity: 32) }
        return reasonText
    }

    /// Overwrites self with another head, reusing memory: nothing is allocated once self has been used a few times.
    public mutating func copy(from other: borrowing ResponseHeader) {
        headers.copy(from: other.headers)
        version = other.version
        statusCode = other.statusCode
        unsafe uniqueReason().assign(other.reasonText.buffer)
    }

    /// An upper bound of the bytes that ``serialize(into:)`` writes.
    public var wireByteCount: Int { unsafe headers.serializedBound + reasonText.count + 24 }

    /// Writes the head as an HTTP/1.1 one: status line, fields, empty line.
    ///
    /// There must be ``wireByteCount`` bytes of room.
    public func serialize(into output: inout OutputRawSpan) {
        precondition(output.freeCapacity >= wireByteCount)
        unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
            guard let base = buffer.baseAddress else { return }
            var at = unsafe base + initializedCount
            unsafe at.put("HTTP/1.1 ")
            // Three digits in any case: swift-http-types knows of statuses below 100.
            unsafe at.storeBytes(of: UInt8(0x30 + statusCode / 100 % 10), as: UInt8.self)
            unsafe at.storeBytes(of: UInt8(0x30 + statusCode / 10 % 10), toByteOffset: 1, as: UInt8.self)
            unsafe at.storeBytes(of: UInt8(0x30 + statusCode % 10), toByteOffset: 2, as: UInt8.self)
            unsafe at.storeBytes(of: 0x20, toByteOffset: 3, as: UInt8.self)
            unsafe at += 4
            unsafe at.put(reasonText.buffer)
            unsafe at.put("\r\n")
            unsafe at += headers.serialize(to: at)
            initializedCount = unsafe at - base
        }
    }

    /// Makes a head that came in HTTP/2; `statusCode` has three digits.
    init(http2 statusCode: Int, headers: HeaderMap) {
        self.statusCode = statusCode
        self.headers = headers
        version = .http2
        reasonText = Self.canonicalText(of: statusCode)
    }

    /// Takes over a head that has been scanned.
    mutating func adoptStartLine(_ bytes: UnsafePointer<UInt8>, state: chs_state) {
        version = state.minor_version == 0 ? .http10 : .http11
        statusCode = Int(state.status)
        unsafe uniqueReason().assign(
            UnsafeRawBufferPointer(start: bytes + Int(state.reason_start), count: Int(state.reason_length))
        )
    }
}

extension ResponseHeader: CustomStringConvertible {
    /// `200 OK`: one line, control characters escaped.
    public var description: String {
        reason.isEmpty ? "\(statusCode)" : "\(statusCode) \(reason.escapingControls)"
    }
}
