internal import Glibc

/// An immutable run of bytes: a slice of a reference-counted buffer, free to copy and to cut.
///
/// Body filters get and return these. Keeping one keeps its whole buffer (usually 64 KiB) alive.
public struct Bytes: @unchecked Sendable {
    // SAFETY: the bytes at start..<end of the owner are never written again while a Bytes refers to them: a buffer is refilled
    // only when it is uniquely referenced.
    private let owner: IOBuffer
    private let start: Int
    private let end: Int

    private init(owner: IOBuffer, start: Int, end: Int) {
        self.owner = owner
        self.start = start
        self.end = end
    }

    /// Makes an empty run.
    public init() {
        unsafe self.init(owner: Self.nothing, start: 0, end: 0)
    }

    /// Copies `bytes`.
    public init(_ bytes: some Collection<UInt8>) {
        let buffer = IOBuffer(capacity: Swift.max(bytes.count, 1))
        let copied: Void? = bytes.withContiguousStorageIfAvailable { source in
            // SAFETY: the span does not outlive the call.
            unsafe buffer.append(copying: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(source)))
        }
        if copied == nil {
            buffer.append { output in
                for byte in bytes { output.append(byte) }
            }
        }
        unsafe self.init(owner: buffer, start: 0, end: buffer.end)
    }

    /// Copies the UTF-8 of `text`.
    public init(_ text: String) {
        self.init(text.utf8)
    }

    /// Copies `span`.
    public init(copying span: RawSpan) {
        let buffer = IOBuffer(capacity: Swift.max(span.byteCount, 1))
        buffer.append(copying: span)
        unsafe self.init(owner: buffer, start: 0, end: buffer.end)
    }

    /// The part of `buffer` that is `range` bytes after its start, without a copy.
    package init(of buffer: IOBuffer, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count)
        unsafe self.init(owner: buffer, start: buffer.start + range.lowerBound, end: buffer.start + range.upperBound)
    }

    // SAFETY: it has no bytes, so there is nothing to race on.
    private nonisolated(unsafe) static let nothing = IOBuffer(capacity: 1)

    /// How many bytes there are.
    public var count: Int { end - start }
    /// Whether there are none.
    public var isEmpty: Bool { start == end }

    /// Calls `body` with the bytes.
    public func withSpan<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result
    {
        let span = unsafe RawSpan(_unsafeStart: owner.base + start, byteCount: end - start)
        return try body(span)
    }

    /// The first `count` bytes, or all if there are fewer.
    public func prefix(_ count: Int) -> Bytes {
        Bytes(owner: owner, start: start, end: start + Swift.min(self.count, Swift.max(count, 0)))
    }

    /// All but the first `count` bytes.
    public func dropFirst(_ count: Int) -> Bytes {
        Bytes(owner: owner, start: start + Swift.min(self.count, Swift.max(count, 0)), end: end)
    }

    /// The same bytes, in memory of their own if they are only a small part of the buffer that they keep alive.
    package var compacted: Bytes {
        guard count < owner.capacity / 4 else { return self }
        return withSpan { Bytes(copying: $0) }
    }

    var address: UnsafeMutableRawPointer { unsafe owner.base + start }
}

extension Bytes: Equatable {
    /// Whether both hold the same bytes.
    public static func == (left: Bytes, right: Bytes) -> Bool {
        // SAFETY: both addresses have `count` bytes behind them while their owners live.
        unsafe left.count == right.count && memcmp(left.address, right.address, left.count) == 0
    }
}

extension Bytes: Sequence {
    /// Walks the bytes in order.
    public struct Iterator: IteratorProtocol {
        private let bytes: Bytes
        private var offset = 0

        fileprivate init(_ bytes: Bytes) {
            self.bytes = bytes
        }

        /// Returns the next byte; nil at the end.
        public mutating func next() -> UInt8? {
            guard offset < bytes.count else { return nil }
            defer { offset += 1 }
            return bytes.withSpan { unsafe $0.unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
        }
    }

    /// Returns an iterator at the first byte.
    public func makeIterator() -> Iterator { Iterator(self) }

    /// How many bytes an array of them needs.
    public var underestimatedCount: Int { count }

    /// Calls `body` with the bytes in one piece, which lets arrays copy them at once.
    public func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result? {
        // SAFETY: the owner outlives the call, and its bytes are initialised and not written meanwhile.
        let bytes = unsafe UnsafeRawBufferPointer(start: address, count: count)
        return unsafe try bytes.withMemoryRebound(to: UInt8.self, body)
    }
}

extension Bytes: CustomStringConvertible {
    /// The bytes as UTF-8, with what is not valid replaced.
    public var description: String { String(decoding: Array(self), as: UTF8.self) }
}
