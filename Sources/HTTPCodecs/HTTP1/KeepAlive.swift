extension HTTP1 {
    /// Whether a connection goes on after a message (RFC 9112 9.3).
    public enum KeepAlive {
        /// What the request says: 1.1 goes on unless it names `close`, 1.0 only if it names `keep-alive`.
        public static func isPersistent(request: borrowing RequestHeader) -> Bool {
            isPersistent(request.headers, version: request.version)
        }

        /// What the response says, by the same rules.
        public static func isPersistent(response: borrowing ResponseHeader) -> Bool {
            isPersistent(response.headers, version: response.version)
        }

        private static func isPersistent(_ headers: borrowing HeaderMap, version: HTTPVersion) -> Bool {
            guard headers.mayContain(.connection) else { return version >= .http11 }
            if headers.hasOnly("keep-alive", in: .connection) { return true }
            if headers.hasToken("close", in: .connection) { return false }
            return version >= .http11 || headers.hasToken("keep-alive", in: .connection)
        }

        /// The seconds that `Keep-Alive: timeout=N` promises; nil when nothing is promised.
        ///
        /// The least of them when there are several.
        public static func timeout(of response: borrowing ResponseHeader) -> Int? {
            guard response.headers.mayContain(.keepAlive) else { return nil }
            var seconds: Int?
            response.headers.forEachValue(.keepAlive) { value in
                value.forEachListElement { parameter in
                    guard let found = parameter.timeoutParameter else { return }
                    seconds = min(found, seconds ?? found)
                }
            }
            return seconds
        }
    }
}

extension RawSpan {
    /// N of `timeout=N`; nil for anything else, and for more digits than any server can mean.
    fileprivate var timeoutParameter: Int? {
        let start = 8
        guard byteCount > start, byteCount <= start + 9, extracting(first: start).equalsIgnoringCase("timeout=") else {
            return nil
        }
        var seconds = 0
        for index in start..<byteCount {
            guard (0x30...0x39).contains(self[index]) else { return nil }
            seconds = seconds * 10 + Int(self[index] - 0x30)
        }
        return seconds
    }
}
