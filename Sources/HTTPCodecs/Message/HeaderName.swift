internal import CHTTPScanner
public import HTTPTypes

/// The name of a field, compared without regard to case and written as it is given.
///
/// Names that the framework knows have a number, by which a head finds them without comparing text.
public struct HeaderName: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The name as it is written on the wire.
    public let text: String
    /// The scanner's number; 0 for a name that has none.
    let id: UInt8

    // A literal is a constant: naming a field must not build a string.
    @inline(__always)
    init(wellKnown id: UInt8, _ text: String) {
        self.id = id
        self.text = text
    }

    /// Makes a name; nil when `text` is not a token (RFC 9110 5.6.2) or longer than 65,535 bytes.
    public init?(_ text: String) {
        var text = text
        // SAFETY: the scanner reads `utf8.count` bytes from `base`, which are there while the closure runs.
        let id: UInt8? = text.withUTF8 { utf8 in
            guard let base = utf8.baseAddress, utf8.count <= 65_535, unsafe chs_is_token(base, utf8.count) != 0 else {
                return nil
            }
            return unsafe chs_name_id(base, utf8.count)
        }
        guard let id else { return nil }
        self.text = text
        self.id = id
    }

    /// Makes a name of a swift-http-types field name, which must not be a pseudo field such as `:path`.
    public init(_ name: HTTPField.Name) {
        self.init(stringLiteral: name.rawName)
    }

    /// Makes a name of a literal, which must be a token.
    public init(stringLiteral text: String) {
        guard let name = HeaderName(text) else { preconditionFailure("not a field name: \(text)") }
        self = name
    }

    /// The name as it is written on the wire.
    public var description: String { text }

    /// Whether both name the same field, whatever their case.
    public static func == (left: HeaderName, right: HeaderName) -> Bool {
        if left.id != 0 || right.id != 0 { return left.id == right.id }
        return left.text.utf8.elementsEqual(right.text.utf8) { $0.lowercasedASCII == $1.lowercasedASCII }
    }

    /// Hashes the name without regard to case.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(id)
        guard id == 0 else { return }
        for byte in text.utf8 { hasher.combine(byte.lowercasedASCII) }
    }
}

extension UInt8 {
    fileprivate var lowercasedASCII: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }
}

/// Why a field cannot be set.
public struct HeaderError: Error, Equatable, Sendable, CustomStringConvertible {
    private let reason: String

    /// The value holds CR, LF, NUL or another control byte: it could be taken for the end of the field.
    public static let invalidValue = HeaderError(reason: "the field value holds a control byte")
    /// The request target holds a byte that does not belong there.
    public static let invalidTarget = HeaderError(reason: "the request target holds a byte other than visible ASCII")
    /// The head would grow beyond 2 GiB or the value beyond 1 GiB.
    public static let tooLarge = HeaderError(reason: "the field is too large")

    /// What is wrong, in words.
    public var description: String { reason }
}
