internal import CHTTPScanner

extension HTTP2 {
    /// Puts together the head or the trailers that are being received; there is one at a time on a connection.
    ///
    /// nghttp2 has checked what is common to all: that names are lower-case tokens, values free of control bytes, pseudo fields known,
    /// single and in front, and connection-specific fields absent.
    struct HeadReader {
        enum Kind {
            case request
            case response
            case trailers
        }

        private(set) var kind = Kind.request
        private(set) var streamID: StreamID = 0
        private var storage = HeadStorage.empty
        private var target = ByteText.slash
        private var method = RequestHeader.MethodKind.get
        private var otherMethod = ""
        private var scheme: RequestHeader.Scheme?
        private var hasTarget = false
        private var isExtendedConnect = false
        private var statusCode = 0
        private var listByteCount = 0
        private var fieldCount = 0
        private var cookieCount = 0
        private var hasAuthority = false
        /// Memory of heads that are used no more.
        private var spares: [(storage: HeadStorage, target: ByteText?)] = []
        private var spareTarget: ByteText?
        private static let spareLimit = 32

        /// Takes the memory of a head that is used no more, for one that will come.
        mutating func reuse(_ head: consuming RequestHeader) {
            guard spares.count < Self.spareLimit, let storage = head.headers.releaseStorage() else { return }
            spares.append((storage, head.releaseTarget()))
        }

        mutating func reuse(_ head: consuming ResponseHeader) {
            guard spares.count < Self.spareLimit, let storage = head.headers.releaseStorage() else { return }
            spares.append((storage, nil))
        }

        mutating func begin(_ kind: Kind, stream: StreamID) {
            self.kind = kind
            streamID = stream
            if let spare = spares.popLast() {
                storage = spare.storage
                storage.removeAll()
                spareTarget = spare.target
            } else {
                storage = HeadStorage()
                spareTarget = nil
            }
            scheme = nil
            if !otherMethod.isEmpty { otherMethod = "" }
            hasTarget = false
            hasAuthority = false
            isExtendedConnect = false
            statusCode = 0
            listByteCount = 0
            fieldCount = 0
            cookieCount = 0
        }

        /// Takes a field.
        ///
        /// - Parameters:
        ///   - name: Its name.
        ///   - value: Its value.
        ///   - isSensitive: Whether its sender wants no table to remember it: then none does on the way from here either (RFC 7541 7.1.3).
        ///   - limits: How much a head may hold.
        /// - Returns: the code to reset the stream with; nil when all is well.
        mutating func add(
            _ name: UnsafeRawBufferPointer,
            _ value: UnsafeRawBufferPointer,
            isSensitive: Bool,
            limits: borrowing Settings
        ) -> ErrorCode? {
            // SAFETY: both are nghttp2's and last as long as the call; they are copied.
            listByteCount += name.count + value.count + 32
            guard listByteCount <= limits.maximumHeaderListBytes, name.count <= 65_535 else { return .enhanceYourCalm }
            if let first = unsafe name.first, first == 0x3A { return unsafe addPseudo(name, value) }
            fieldCount += 1
            guard fieldCount <= limits.maximumFieldCount else { return .enhanceYourCalm }
            guard let base = unsafe name.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return .protocolError }
            let id = unsafe chs_name_id(base, name.count)
            if kind == .trailers {
                if unsafe HTTP1.TrailerSection.isForbidden(RawSpan(_unsafeBytes: name), id: id) { return nil }
            } else if id == HeaderName.host.id, kind == .request, hasAuthority {
                // One authority, and no question which one: RFC 9113 8.3.1 asks for the same. `:authority` was the first field.
                let authority = unsafe RawSpan(_unsafeBytes: storage.value(at: 0))
                let isSame = unsafe RawSpan(_unsafeBytes: value).isSame(as: authority)
                return isSame ? nil : .protocolError
            } else if id == HeaderName.cookie.id {
                cookieCount += 1
            }
            unsafe storage.write(name: name, id: id, value: value, at: nil, isSensitive: isSensitive)
            return nil
        }

        private mutating func addPseudo(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> ErrorCode? {
            // SAFETY: as for `add`.
            let span = unsafe RawSpan(_unsafeBytes: name)
            let text = unsafe RawSpan(_unsafeBytes: value)
            if kind == .response { return span.equalsIgnoringCase(":status") ? addStatus(text) : .protocolError }
            guard kind == .request else { return .protocolError }
            switch name.count {
            case 5 where span.equalsIgnoringCase(":path"):
                hasTarget = true
                target = spareTarget.take() ?? ByteText(capacity: max(value.count, 1))
                unsafe target.assign(value)
                return isTarget(text) ? nil : .protocolError
            case 7 where span[1] == 0x6D && span.equalsIgnoringCase(":method"):
                method = unsafe RequestHeader.kind(of: value)
                if method == .other { unsafe otherMethod = String(decoding: value, as: UTF8.self) }
                return unsafe method != .other || isMethod(value) ? nil : .protocolError
            case 7 where span.equalsIgnoringCase(":scheme"):
                scheme = text.equalsIgnoringCase("https") ? .https : text.equalsIgnoringCase("http") ? .http : nil
                return scheme == nil ? .protocolError : nil
            case 9 where span.equalsIgnoringCase(":protocol"):
                // Of what can be tunnelled this way only WebSocket is known here.
                isExtendedConnect = text.equalsIgnoringCase("websocket")
                return isExtendedConnect ? nil : .protocolError
            case 10 where span.equalsIgnoringCase(":authority"):
                // Whether it is one is seen when the head is whole, as for any Host.
                hasAuthority = true
                unsafe storage.write(name: .host, value: value, at: nil)
                return nil
            default:
                return .protocolError
            }
        }

        private mutating func addStatus(_ text: RawSpan) -> ErrorCode? {
            guard text.byteCount == 3 else { return .protocolError }
            for index in 0..<3 {
                guard (0x30...0x39).contains(text[index]) else { return .protocolError }
                statusCode = statusCode * 10 + Int(text[index] - 0x30)
            }
            return statusCode >= 100 ? nil : .protocolError
        }

        private func isMethod(_ value: UnsafeRawBufferPointer) -> Bool {
            // SAFETY: the scanner reads `count` bytes from `base`.
            guard let base = unsafe value.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            return unsafe value.count <= 53 && chs_is_token(base, value.count) != 0
        }

        /// Visible ASCII without a fragment, which is nobody's business but the client's, and whose mark is data to others.
        private func isTarget(_ text: RawSpan) -> Bool {
            guard text.byteCount > 0, text[0] == 0x2F || text[0] == 0x2A && text.byteCount == 1 else { return false }
            for index in 0..<text.byteCount where text[index] <= 0x20 || text[index] >= 0x7F || text[index] == 0x23 {
                return false
            }
            return true
        }

        // MARK: - The end of the field section

        /// Makes the request that has been received; nil when it is malformed.
        mutating func finishRequest() -> RequestHeader? {
            // SAFETY: a request without `:path` has `:authority`, which was the first field; its bytes are copied.
            if !hasTarget, !hasAuthority { return nil }
            var request = RequestHeader()
            joinCookies()
            // CONNECT has an authority only (RFC 9113 8.5); nghttp2 has seen to it that the pseudo fields go together.
            if !hasTarget {
                target = ByteText()
                unsafe target.assign(storage.value(at: 0))
            }
            request.adopt(method, otherMethod, target: target, scheme: scheme, headers: takeFields())
            // What follows is a tunnel's; a length would make some of it a body.
            if request.methodKind == .connect, request.headers.contains(.contentLength) { return nil }
            if isExtendedConnect { request.showAsUpgrade() }
            guard (try? HTTP1.validate(request)) != nil else { return nil }
            return request.headers.withValue(.host) { $0.byteCount > 0 } == true ? request : nil
        }

        /// Makes the response that has been received; to an extended CONNECT, a success is the switch of protocols it stands for.
        mutating func finishResponse(switchesProtocols: Bool) -> ResponseHeader {
            guard switchesProtocols, statusCode / 100 == 2 else {
                return ResponseHeader(http2: statusCode, headers: takeFields())
            }
            var response = ResponseHeader(http2: 101, headers: takeFields())
            response.headers.append(.connection, staticBytes: "Upgrade")
            response.headers.append(.upgrade, staticBytes: "websocket")
            return response
        }

        /// Hands over the fields.
        mutating func takeFields() -> HeaderMap {
            let fields = HeaderMap(adopting: storage)
            storage = .empty
            return fields
        }

        var isInformational: Bool { statusCode < 200 }

        /// One Cookie field is what HTTP/1 knows (RFC 9113 8.2.3).
        private func joinCookies() {
            // SAFETY: the capacity is the sum of what is written: the values, and two bytes before each but the first.
            guard cookieCount > 1 else { return }
            var capacity = 2 * cookieCount
            var first: Int?
            var isSensitive = false
            var next = storage.index(of: .cookie)
            while let index = next {
                first = first ?? index
                isSensitive = isSensitive || storage.isSensitive(index)
                unsafe capacity += storage.value(at: index).count
                next = storage.index(of: .cookie, from: index + 1)
            }
            unsafe withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 1) { joined in
                guard let base = joined.baseAddress else { return }
                var end = unsafe base
                next = first
                while let index = next {
                    if index != first { unsafe end.put("; ") }
                    unsafe end.put(storage.value(at: index))
                    next = storage.index(of: .cookie, from: index + 1)
                    if index != first { storage.remove(at: index) }
                }
                let value = unsafe UnsafeRawBufferPointer(start: base, count: end - base)
                unsafe storage.write(name: .cookie, value: value, at: first)
                if let first, isSensitive { storage.markSensitive(first) }
            }
        }
    }
}
