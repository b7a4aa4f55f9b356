/// Frames made by hand, as no well-behaved peer would send them.
enum Frame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: Int = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        let header = [
            UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), type, flags,
            UInt8(stream >> 24 & 0x7F), UInt8(stream >> 16 & 0xFF), UInt8(stream >> 8 & 0xFF), UInt8(stream & 0xFF),
        ]
        return header + payload
    }

    static func word(_ value: Int) -> [UInt8] {
        [UInt8(value >> 24 & 0xFF), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }

    static func data(_ stream: Int, _ payload: [UInt8], end: Bool = false) -> [UInt8] {
        frame(0, flags: end ? 1 : 0, stream: stream, payload)
    }

    /// A whole field section, in one frame.
    static func headers(_ stream: Int, _ fields: [(String, String)], end: Bool = true) -> [UInt8] {
        headers(stream, block: block(fields), end: end)
    }

    static func headers(_ stream: Int, block: [UInt8], end: Bool = true, isWhole: Bool = true) -> [UInt8] {
        frame(1, flags: (end ? 1 : 0) | (isWhole ? 4 : 0), stream: stream, block)
    }

    static func continuation(_ stream: Int, _ block: [UInt8], isWhole: Bool = false) -> [UInt8] {
        frame(9, flags: isWhole ? 4 : 0, stream: stream, block)
    }

    static func reset(_ stream: Int, _ code: Int = 8) -> [UInt8] { frame(3, stream: stream, word(code)) }

    static func settings(_ entries: [(Int, Int)] = [], ack: Bool = false) -> [UInt8] {
        frame(4, flags: ack ? 1 : 0, entries.flatMap { [UInt8($0.0 >> 8 & 0xFF), UInt8($0.0 & 0xFF)] + word($0.1) })
    }

    static func ping(_ payload: [UInt8] = Array(repeating: 7, count: 8)) -> [UInt8] { frame(6, payload) }

    static func windowUpdate(_ stream: Int, _ increment: Int) -> [UInt8] { frame(8, stream: stream, word(increment)) }

    /// Fields as literals without indexing, names new, nothing compressed (RFC 7541 6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { name, value in [0x00] + text(name) + text(value) }
    }

    static func text(_ text: String) -> [UInt8] {
        let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        return integer(bytes.count, prefix: 7) + bytes
    }

    /// An integer with a prefix of so many bits (RFC 7541 5.1).
    static func integer(_ value: Int, prefix: Int, first: UInt8 = 0) -> [UInt8] {
        let limit = (1 << prefix) - 1
        guard value >= limit else { return [first | UInt8(value)] }
        var bytes = [first | UInt8(limit)]
        var rest = value - limit
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// The fields of a simple request.
    static func request(
        _ method: String = "GET",
        _ path: String = "/",
        _ more: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", method), (":scheme", "https"), (":authority", "a.example"), (":path", path)] + more
    }
}

/// A frame that was sent.
struct SentFrame {
    let type: UInt8
    let flags: UInt8
    let stream: Int
    let payload: [UInt8]

    /// Takes apart what a session has written.
    static func all(_ bytes: [UInt8]) -> [SentFrame] {
        var rest = bytes[...]
        if rest.starts(with: Frame.preface) { rest = rest.dropFirst(Frame.preface.count) }
        var frames: [SentFrame] = []
        while rest.count >= 9 {
            let header = Array(rest.prefix(9))
            let count = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            let stream = Int(header[5]) << 24 | Int(header[6]) << 16 | Int(header[7]) << 8 | Int(header[8])
            rest = rest.dropFirst(9)
            frames.append(
                SentFrame(type: header[3], flags: header[4], stream: stream, payload: Array(rest.prefix(count)))
            )
            rest = rest.dropFirst(count)
        }
        return frames
    }

    /// The error code of RST_STREAM and GOAWAY.
    var code: Int {
        let bytes = type == 7 ? payload.dropFirst(4).prefix(4) : payload.prefix(4)
        return bytes.reduce(0) { $0 << 8 | Int($1) }
    }

    /// `reset STREAM CODE` and `goaway LAST CODE`; nil for other frames.
    var verdict: String? {
        switch type {
        case 3: "reset \(stream) \(code)"
        case 7: "goaway \(payload.prefix(4).reduce(0) { $0 << 8 | Int($1) }) \(code)"
        default: nil
        }
    }
}
