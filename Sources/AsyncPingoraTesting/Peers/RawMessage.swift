/// A request or a response as it was on the wire, taken apart without judging it.
///
/// It does not use the framework's own parser, so that a test does not check that against itself.
public struct RawMessage: Equatable, Sendable {
    /// One field line.
    public struct Field: Equatable, Sendable {
        /// The name as it was sent.
        public let name: String
        /// The value without the white space around it.
        public let value: String
    }

    /// The bytes of the head, with the blank line that ends it, as text.
    public let head: String
    /// The request line or status line, without its line end.
    public let startLine: String
    /// The field lines in the order they came.
    public let fields: [Field]
    /// The content, with chunks put together.
    public internal(set) var body: [UInt8] = []
    /// The sizes of the chunks as they were sent, without the last one of 0; empty for other framings.
    public internal(set) var chunkSizes: [Int] = []
    /// The field lines behind the last chunk.
    public internal(set) var trailers: [Field] = []
    /// Whether the peer's closing the connection ended the body, as no length told where it ends.
    public internal(set) var isEndedByClose = false

    /// Takes a head apart; the body stays empty.
    public init(head: String) {
        self.head = head
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: true).map(String.init)[...]
        startLine = lines.popFirst() ?? ""
        fields = lines.map(Self.field)
    }

    static func field(_ line: String) -> Field {
        guard let colon = line.firstIndex(of: ":") else { return Field(name: line, value: "") }
        let value = line[line.index(after: colon)...]
        return Field(name: String(line[..<colon]), value: String(trimming(value)))
    }

    private static func trimming(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    /// The body as UTF-8, with what is not valid replaced.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The status code; nil for a request or a malformed status line.
    public var status: Int? {
        let words = startLine.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 2, words[0].hasPrefix("HTTP/") else { return nil }
        return Int(words[1])
    }

    /// The request's method: the first word of the start line.
    public var method: String { String(startLine.prefix { $0 != " " }) }

    /// The request's target: the second word of the start line; empty when there is none.
    public var target: String {
        let words = startLine.split(separator: " ", omittingEmptySubsequences: false)
        return words.count >= 2 ? String(words[1]) : ""
    }

    /// The values of all fields called `name`, whatever the letter case.
    public func values(_ name: String) -> [String] {
        let lowercased = name.lowercased()
        return fields.filter { $0.name.lowercased() == lowercased }.map(\.value)
    }

    /// The value of the first field called `name`; nil when there is none.
    public subscript(name: String) -> String? { values(name).first }

    // MARK: - Framing

    enum Framing: Equatable {
        case none
        case chunked
        case length(Int)
        case untilClose
    }

    /// How the body ends, by RFC 9112 §6.3, where a request without a length has none.
    func framing(asResponseTo method: String?) -> Framing {
        if let status, let method {
            if method == "HEAD" || status == 204 || status == 304 || status < 200 { return .none }
            if method == "CONNECT", status < 300 { return .none }
        }
        let codings = values("transfer-encoding").flatMap { $0.split(separator: ",") }
        if let last = codings.last, Self.trimming(last).lowercased() == "chunked" { return .chunked }
        if let length = self["content-length"], let count = Int(length) { return .length(count) }
        return method == nil ? .none : .untilClose
    }
}
