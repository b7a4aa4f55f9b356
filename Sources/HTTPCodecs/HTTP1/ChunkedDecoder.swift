extension HTTP1 {
    /// Decodes the chunked transfer coding (RFC 9112 7.1): strictly, incrementally, without copying data.
    ///
    /// Where lenient readers disagree, a message can be smuggled past one of them. So sizes are bare hexadecimal digits, lines end with
    /// CR LF and nothing less, white space stands only before an extension, and nothing is guessed.
    /// Extensions are checked and dropped. Trailers are parsed like fields; see ``trailers``.
    public struct ChunkedDecoder: ~Copyable {
        private enum State {
            case size, whitespace, extensions, sizeLineFeed
            case data, dataCarriageReturn, dataLineFeed
            case trailerStart, trailerLine, finalLineFeed
            case done
        }

        // What a chunk may spend on its size line for free; see `endSizeLine`.
        private static let freeLineBytes = 16

        private let maximumLineBytes: Int
        private var state = State.size
        private var failure: ParseError?
        // Of the chunk at hand: its size while its line is read, then what is left of its data.
        private var remaining: UInt64 = 0
        private var digitCount = 0
        private var lineByteCount = 0
        private var excessLineBytes = 0
        private var trailerSection: TrailerSection

        /// The trailers, once the body is complete; nil when there were none.
        ///
        /// Without those that framing, routing, authentication or the reading of the content depend on (RFC 9110 6.5.1).
        public private(set) var trailers: HeaderMap?

        /// Makes a decoder that stands before the first chunk.
        public init(limits: Limits) {
            maximumLineBytes = limits.maximumChunkLineBytes
            trailerSection = TrailerSection(limits: limits)
        }

        /// Looks at `input`, which begins where the last step told to drop up to.
        ///
        /// - Throws: ``HTTP1/ParseError`` at the first byte that cannot belong to a valid body, and again at each later call.
        public mutating func next(_ input: RawSpan) throws(ParseError) -> BodyStep {
            if let failure { throw failure }
            do throws(ParseError) {
                return try step(input)
            } catch {
                failure = error
                throw error
            }
        }

        private mutating func step(_ input: RawSpan) throws(ParseError) -> BodyStep {
            if state == .done { return .end(consumed: 0) }
            var offset = 0
            while offset < input.byteCount {
                let byte = input[offset]
                switch state {
                case .size, .whitespace, .extensions:
                    try readSizeLine(byte)
                case .sizeLineFeed:
                    guard byte == .lineFeed else { throw .bareCarriageReturn }
                    try endSizeLine()
                case .data:
                    return takeData(input, from: offset)
                case .dataCarriageReturn:
                    guard byte == .carriageReturn else { throw .invalidChunkTerminator }
                    state = .dataLineFeed
                case .dataLineFeed:
                    guard byte == .lineFeed else { throw .invalidChunkTerminator }
                    state = .size
                case .trailerStart where byte == .carriageReturn:
                    state = .finalLineFeed
                case .trailerStart, .trailerLine:
                    let line = try trailerSection.append(input, from: offset)
                    state = line.isComplete ? .trailerStart : .trailerLine
                    offset = line.end
                    continue
                case .finalLineFeed:
                    guard byte == .lineFeed else { throw .invalidTrailer }
                    trailers = try trailerSection.parsed()
                    state = .done
                    return .end(consumed: offset + 1)
                case .done:
                    return .end(consumed: offset)
                }
                offset += 1
            }
            return .needMore(consumed: offset)
        }

        private mutating func takeData(_ input: RawSpan, from offset: Int) -> BodyStep {
            let count = Int(min(UInt64(input.byteCount - offset), remaining))
            remaining -= UInt64(count)
            if remaining == 0 { state = .dataCarriageReturn }
            return .data(skip: offset, count: count)
        }

        /// Reads a byte of `chunk-size [ chunk-ext ] CR`.
        private mutating func readSizeLine(_ byte: UInt8) throws(ParseError) {
            if byte == .lineFeed { throw .bareLineFeed }
            if byte == .carriageReturn {
                // White space that no extension follows is not in the grammar.
                guard digitCount > 0, state != .whitespace else { throw .invalidChunkSize }
                state = .sizeLineFeed
                return
            }
            lineByteCount += 1
            if lineByteCount > maximumLineBytes { throw .chunkLineTooLong }
            if state == .size, let digit = byte.hexDigitValue {
                // 16 digits at most, leading zeros included, and a size below 2^63.
                guard digitCount < 16, remaining >> 59 == 0 else { throw .invalidChunkSize }
                digitCount += 1
                remaining = remaining << 4 | UInt64(digit)
                return
            }
            guard state != .extensions else {
                // Names and values are of no interest; a control byte could be taken for the end of the line.
                guard byte >= 0x20 && byte != 0x7F || byte == .tab else { throw .forbiddenByte }
                return
            }
            guard digitCount > 0 else { throw .invalidChunkSize }
            switch byte {
            case .semicolon: state = .extensions
            case .space, .tab: state = .whitespace
            default: throw .invalidChunkSize
            }
        }

        /// Takes note that a size line is complete.
        ///
        /// Long extensions on tiny chunks would keep us reading much and delivering little. So lines may be long now and then, but
        /// not in sum: what exceeds a fair share for the chunk's size counts until larger chunks have paid for it.
        private mutating func endSizeLine() throws(ParseError) {
            let allowance = Self.freeLineBytes + Int(min(remaining, 1 << 20)) * 2
            excessLineBytes = max(excessLineBytes + lineByteCount - allowance, 0)
            if excessLineBytes > maximumLineBytes * 2 { throw .chunkLineTooLong }
            state = remaining == 0 ? .trailerStart : .data
            digitCount = 0
            lineByteCount = 0
        }
    }
}

extension UInt8 {
    fileprivate static let tab: UInt8 = 0x09
    fileprivate static let lineFeed: UInt8 = 0x0A
    fileprivate static let carriageReturn: UInt8 = 0x0D
    fileprivate static let space: UInt8 = 0x20
    fileprivate static let semicolon: UInt8 = 0x3B

    fileprivate var hexDigitValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }
}
