internal import AsyncTransport
public import HTTPCodecs
internal import HTTPTypes

/// One end of an HTTP/2 connection, client or server, that does what the test wants when it wants it.
///
/// It reads and writes only while one of its methods is being awaited, so nothing happens behind the test's back: an origin that does
/// not read is one that is left alone. As for ``RawConnection``, one task uses it at a time, on a worker.
///
///     let client = try await RawHTTP2Connection.connect(to: address)
///     let stream = try await client.request("GET", "/")
///     let exchange = try await client.finish(stream)
///     #expect(exchange.status == 200)
public final class RawHTTP2Connection {
    /// The connection below: for hand-made bytes, and for ending it rudely.
    public let connection: RawConnection
    /// The protocol's state, for what has no method here.
    public let session: HTTP2.Session
    /// Whether pings are answered.
    public var answersPings = true
    /// Whether nothing is sent for now, not even SETTINGS.
    ///
    /// It is when this is turned off and something is done.
    public var holdsOutput = false
    /// Whether every byte is sent by itself.
    public var sendsBytewise = false
    /// Whether bodies give credit back as they come.
    public var consumesBodies = true
    /// What has come for each stream.
    public private(set) var exchanges: [HTTP2.StreamID: Exchange] = [:]
    /// The frames that have come, in order, without the payload of DATA.
    public private(set) var frames: [HTTP2Frame] = []
    /// Whether the peer has ended the connection, or has broken it off.
    public private(set) var isAtEnd = false

    private var unseenRequests: [HTTP2.StreamID] = []
    private var pongs: Set<UInt64> = []
    private var lastPing: UInt64 = 0x7465_7374
    private var output = Output()
    private var unparsed: [UInt8] = []
    /// What has been received and kept from the session.
    private var withheld: [UInt8] = []
    private var prefaceLeft: Int

    /// What has come for a stream.
    public struct Exchange: Sendable {
        /// The request; nil at a client.
        public var request: RequestHeader?
        /// The response heads, informational ones first; none at a server.
        public var responses: [ResponseHeader] = []
        /// The body so far.
        public var body: [UInt8] = []
        /// What has come behind the body.
        public var trailers: HeaderMap?
        /// Whether the message has ended as it should.
        public var isComplete = false
        /// Whether the stream is gone, and with which code.
        public var closed: HTTP2.ErrorCode?

        /// Whether nothing more will come.
        public var isOver: Bool { isComplete || closed != nil }
        /// The final response; nil as long as there is none.
        public var response: ResponseHeader? {
            responses.last.flatMap { $0.statusCode >= 200 || $0.statusCode == 101 ? $0 : nil }
        }
        /// The final response's status.
        public var status: Int? { response?.statusCode }
        /// The body as UTF-8.
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    private struct Output: HTTP2OutputSink {
        var bytes: [UInt8] = []
        var bodies: [HTTP2.StreamID: [UInt8]] = [:]

        mutating func append(_ bytes: RawSpan) {
            // SAFETY: the bytes are copied within the call.
            unsafe bytes.withUnsafeBytes { unsafe self.bytes.append(contentsOf: $0) }
        }

        mutating func appendBody(of stream: HTTP2.StreamID, count: Int) {
            bytes += bodies[stream]?.prefix(count) ?? []
            bodies[stream]?.removeFirst(count)
        }
    }

    /// Speaks HTTP/2 on a connection that is there already.
    public init(on connection: RawConnection, role: HTTP2.Role, settings: HTTP2.Settings = HTTP2.Settings()) {
        self.connection = connection
        session = HTTP2.Session(role: role, settings: settings)
        prefaceLeft = role == .server ? 24 : 0
    }

    // MARK: - Moving bytes

    /// Sends what is to be sent.
    ///
    /// - Throws: `TransportError` when the peer has gone or takes nothing.
    public func flush() async throws {
        guard !holdsOutput else { return }
        session.produce(limit: .max, into: &output)
        var events: [HTTP2.Session.Event] = []
        session.takeEvents(into: &events)
        for event in events { record(event, []) }
        var bytes = output.bytes
        output.bytes = []
        if !answersPings, bytes.first != UInt8(ascii: "P") {
            bytes = HTTP2Frame.takeAll(from: &bytes).filter { !$0.isPong }.flatMap(\.bytes)
        }
        if sendsBytewise {
            for byte in bytes { try await connection.send([byte]) }
        } else if !bytes.isEmpty {
            try await connection.send(bytes)
        }
    }

    /// Sends frames made by hand, past the session.
    ///
    /// - Throws: `TransportError` when the peer has gone or takes nothing.
    public func send(_ frames: HTTP2Frame...) async throws {
        try await flush()
        try await connection.send(frames.flatMap(\.bytes))
    }

    /// Receives some more, and answers what must be; false when the peer has ended the connection.
    ///
    /// - Throws: ``TestPeerError`` when the peer breaks the protocol; `TransportError` when nothing comes in time.
    public func pump() async throws -> Bool {
        guard !isAtEnd else { return false }
        do {
            try await flush()
            let bytes = withheld.isEmpty ? try await connection.receiveSome() : withheld
            withheld = []
            isAtEnd = bytes.isEmpty
            try take(bytes)
            try await flush()
        } catch let error as TransportError where error.isClosedByPeer {
            isAtEnd = true
        }
        return !isAtEnd
    }

    /// Receives until `condition` holds.
    ///
    /// - Throws: ``TestPeerError`` when the peer ends the connection first or breaks the protocol; `TransportError`.
    public func pump(until condition: (RawHTTP2Connection) -> Bool) async throws {
        try await flush()
        while !condition(self) {
            if try await pump() || condition(self) { continue }
            throw TestPeerError("the HTTP/2 connection ended: \(summary)")
        }
    }

    /// Receives until the peer has ended the connection.
    ///
    /// - Throws: ``TestPeerError`` when the peer breaks the protocol; `TransportError` when it does not end.
    public func pumpToEnd() async throws {
        while try await pump() {}
    }

    /// Receives until frames have come for which `condition` holds, and keeps them from the session until it receives more: what is
    /// done meanwhile is what a peer does that they have not reached yet.
    ///
    /// - Throws: ``TestPeerError`` when the peer ends the connection first; `TransportError`.
    public func withhold(until condition: ([HTTP2Frame]) -> Bool) async throws {
        try await flush()
        while true {
            var bytes = unparsed + withheld
            if condition(HTTP2Frame.takeAll(from: &bytes)) { return }
            let some = try await connection.receiveSome()
            if some.isEmpty { throw TestPeerError("the HTTP/2 connection ended: \(summary)") }
            withheld += some
        }
    }

    /// Sends a ping and receives until it is answered: the peer has then read all that was sent before.
    ///
    /// - Throws: as ``pump(until:)`` does.
    public func ping() async throws {
        lastPing += 1
        let number = lastPing
        session.ping(number)
        try await pump { $0.pongs.contains(number) }
    }

    private func take(_ bytes: [UInt8]) throws {
        let preface = min(prefaceLeft, bytes.count)
        prefaceLeft -= preface
        unparsed += bytes.dropFirst(preface)
        for var frame in HTTP2Frame.takeAll(from: &unparsed) {
            if frame.type == 0 { frame.payload = [] }
            frames.append(frame)
        }
        var events: [HTTP2.Session.Event] = []
        defer { for event in events { record(event, bytes) } }
        do {
            // SAFETY: the array is not changed meanwhile.
            unsafe try session.receive(bytes.span.bytes, events: &events)
        } catch {
            throw TestPeerError("the peer broke HTTP/2: \(error)")
        }
    }

    private func record(_ event: HTTP2.Session.Event, _ bytes: [UInt8]) {
        switch event {
        case .request(let id, let head, let endStream):
            exchanges[id] = Exchange(request: head, isComplete: endStream)
            unseenRequests.append(id)
            (connection as? OriginConnection)?.note(head)
        case .response(let id, let head, let endStream):
            exchanges[id, default: Exchange()].responses.append(head)
            exchanges[id]?.isComplete = endStream
        case .data(let id, let offset, let count):
            exchanges[id, default: Exchange()].body += bytes[offset..<offset + count]
            if consumesBodies { session.consume(id, byteCount: count) }
        case .trailers(let id, let map):
            exchanges[id, default: Exchange()].trailers = map
            exchanges[id]?.isComplete = true
        case .end(let id): exchanges[id, default: Exchange()].isComplete = true
        case .closed(let id, let code, _): exchanges[id, default: Exchange()].closed = code
        case .pong(let number): pongs.insert(number)
        case .goAway, .settingsChanged: break
        }
    }

    private var summary: String {
        let streams = exchanges.sorted { $0.key < $1.key }.map { id, exchange in
            "\(id): \(exchange.request.map { "\($0)" } ?? "\(exchange.status ?? 0)") \(exchange.body.count) bytes "
                + "\(exchange.isComplete ? "complete" : "open") \(exchange.closed.map { "\($0)" } ?? "")"
        }
        let goAways = frames.filter(\.isGoAway).map { "GOAWAY \($0.payload)" }
        return (streams.suffix(8) + goAways).joined(separator: "; ")
    }

    // MARK: - Bodies

    /// Sends some of a stream's body, as much as the peer's windows allow; the rest goes when they do.
    ///
    /// - Parameters:
    ///   - bytes: What to add to its body.
    ///   - stream: The stream, whose head has been sent.
    ///   - end: Whether that is all.
    ///   - trailers: What to send behind it, written as `name: value`.
    /// - Throws: `TransportError` when the peer has gone or takes nothing.
    public func send(
        _ bytes: [UInt8],
        on stream: HTTP2.StreamID,
        end: Bool = false,
        trailers: [String] = []
    ) async throws {
        output.bodies[stream, default: []] += bytes
        session.offerBody(stream, byteCount: bytes.count)
        if end || !trailers.isEmpty { session.endBody(stream, trailers: try HeaderMap(lines: trailers)) }
        try await flush()
    }

    /// The next request that has come and that this has not returned before, waiting for it; its body may be still to come.
    ///
    /// - Throws: as ``pump(until:)`` does.
    public func nextRequest() async throws -> HTTP2.StreamID {
        try await pump { !$0.unseenRequests.isEmpty }
        return unseenRequests.removeFirst()
    }

    /// How many requests have come that ``nextRequest()`` has not returned.
    public var waitingRequestCount: Int { unseenRequests.count }
}

extension HeaderMap {
    /// Makes a map of fields that are written as `name: value`.
    init(lines: [String]) throws {
        self.init()
        for line in lines {
            let field = RawMessage.field(line)
            guard let name = HeaderName(field.name) else { throw TestPeerError("no field: \(line)") }
            try append(name, field.value)
        }
    }
}

extension OriginConnection {
    /// Tells the origin of a request as if it had come in HTTP/1.
    fileprivate func note(_ head: RequestHeader) {
        let fields = head.headers.map { "\($0.name): \($0.value)\r\n" }.joined()
        origin.note(request: RawMessage(head: "\(head.method.rawValue) \(head.target) HTTP/2\r\n\(fields)\r\n"))
    }
}
