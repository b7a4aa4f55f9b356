internal import CHTTPScanner

extension RawSpan {
    /// The bytes as a string; what is not UTF-8 is replaced.
    package var utf8String: String {
        // SAFETY: the string copies the bytes before the closure ends.
        unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    // SAFETY: the load checks the offset, and any byte is a valid UInt8.
    @inline(__always)
    subscript(_ offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

    /// Whether the bytes are `text`, whatever the case of ASCII letters.
    package func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard byteCount == text.utf8CodeUnitCount else { return false }
        // SAFETY: both have `bytes.count` bytes, as was just checked, and literals last for ever.
        return unsafe withUnsafeBytes { bytes in
            guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return true }
            return unsafe chs_equal_ignoring_case(base, text.utf8Start, bytes.count) != 0
        }
    }

    /// Whether the bytes are those of `other`, whatever the case of ASCII letters.
    func equalsIgnoringCase(_ other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        // SAFETY: both have `bytes.count` bytes, as was just checked.
        return unsafe withUnsafeBytes { bytes in
            unsafe other.withUnsafeBytes { others in
                guard let left = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    let right = unsafe others.baseAddress?.assumingMemoryBound(to: UInt8.self)
                else { return true }
                return unsafe chs_equal_ignoring_case(left, right, bytes.count) != 0
            }
        }
    }

    /// Calls `body` with each element of a comma-separated list, white space around it dropped.
    ///
    /// Empty elements are passed too.
    func forEachListElement(_ body: (RawSpan) -> Void) {
        // SAFETY: start...index is within the bytes, and the span that `body` gets cannot outlive its call.
        unsafe withUnsafeBytes { bytes in
            var start = 0
            for index in 0...bytes.count where unsafe index == bytes.count || bytes[index] == 0x2C {
                unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes[start..<index]).trimmingOWS()))
                start = index + 1
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes without the spaces and tabs at both ends.
    func trimmingOWS() -> UnsafeRawBufferPointer {
        // SAFETY: `start` and `end` stay within 0...count; what is returned is part of what the caller holds.
        var start = 0
        var end = count
        while start < end, unsafe self[start] == 0x20 || self[start] == 0x09 { start += 1 }
        while end > start, unsafe self[end - 1] == 0x20 || self[end - 1] == 0x09 { end -= 1 }
        return unsafe UnsafeRawBufferPointer(rebasing: self[start..<end])
    }
}

/// Calls `body` with the decimal digits of `value`, which must not be negative.
func withDecimal<Result>(_ value: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    precondition(value >= 0)
    // SAFETY: the largest Int has 19 digits, and start..<20 have been written when `body` reads them.
    return unsafe withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { buffer in
        var rest = value
        var start = 20
        repeat {
            start -= 1
            unsafe buffer[start] = UInt8(0x30 + rest % 10)
            rest /= 10
        } while rest > 0
        return unsafe body(UnsafeRawBufferPointer(rebasing: buffer[start..<20]))
    }
}

extension String {
    /// The text with control characters written as `\u{1b}`: a terminal or a log line must not be steered by a peer.
    package var escapingControls: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if scalar.properties.generalCategory == .control {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }
}

/// A short run of bytes in memory that is reused: a request target, a reason phrase.
@safe final class ByteText: @unchecked Sendable {
    // SAFETY: shared only by values that do not change it (copy-on-write). `bytes` holds `count` of `capacity` bytes; changed only while
    // uniquely referenced, so no two accesses overlap.
    @exclusivity(unchecked) private var bytes: UnsafeMutablePointer<UInt8>
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity: Int

    /// `/`, the target of a request that has been given none; shared until it is replaced.
    static let slash = {
        let text = ByteText(capacity: 1)
        // SAFETY: the literal lives for ever.
        unsafe text.assign(UnsafeRawBufferPointer(start: StaticString("/").utf8Start, count: 1))
        return text
    }()
    /// No bytes; shared until something replaces it.
    static let empty = ByteText(capacity: 1)

    init(capacity: Int = 64) {
        unsafe self.capacity = capacity
        unsafe bytes = PlainMemory.allocate(capacity: capacity)
    }

    deinit {
        unsafe PlainMemory.free(bytes)
    }

    private var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(bytes) }

    var buffer: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: bytes, count: count) }

    func assign(_ source: UnsafeRawBufferPointer) {
        if unsafe source.count > capacity {
            unsafe PlainMemory.free(bytes)
            unsafe capacity = source.count * 2
            unsafe bytes = unsafe PlainMemory.allocate(capacity: capacity)
        }
        if let base = source.baseAddress { unsafe memory.copyMemory(from: base, byteCount: source.count) }
        unsafe count = source.count
    }
}
