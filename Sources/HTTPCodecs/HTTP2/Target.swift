internal import CNGHTTP2

extension HTTP2 {
    /// Whom and what a request asks, taken apart for the pseudo fields.
    @unsafe struct Target {
        // SAFETY: both point into the head or a literal, and are used only while the head is lent.
        private let authority: UnsafeRawBufferPointer?
        private let path: UnsafeRawBufferPointer?

        /// Takes a head's target apart; nil when it has no form that HTTP/2 knows.
        init?(_ head: borrowing RequestHeader) {
            let host = unsafe head.headers.rawValue(.host)
            let target = unsafe head.rawTarget
            guard !(unsafe target.contains(0x23)) else { return nil }
            switch head.targetForm {
            case .authority:
                unsafe authority = unsafe target
                unsafe path = nil
            case .origin, .asterisk:
                unsafe authority = unsafe host
                unsafe path = unsafe target
            case .absolute:
                guard let start = unsafe Self.authorityStart(target) else { return nil }
                var end = start
                while unsafe end < target.count && target[end] != 0x2F && target[end] != 0x3F { end += 1 }
                guard end > start else { return nil }
                unsafe authority = unsafe UnsafeRawBufferPointer(rebasing: target[start..<end])
                let rest = unsafe UnsafeRawBufferPointer(rebasing: target[end...])
                if unsafe rest.first == 0x2F {
                    unsafe path = unsafe rest
                } else {
                    // `http://host?query` has no path to send (RFC 9113 8.3.1).
                    guard unsafe rest.isEmpty else { return nil }
                    let text: StaticString = head.methodKind == .options ? "*" : "/"
                    unsafe path = unsafe UnsafeRawBufferPointer(start: text.utf8Start, count: 1)
                }
            }
        }

        private static func authorityStart(_ target: UnsafeRawBufferPointer) -> Int? {
            let span = unsafe RawSpan(_unsafeBytes: target)
            return span.hasPrefixIgnoringCase("http://") ? 7 : span.hasPrefixIgnoringCase("https://") ? 8 : nil
        }

        func append(to list: inout FieldList, scheme: RequestHeader.Scheme) {
            if let path = unsafe path {
                unsafe list.append(":scheme", scheme == .https ? "https" : "http")
                unsafe list.append(":path", path)
            }
            // A request of HTTP/1.0 may not say whom it asks.
            if let authority = unsafe authority, authority.count > 0 { unsafe list.append(":authority", authority) }
        }
    }
}

extension RequestHeader {
    /// Whether this asks for a WebSocket (RFC 6455 4.1).
    var isWebSocketUpgrade: Bool {
        methodKind == .get && headers.mayContain(.upgrade) && headers.hasToken("websocket", in: .upgrade)
            && headers.hasToken("upgrade", in: .connection)
    }
}
