extension HTTP1 {
    /// Checks what the grammar of single fields cannot: that target and Host name one authority, and that in a way nobody can misread.
    ///
    /// Host must occur once in 1.1 and at most once in 1.0; an absolute target must agree with it byte for byte, stricter than RFC 9112
    /// 3.2.2, for a peer that reads the other one would be told another host. Allocates nothing.
    public static func validate(_ request: borrowing RequestHeader) throws(ParseError) {
        var hostCount = 0
        var isHostValid = true
        request.headers.forEachValue(.host) { host in
            hostCount += 1
            if host.byteCount > 0, host.authorityHostEnd(allowsEscapes: true) == nil { isHostValid = false }
        }
        if hostCount > 1 { throw .repeatedHost }
        if hostCount == 0, request.version >= .http11 { throw .missingHost }
        if !isHostValid { throw .invalidHost }
        let defect: ParseError? =
            switch request.targetForm {
            case .origin: request.withTarget { $0.hasFragment } ? .invalidTarget : nil
            case .asterisk: request.methodKind == .options ? nil : .invalidTarget
            case .authority: defectOfAuthorityForm(request)
            case .absolute: defectOfAbsoluteForm(request)
            }
        if let defect { throw defect }
    }

    /// CONNECT needs `host:port`; Host, when it is there, must be that or the host alone.
    private static func defectOfAuthorityForm(_ request: borrowing RequestHeader) -> ParseError? {
        let headers = request.headers
        return request.withTarget { target in
            guard let hostEnd = target.authorityHostEnd(allowsEscapes: false), target.byteCount > hostEnd + 1 else {
                return .invalidTarget
            }
            let agrees = headers.withValue(.host) { host in
                host.byteCount == 0 || host.isSame(as: target) || host.isSame(as: target.extracting(first: hostEnd))
            }
            return agrees == false ? .hostMismatch : nil
        }
    }

    /// `http://host/path`: what becomes that only by normalising slashes, or has another scheme, is refused.
    private static func defectOfAbsoluteForm(_ request: borrowing RequestHeader) -> ParseError? {
        let headers = request.headers
        return request.withTarget { target in
            let start: Int
            if target.hasPrefixIgnoringCase("http://") {
                start = 7
            } else if target.hasPrefixIgnoringCase("https://") {
                start = 8
            } else {
                return .invalidTarget
            }
            var end = start
            while end < target.byteCount, target[end] != 0x2F, target[end] != 0x3F, target[end] != 0x23 { end += 1 }
            let authority = target.extracting(start..<end)
            guard authority.authorityHostEnd(allowsEscapes: false) != nil, !target.hasFragment else {
                return .invalidTarget
            }
            let agrees = headers.withValue(.host) { $0.isSame(as: authority) }
            return agrees == false ? .hostMismatch : nil
        }
    }
}

extension RawSpan {
    /// Whether a `#` is there: a target has no fragment (RFC 9112 3.2), and who cuts one off reads another target than who does not.
    fileprivate var hasFragment: Bool {
        for index in 0..<byteCount where self[index] == 0x23 { return true }
        return false
    }
}
