/// What a client sends by Basic authentication (RFC 7617).
enum BasicCredentials {
    /// Returns the user's name out of the base64 of user, colon and password; nil when it is not that.
    ///
    /// The password is not decoded.
    static func user(_ credentials: String) -> [UInt8]? {
        var name: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for character in credentials.utf8 {
            guard let value = sextet(character) else { return nil }
            bits = bits << 6 | value
            bitCount += 6
            guard bitCount >= 8 else { continue }
            bitCount -= 8
            let byte = UInt8(truncatingIfNeeded: bits >> UInt32(bitCount))
            if byte == UInt8(ascii: ":") { return name }
            name.append(byte)
        }
        return nil
    }

    private static func sextet(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
