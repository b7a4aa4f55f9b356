public import HTTPCodecs

/// A frame as it is on the wire (RFC 9113 4.1): to be sent as no session would, or as it has come.
public struct HTTP2Frame: Equatable, Sendable {
    /// What kind of frame it is.
    public var type: UInt8
    /// The flags.
    public var flags: UInt8
    /// The stream; 0 for the connection.
    public var stream: HTTP2.StreamID
    /// What follows the frame's header.
    public var payload: [UInt8]

    /// Makes a frame of any kind.
    public init(_ type: UInt8, flags: UInt8 = 0, stream: HTTP2.StreamID = 0, _ payload: [UInt8] = []) {
        self.type = type
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    /// RST_STREAM.
    public static func reset(_ stream: HTTP2.StreamID, _ code: HTTP2.ErrorCode) -> HTTP2Frame {
        HTTP2Frame(3, stream: stream, word(code.rawValue))
    }

    /// GOAWAY.
    public static func goAway(last stream: HTTP2.StreamID, _ code: HTTP2.ErrorCode = .noError) -> HTTP2Frame {
        HTTP2Frame(7, word(UInt32(bitPattern: stream)) + word(code.rawValue))
    }

    /// WINDOW_UPDATE.
    public static func windowUpdate(_ stream: HTTP2.StreamID, _ increment: Int) -> HTTP2Frame {
        HTTP2Frame(8, stream: stream, word(UInt32(truncatingIfNeeded: increment)))
    }

    /// The bytes to send.
    public var bytes: [UInt8] {
        var bytes = Array(Self.word(UInt32(truncatingIfNeeded: payload.count)).dropFirst())
        bytes += [type, flags]
        bytes += Self.word(UInt32(bitPattern: stream))
        return bytes + payload
    }

    /// Whether it is a GOAWAY.
    public var isGoAway: Bool { type == 7 }
    /// Whether it is a WINDOW_UPDATE.
    public var isWindowUpdate: Bool { type == 8 }
    /// Whether it is an answer to a PING.
    public var isPong: Bool { type == 6 && flags & 1 == 1 }
    /// The last stream that a GOAWAY names; the increment of a WINDOW_UPDATE; the code of a RST_STREAM.
    public var firstWord: UInt32 { payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    private static func word(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// Takes whole frames off the front of `bytes`.
    static func takeAll(from bytes: inout [UInt8]) -> [HTTP2Frame] {
        var frames: [HTTP2Frame] = []
        var at = 0
        while bytes.count - at >= 9 {
            let size = bytes[at..<at + 3].reduce(0) { $0 << 8 | Int($1) }
            guard bytes.count - at >= 9 + size else { break }
            let stream = bytes[at + 5..<at + 9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            frames.append(
                HTTP2Frame(
                    bytes[at + 3],
                    flags: bytes[at + 4],
                    stream: HTTP2.StreamID(bitPattern: stream & 0x7FFF_FFFF),
                    Array(bytes[at + 9..<at + 9 + size])
                )
            )
            at += 9 + size
        }
        bytes.removeFirst(at)
        return frames
    }
}
