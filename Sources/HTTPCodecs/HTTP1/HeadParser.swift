internal import CHTTPScanner

extension HTTP1 {
    /// Parses heads, and carries on where it stopped when more bytes have come.
    ///
    /// A head is written to only when it has been parsed to its end; until then, and if it is malformed, the head passed in stays as it
    /// was. Parsing into one head again and again allocates nothing once its memory is large enough.
    @safe public struct HeadParser: ~Copyable, @unchecked Sendable {
        // SAFETY: the table belongs to this value alone, and entries are read only as far as the scanner has filled them.
        private let limits: Limits
        private let scanner: chs_scanner
        private var state = chs_state()
        /// How many bytes the calls before have seen of the head.
        private var seenCount = 0
        private var table: ScannerTable

        /// Makes a parser that stands before a head.
        public init(limits: Limits) {
            self.init(limits: limits, highestLevel: CHS_AVX2.rawValue)
        }

        /// Makes a parser that uses no wider instructions than those of `highestLevel`: 0 none, 1 SSE4.2, 2 AVX2.
        package init(limits: Limits, highestLevel: UInt32) {
            self.limits = limits
            scanner = chs_scanner_up_to(chs_level(highestLevel))
            unsafe table = ScannerTable(entries: PlainMemory.allocate(capacity: 16), capacity: 16)
        }

        deinit {
            unsafe PlainMemory.free(table.entries)
        }

        /// Gives back memory that the next head will ask for again; for a connection that has been idle for a while.
        public mutating func trim() {
            unsafe PlainMemory.free(table.entries)
            unsafe table = ScannerTable(entries: PlainMemory.allocate(capacity: 1), capacity: 1)
        }

        /// Forgets what was scanned of an unfinished head.
        public mutating func reset() {
            state = chs_state()
            seenCount = 0
        }

        /// Parses a request head.
        ///
        /// - Parameters:
        ///   - bytes: Begin with the head's first byte, at each call for the same head; fewer than at the call before begin a new head.
        ///   - request: Where the head is put when it is complete.
        /// - Returns: How many bytes the head has, an empty line before it included; nil when more are needed.
        /// - Throws: What is wrong with the head. The parser then stands before a new head.
        public mutating func parseRequest(
            _ bytes: RawSpan,
            into request: inout RequestHeader
        ) throws(ParseError) -> Int? {
            guard let count = try scan(bytes, isRequest: true) else { return nil }
            unsafe bytes.withUnsafeBytes { buffer in
                guard let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                unsafe request.headers.storageToOverwrite().adopt(base, count: count, state: state, table: &table)
                unsafe request.adoptStartLine(base, state: state)
            }
            reset()
            return count
        }

        /// Parses a response head; otherwise as ``parseRequest(_:into:)``.
        ///
        /// - Parameters:
        ///   - bytes: Begin with the head's first byte, at each call for the same head; fewer than at the call before begin a new head.
        ///   - response: Where the head is put when it is complete.
        /// - Returns: How many bytes the head has; nil when more are needed.
        /// - Throws: What is wrong with the head. The parser then stands before a new head.
        public mutating func parseResponse(
            _ bytes: RawSpan,
            into response: inout ResponseHeader
        ) throws(ParseError) -> Int? {
            guard let count = try scan(bytes, isRequest: false) else { return nil }
            unsafe bytes.withUnsafeBytes { buffer in
                guard let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                unsafe response.headers.storageToOverwrite().adopt(base, count: count, state: state, table: &table)
                unsafe response.adoptStartLine(base, state: state)
            }
            reset()
            return count
        }

        /// Returns the length of the head when it is complete, with `state` and `table` describing it.
        private mutating func scan(_ bytes: RawSpan, isRequest: Bool) throws(ParseError) -> Int? {
            // Positions that were found in other bytes must not be carried over to these.
            if bytes.byteCount < seenCount { reset() }
            // Bytes beyond the limit cannot make a head any more, so they are not looked at; nor can the scanner count beyond 31 bits.
            let count = min(bytes.byteCount, limits.maximumHeadBytes, Int(Int32.max))
            let result = count > 0 ? runScanner(bytes, count, isRequest: isRequest) : 0
            seenCount = bytes.byteCount
            if let error = defect(result, byteCount: bytes.byteCount, isRequest: isRequest) {
                reset()
                throw error
            }
            return result > 0 ? result : nil
        }

        private mutating func runScanner(_ bytes: RawSpan, _ count: Int, isRequest: Bool) -> Int {
            while true {
                let capacity = unsafe max(min(table.capacity, limits.maximumFieldCount), 0)
                let result = unsafe bytes.withUnsafeBytes { buffer in
                    let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    let scan = unsafe isRequest ? scanner.request : scanner.response
                    return unsafe scan?(base, count, &state, table.entries, capacity) ?? 0
                }
                guard result == CHS_TOO_MANY_FIELDS.rawValue, capacity < limits.maximumFieldCount else { return result }
                growTable()
            }
        }

        /// The longest registered method, `UPDATEREDIRECTREF`, has 17.
        private static let maximumMethodBytes = 53

        /// The table is small at first; the scanner carries on in a larger one.
        private mutating func growTable() {
            let capacity = unsafe table.capacity * 2
            let larger: UnsafeMutablePointer<chs_field> = unsafe PlainMemory.allocate(capacity: capacity)
            unsafe larger.update(from: table.entries, count: Int(state.field_count))
            unsafe PlainMemory.free(table.entries)
            unsafe table = ScannerTable(entries: larger, capacity: capacity)
        }

        private func defect(_ result: Int, byteCount: Int, isRequest: Bool) -> ParseError? {
            if isRequest {
                // While the line is incomplete its target's length is not known, so room is left for the method and the version. A longer
                // method must then be refused at any rate, lest it depend on how the bytes come in.
                let room = Self.maximumMethodBytes + 11
                let unfinished = state.stage == 0 && result == 0 ? byteCount - Int(state.skipped) - room : 0
                if max(Int(state.target_length), unfinished) > limits.maximumTargetBytes { return .targetTooLong }
                if state.method_length > Self.maximumMethodBytes { return .malformedRequestLine }
            }
            if result > 0 { return nil }
            if result == 0 { return byteCount >= limits.maximumHeadBytes ? .headTooLarge : nil }
            return switch Int32(result) {
            case CHS_UNSUPPORTED_VERSION.rawValue: .unsupportedVersion
            case CHS_MALFORMED_FIELD_NAME.rawValue: .malformedFieldName
            case CHS_WHITESPACE_BEFORE_COLON.rawValue: .whitespaceBeforeColon
            case CHS_OBSOLETE_LINE_FOLDING.rawValue: .obsoleteLineFolding
            case CHS_FORBIDDEN_BYTE.rawValue: .forbiddenByte
            case CHS_BARE_LINE_FEED.rawValue: .bareLineFeed
            case CHS_BARE_CARRIAGE_RETURN.rawValue: .bareCarriageReturn
            case CHS_TOO_MANY_FIELDS.rawValue: .tooManyFields
            default: isRequest ? .malformedRequestLine : .malformedStatusLine
            }
        }
    }
}
