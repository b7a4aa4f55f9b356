// `host[:port]` as RFC 3986 3.2 has it, without user info, which no request needs and two readers take for two hosts.

extension RawSpan {
    /// Finds the end of the host in `host[:port]`.
    ///
    /// The host is a name, an IPv4 address or a bracketed IPv6 address; the port may be empty and is at most 65,535.
    ///
    /// - Parameter allowsEscapes: whether delimiters may be written as `%40`. Where the host is picked out of a target
    ///   they may not: who unescapes first sees another host.
    /// - Returns: where the host ends; nil when the bytes are anything else.
    func authorityHostEnd(allowsEscapes: Bool) -> Int? {
        guard byteCount > 0 else { return nil }
        let end = self[0] == 0x5B ? bracketedAddressEnd : registeredNameEnd(allowsEscapes: allowsEscapes)
        guard let end, end > 0 else { return nil }
        if end == byteCount { return end }
        guard self[end] == 0x3A, byteCount - end <= 6 else { return nil }
        var port = 0
        for index in (end + 1)..<byteCount {
            guard (0x30...0x39).contains(self[index]) else { return nil }
            port = port * 10 + Int(self[index] - 0x30)
        }
        return port <= 65_535 ? end : nil
    }

    /// Where the leading unreserved and sub-delims characters and well-formed escapes end; nil at a bad escape.
    private func registeredNameEnd(allowsEscapes: Bool) -> Int? {
        var index = 0
        while index < byteCount {
            if self[index] == 0x25 {
                guard index + 2 < byteCount, let high = self[index + 1].hexValue, let low = self[index + 2].hexValue
                else {
                    return nil
                }
                let byte = high << 4 | low
                // What needs no escape and what is no ASCII stands for itself.
                guard allowsEscapes || byte >= 0x80 || byte.isRegisteredName else { return nil }
                index += 3
            } else if self[index].isRegisteredName {
                index += 1
            } else {
                break
            }
        }
        return index
    }

    /// Where `[IPv6]` ends; nil when there is no such address.
    private var bracketedAddressEnd: Int? {
        var index = 1
        var groupCount = 0
        var hasGap = false
        if byteCount > 3, self[1] == 0x3A, self[2] == 0x3A {
            hasGap = true
            index = 3
        }
        while index < byteCount, self[index] != 0x5D {
            let start = index
            while index < byteCount, index - start < 5, self[index].hexValue != nil { index += 1 }
            guard index > start, index < byteCount else { return nil }
            if self[index] == 0x2E {
                // An IPv4 address stands for the last two groups.
                guard let end = dottedAddressEnd(from: start), end < byteCount, self[end] == 0x5D else { return nil }
                groupCount += 2
                index = end
                break
            }
            guard index - start <= 4 else { return nil }
            groupCount += 1
            guard self[index] == 0x3A else { continue }
            index += 1
            guard index < byteCount, self[index] != 0x5D else { return nil }
            guard self[index] == 0x3A else { continue }
            if hasGap { return nil }
            hasGap = true
            index += 1
        }
        // A gap stands for one group or more.
        guard index < byteCount, self[index] == 0x5D, hasGap ? groupCount <= 7 : groupCount == 8 else { return nil }
        return index + 1
    }

    /// Where `a.b.c.d` with numbers up to 255 ends; nil when there is no such address.
    private func dottedAddressEnd(from start: Int) -> Int? {
        var index = start
        for part in 0..<4 {
            if part > 0 {
                guard index < byteCount, self[index] == 0x2E else { return nil }
                index += 1
            }
            let first = index
            var number = 0
            while index < byteCount, index - first < 3, (0x30...0x39).contains(self[index]) {
                number = number * 10 + Int(self[index] - 0x30)
                index += 1
            }
            guard index > first, number <= 255, index == first + 1 || self[first] != 0x30 else { return nil }
        }
        return index
    }

    func hasPrefixIgnoringCase(_ prefix: StaticString) -> Bool {
        byteCount >= prefix.utf8CodeUnitCount
            && extracting(first: prefix.utf8CodeUnitCount).equalsIgnoringCase(prefix)
    }

    func isSame(as other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for index in 0..<byteCount where self[index] != other[index] { return false }
        return true
    }
}

extension UInt8 {
    fileprivate var hexValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }

    /// unreserved and sub-delims of RFC 3986.
    fileprivate var isRegisteredName: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x2D, 0x2E, 0x5F, 0x7E, 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x3B, 0x3D: true
        default: false
        }
    }
}
