/// Text that is put together byte by byte, in memory that is used again: the lines of a log.
///
/// What does not fit is left out and noted, so that a writer need not ask before each piece. Used by one thread at a time.
@safe package final class TextBuffer: @unchecked Sendable {
    // SAFETY: `base` is `capacity` bytes, of which the first `count` are initialised; every write is checked against the room that is
    // left. Whoever passes a buffer on lets go of it, by way of a lock.
    private let base: UnsafeMutableRawPointer
    package let capacity: Int
    @exclusivity(unchecked) private var length = 0
    @exclusivity(unchecked) private var isCut = false
    @exclusivity(unchecked) private var lines = 0

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe base = Memory.allocate(byteCount: capacity)
    }

    deinit {
        unsafe Memory.free(base)
    }

    package var count: Int { unsafe length }
    package var isEmpty: Bool { unsafe length == 0 }
    /// Whether something has been left out since the last ``rollBack(to:)``.
    package var hasOverflowed: Bool { unsafe isCut }
    /// For whoever counts lines.
    package var lineCount: Int {
        get { unsafe lines }
        set { unsafe lines = newValue }
    }

    /// Drops all text.
    package func removeAll() {
        rollBack(to: 0)
        lineCount = 0
    }

    /// Drops what follows the first `count` bytes.
    package func rollBack(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        unsafe length = count
        unsafe isCut = false
    }

    /// Calls `body` with the text.
    package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        unsafe body(RawSpan(_unsafeStart: base, byteCount: length))
    }

    /// A copy of the text.
    package var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: base, count: length)) }

    /// How many lines the first `offset` bytes hold, and where the last of them ends.
    package func lines(upTo offset: Int) -> (count: Int, end: Int) {
        precondition(offset >= 0 && offset <= count)
        var lineCount = 0
        var end = 0
        for index in 0..<offset where unsafe base.load(fromByteOffset: index, as: UInt8.self) == UInt8(ascii: "\n") {
            lineCount += 1
            end = index + 1
        }
        return (lineCount, end)
    }

    // MARK: - Appending

    /// Up to eight bytes of text.
    package struct Word: Sendable {
        /// The text, its first byte lowest; zeros above it.
        let bits: UInt64
        let byteCount: Int

        static let maximumCount = 8

        @inline(__always)
        init(bits: UInt64, byteCount: Int) {
            self.bits = bits
            self.byteCount = byteCount
        }

        /// The decimal digits of a byte.
        @inline(__always)
        init(decimal byte: UInt8) {
            let value = UInt64(byte)
            let (tens, ones) = (value / 10 % 10, value % 10)
            if byte < 10 {
                self.init(bits: 0x30 | ones, byteCount: 1)
            } else if byte < 100 {
                self.init(bits: 0x3030 | tens | ones << 8, byteCount: 2)
            } else {
                self.init(bits: 0x30_3030 | value / 100 | tens << 8 | ones << 16, byteCount: 3)
            }
        }

        /// Cuts a text into words.
        package static func words(of text: String) -> [Word] {
            var words: [Word] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let piece = rest.prefix(maximumCount)
                words.append(Word(bits: piece.reversed().reduce(0) { $0 << 8 | UInt64($1) }, byteCount: piece.count))
                rest = rest.dropFirst(piece.count)
            }
            return words
        }
    }

    /// Appends a word of text.
    @inline(__always)
    package func append(_ word: Word) {
        if hasRoomForWord {
            // What is stored above the word's own bytes is overwritten by what follows.
            unsafe (base + length).storeBytes(of: word.bits.littleEndian, as: UInt64.self)
            produced(word.byteCount)
        } else {
            for index in 0..<word.byteCount { append(UInt8(truncatingIfNeeded: word.bits >> (8 &* UInt64(index)))) }
        }
    }

    /// Whether eight bytes may be stored, of which fewer may count.
    @inline(__always)
    private var hasRoomForWord: Bool { unsafe capacity &- length >= Word.maximumCount }

    /// Where the next `byteCount` bytes go; nil when there is no room for them.
    @inline(__always)
    func room(for byteCount: Int) -> UnsafeMutableRawPointer? {
        if unsafe byteCount <= capacity &- length { return unsafe base + length }
        unsafe isCut = true
        return nil
    }

    /// Takes note that so many bytes have been written where ``room(for:)`` said.
    @inline(__always)
    func produced(_ byteCount: Int) {
        unsafe length &+= byteCount
    }

    @inline(__always)
    package func append(_ byte: UInt8) {
        guard let place = unsafe room(for: 1) else { return }
        unsafe place.storeBytes(of: byte, as: UInt8.self)
        produced(1)
    }

    @inline(__always)
    package func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        guard let place = unsafe room(for: length) else { return }
        unsafe place.copyMemory(from: text.utf8Start, byteCount: length)
        produced(length)
    }

    package func append(_ bytes: RawSpan) {
        let length = bytes.byteCount
        guard let place = unsafe room(for: length) else { return }
        unsafe bytes.withUnsafeBytes { source in
            if let from = source.baseAddress { unsafe place.copyMemory(from: from, byteCount: length) }
        }
        produced(length)
    }

    package func append(_ text: String) {
        // SAFETY: the string is not changed while its bytes are read, and they are not kept.
        append(unsafe text.utf8Span.span.bytes)
    }

    /// Appends a number in decimal.
    package func append(decimal value: UInt64) {
        // SAFETY: the digits are written behind each other into the places that were asked for, one per digit.
        var digitCount = 1
        var bound: UInt64 = 10
        while digitCount < 20, value >= bound {
            digitCount &+= 1
            let (next, overflow) = bound.multipliedReportingOverflow(by: 10)
            if overflow {
                if value >= 10_000_000_000_000_000_000 { digitCount = 20 }
                break
            }
            bound = next
        }
        append(decimal: value, digitCount: digitCount)
    }

    /// Appends the last so many decimal digits of a number, zeros included.
    package func append(decimal value: UInt64, digitCount: Int) {
        guard let place = unsafe room(for: digitCount) else { return }
        var rest = value
        var index = digitCount
        while index > 0 {
            index &-= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ digit), toByteOffset: index, as: UInt8.self)
            rest = quotient
        }
        produced(digitCount)
    }
}
