extension HTTP1 {
    /// Finds the body of a message in what a connection delivers, without copying it.
    ///
    /// It never takes a byte behind the body's end, so whatever follows is left for the next message.
    public struct BodyDecoder: ~Copyable {
        /// How the body is framed.
        public private(set) var framing: BodyFraming
        /// Whether all of the body has been found.
        public private(set) var isComplete: Bool
        private var remaining: UInt64 = 0
        private var chunked: ChunkedDecoder

        /// Makes a decoder that stands before a body.
        public init(framing: BodyFraming, limits: Limits) {
            self.framing = framing
            chunked = ChunkedDecoder(limits: limits)
            if case .length(let length) = framing { remaining = length }
            isComplete = framing == .none || framing == .length(0)
        }

        /// Stands before the next body, as a new decoder would, without the work for chunks where there are none.
        public mutating func begin(_ next: BodyFraming, limits: Limits) {
            if framing == .chunked || next == .chunked { chunked = ChunkedDecoder(limits: limits) }
            framing = next
            remaining = if case .length(let length) = next { length } else { 0 }
            isComplete = next == .none || next == .length(0)
        }

        /// The trailers of a chunked body, once it is complete; nil when there were none.
        public var trailers: HeaderMap? { chunked.trailers }

        /// Looks at `input`, which begins where the last step told to drop up to.
        ///
        /// The last bytes of a body with a length complete it: ``isComplete`` is true when they are returned.
        ///
        /// - Throws: ``HTTP1/ParseError`` when the chunks are malformed or exceed a limit, and again at each later call.
        public mutating func next(_ input: RawSpan) throws(ParseError) -> BodyStep {
            if isComplete { return .end(consumed: 0) }
            switch framing {
            case .none:
                return .end(consumed: 0)
            case .length:
                guard !input.isEmpty else { return .needMore(consumed: 0) }
                let count = Int(min(UInt64(input.byteCount), remaining))
                remaining -= UInt64(count)
                isComplete = remaining == 0
                return .data(skip: 0, count: count)
            case .chunked:
                let step = try chunked.next(input)
                if case .end = step { isComplete = true }
                return step
            case .untilClose, .tunnel:
                return input.isEmpty ? .needMore(consumed: 0) : .data(skip: 0, count: input.byteCount)
            }
        }

        /// Takes note that the connection has ended.
        ///
        /// - Throws: ``HTTP1/ParseError/prematureEnd`` when the framing says that the body has not (RFC 9112 8).
        public mutating func finishAtEOF() throws(ParseError) {
            switch framing {
            case .none, .untilClose, .tunnel: isComplete = true
            case .length, .chunked: if !isComplete { throw .prematureEnd }
            }
        }
    }
}
