import HTTPCodecs
import HTTPTypes

/// A session with what its owner would have: the bodies to be sent, and a record of what has come.
final class Endpoint {
    let session: HTTP2.Session
    /// What has happened, as text.
    var log: [String] = []
    /// The bodies that have come.
    var bodies: [HTTP2.StreamID: [UInt8]] = [:]
    /// The bytes of frames that have been written and not been taken.
    var output = Output()
    /// Whether bodies are consumed as they come.
    var consumes = true
    var requests: [HTTP2.StreamID: RequestHeader] = [:]
    var responses: [HTTP2.StreamID: [ResponseHeader]] = [:]
    var trailers: [HTTP2.StreamID: HeaderMap] = [:]
    private(set) var error: HTTP2.ConnectionError?

    struct Output: HTTP2OutputSink {
        var bytes: [UInt8] = []
        var offered: [HTTP2.StreamID: [UInt8]] = [:]

        mutating func append(_ bytes: RawSpan) {
            // SAFETY: the bytes are copied.
            unsafe bytes.withUnsafeBytes { unsafe self.bytes.append(contentsOf: $0) }
        }

        mutating func appendBody(of stream: HTTP2.StreamID, count: Int) {
            let body = offered[stream] ?? []
            bytes += body.prefix(count)
            offered[stream] = Array(body.dropFirst(count))
        }
    }

    init(_ role: HTTP2.Role, _ settings: HTTP2.Settings = HTTP2.Settings()) {
        session = HTTP2.Session(role: role, settings: settings)
    }

    /// Takes bytes, and records what they bring about.
    func receive(_ bytes: [UInt8]) {
        var events: [HTTP2.Session.Event] = []
        do throws(HTTP2.ConnectionError) {
            // SAFETY: the array is not changed meanwhile.
            unsafe try session.receive(bytes.span.bytes, events: &events)
        } catch {
            self.error = error
            log.append("failed \(error.code)")
        }
        for event in events { record(event, bytes) }
    }

    private func record(_ event: HTTP2.Session.Event, _ bytes: [UInt8]) {
        switch event {
        case .request(let id, let head, let endStream):
            requests[id] = head
            log.append("request \(id) \(head.method.rawValue) \(head.target)" + (endStream ? " end" : ""))
        case .response(let id, let head, let endStream):
            responses[id, default: []].append(head)
            log.append("response \(id) \(head)" + (endStream ? " end" : ""))
        case .data(let id, let offset, let count):
            bodies[id, default: []] += bytes[offset..<offset + count]
            if consumes { session.consume(id, byteCount: count) }
        case .trailers(let id, let map):
            trailers[id] = map
            log.append("trailers \(id) \(map.map { "\($0.name): \($0.value)" }.joined(separator: ", "))")
        case .end(let id): log.append("end \(id)")
        case .closed(let id, let code, let byPeer): log.append("closed \(id) \(code)" + (byPeer ? " by peer" : ""))
        case .goAway(let last, let code): log.append("goaway \(last) \(code)")
        case .pong(let opaque): log.append("pong \(opaque)")
        case .settingsChanged: break
        }
    }

    /// Writes what is to be sent and hands it out.
    func produce(limit: Int = .max) -> [UInt8] {
        session.produce(limit: limit, into: &output)
        defer { output.bytes = [] }
        // Streams that ended by being sent.
        receive([])
        return output.bytes
    }

    /// Adds to a stream's body.
    func offer(_ stream: HTTP2.StreamID, _ body: [UInt8]) {
        output.offered[stream, default: []] += body
        session.offerBody(stream, byteCount: body.count)
    }

    /// Sends all of a body.
    func send(_ stream: HTTP2.StreamID, _ body: [UInt8], trailers: HeaderMap? = nil) {
        offer(stream, body)
        session.endBody(stream, trailers: trailers)
    }

    /// Takes the record, which begins anew.
    func takeLog() -> [String] {
        defer { log = [] }
        return log
    }
}

/// A client and a server that talk to each other.
struct Pair {
    let client: Endpoint
    let server: Endpoint

    init(client: HTTP2.Settings = HTTP2.Settings(), server: HTTP2.Settings = HTTP2.Settings()) {
        self.client = Endpoint(.client, client)
        self.server = Endpoint(.server, server)
        run()
    }

    /// Carries bytes both ways until neither side has any.
    func run() {
        while client.session.wantsOutput || server.session.wantsOutput {
            let request = client.produce()
            let response = server.produce()
            if request.isEmpty, response.isEmpty { break }
            server.receive(request)
            client.receive(response)
        }
    }

    /// Makes a request and carries it over.
    func request(_ head: RequestHeader, endStream: Bool = true) throws -> HTTP2.StreamID {
        let id = try client.session.submitRequest(head, scheme: .https, endStream: endStream)
        run()
        return id
    }
}

extension RequestHeader {
    /// Makes a request of a method, a target and fields that are written as `Name: value`.
    static func of(_ method: String, _ target: String, _ fields: [String] = ["Host: a.example"]) throws -> RequestHeader
    {
        var head = try RequestHeader(method: .init(method) ?? .get, target: target)
        try head.headers.append(lines: fields)
        return head
    }
}

extension ResponseHeader {
    /// Makes a response of a status and fields that are written as `Name: value`.
    static func of(_ status: Int, _ fields: [String] = []) throws -> ResponseHeader {
        var head = ResponseHeader(statusCode: status)
        try head.headers.append(lines: fields)
        return head
    }
}

extension HeaderMap {
    /// Adds fields that are written as `Name: value`.
    mutating func append(lines: [String]) throws {
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let name = HeaderName(String(parts[0])) else { throw HeaderError.invalidValue }
            try append(name, String(parts[1]))
        }
    }

    /// The fields as `name: value`.
    var lines: [String] { map { "\($0.name): \($0.value)" } }
}
