/// What the lines of an ``AccessLog`` look like.
public struct AccessLogFormat: Sendable, Hashable {
    /// A piece of a line.
    enum Part: Hashable, Sendable {
        case literal(String)
        case field(AccessLogField)
    }

    let parts: [Part]
    let isJSON: Bool

    /// Makes lines of JSON, one object each (JSON Lines), with these fields in this order.
    public static func json(_ fields: [AccessLogField] = usual) -> AccessLogFormat {
        var parts: [Part] = []
        for field in fields {
            parts.append(.literal((parts.isEmpty ? "{\"" : ",\"") + field.name + "\":"))
            parts.append(.field(field))
        }
        parts.append(.literal(parts.isEmpty ? "{}\n" : "}\n"))
        return AccessLogFormat(parts: parts, isJSON: true)
    }

    /// Makes lines of text after a pattern as nginx's `log_format` has it: `$remote_addr "$request" $status`.
    ///
    /// `${name}` is `$name` where a letter, digit or `_` follows, and `$$` is a dollar sign. In values, quotes, backslashes and all that
    /// is not visible ASCII or a space are written as `\xHH`.
    ///
    /// - Throws: ``AccessLogFormatError`` for a variable that does not exist, or a pattern that could break a line.
    public init(pattern: String) throws(AccessLogFormatError) {
        guard !pattern.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw AccessLogFormatError(reason: "the pattern holds a control character")
        }
        var parts: [Part] = []
        var literal = ""
        var rest = Substring(pattern)
        while let dollar = rest.firstIndex(of: "$") {
            literal += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                literal.append("$")
                rest = rest.dropFirst()
                continue
            }
            let name = try Self.takeName(&rest)
            guard let field = AccessLogField(name: name) else {
                throw AccessLogFormatError(reason: "there is no variable $\(name)")
            }
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = ""
            parts.append(.field(field))
        }
        parts.append(.literal(literal + rest + "\n"))
        self.init(parts: parts, isJSON: false)
    }

    /// Makes the format that a setting or an argument names: `common`, `combined`, `json`, `json:NAME,NAME…`, or a pattern with variables.
    ///
    /// - Throws: ``AccessLogFormatError`` for anything else.
    public init(_ text: String) throws(AccessLogFormatError) {
        switch text {
        case "common": self = .common
        case "combined": self = .combined
        case "json": self = .json()
        case _ where text.hasPrefix("json:"):
            var fields: [AccessLogField] = []
            for name in text.dropFirst(5).split(separator: ",", omittingEmptySubsequences: false) {
                guard let field = AccessLogField(name: String(name)) else {
                    throw AccessLogFormatError(reason: "there is no field \"\(name)\"")
                }
                if fields.contains(field) { throw AccessLogFormatError(reason: "\(name) occurs twice") }
                fields.append(field)
            }
            self = .json(fields)
        case _ where text.contains("$"):
            try self.init(pattern: text)
        default:
            throw AccessLogFormatError(
                reason: "\"\(text)\" is neither common, combined nor json, and has no $variable"
            )
        }
    }

    private init(parts: [Part], isJSON: Bool) {
        self.parts = parts
        self.isJSON = isJSON
    }

    /// The Common Log Format: client, user, time, request line, status and bytes.
    public static let common = standard(
        "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent"
    )
    /// The same with `Referer` and `User-Agent`, as Apache and nginx write it.
    public static let combined = standard(
        "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent"
            + " \"$http_referer\" \"$http_user_agent\""
    )

    /// The fields of ``json(_:)`` unless others are asked for.
    public static let usual: [AccessLogField] = [
        .timeISO8601, .clientAddress, .clientPort, .serverPort, .method, .host, .target, .version, .status, .bytesSent,
        .bytesReceived, .requestTime, .upstreamAddress, .upstreamStatus, .attempts, .isUpstreamReused, .connectTime,
        .upstreamHeaderTime, .upstreamResponseTime, .tlsVersion, .tlsServerName, .referer, .userAgent, .errorKind,
        .errorSource, .requestID, .traceID,
    ]

    private static func standard(_ pattern: String) -> AccessLogFormat {
        do {
            return try AccessLogFormat(pattern: pattern)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Takes a variable's name off the front, which `$` was cut off from.
    private static func takeName(_ rest: inout Substring) throws(AccessLogFormatError) -> String {
        if rest.first == "{" {
            guard let end = rest.firstIndex(of: "}") else {
                throw AccessLogFormatError(reason: "a ${ has no }")
            }
            defer { rest = rest[rest.index(after: end)...] }
            return String(rest[rest.index(after: rest.startIndex)..<end])
        }
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        guard !name.isEmpty else {
            throw AccessLogFormatError(reason: "a $ has no name behind it; write $$ for a dollar")
        }
        rest = rest[name.endIndex...]
        return String(name)
    }
}

/// Why there is no such format.
public struct AccessLogFormatError: Error, Hashable, Sendable, CustomStringConvertible {
    let reason: String

    /// One line.
    public var description: String { "access log format: \(reason)" }
}
