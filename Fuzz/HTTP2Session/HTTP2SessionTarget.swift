import HTTPCodecs

/// What libFuzzer calls with each input: a byte that says which side reads it, then what its peer says.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP2Session(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    guard let first = input.bytes.first else { return 0 }
    let role: HTTP2.Role = first & 1 == 0 ? .server : .client
    let rest = FuzzInput(Array(input.bytes.dropFirst()))
    let whole = converse(rest, [rest.bytes.count], role)
    for cuts in rest.deliveries {
        let other = converse(rest, cuts, role)
        check(other.trace == whole.trace, "delivered at once: \(whole.trace); in parts: \(other.trace)")
        checkBodies(whole, other)
    }
    return 0
}

/// Of a body that is cut off more may have been seen when it came in parts.
private func checkBodies(_ whole: Conversation, _ other: Conversation) {
    for (id, body) in whole.bodies {
        let parts = other.bodies[id] ?? []
        check(
            parts.starts(with: body) && (!whole.ended.contains(id) || parts == body),
            "a body depends on its delivery"
        )
    }
}

/// What came of a conversation.
private struct Conversation {
    var trace: [String] = []
    var bodies: [HTTP2.StreamID: [UInt8]] = [:]
    var lengths: [HTTP2.StreamID: Int] = [:]
    var open: Set<HTTP2.StreamID> = []
    var ended: Set<HTTP2.StreamID> = []
    var requests: [HTTP2.StreamID] = []
    var hasGoneAway = false
}

private let settings: HTTP2.Settings = {
    var settings = HTTP2.Settings()
    settings.maximumConcurrentStreams = 8
    settings.maximumHeaderListBytes = 2_048
    settings.maximumFieldCount = 24
    // Pieces of frames count for frames.
    settings.maximumContinuations = 10_000
    return settings
}()

/// Lets a session read the bytes as they come in and answer what there is to answer: `cuts` are the lengths of growing prefixes.
private func converse(_ input: FuzzInput, _ cuts: [Int], _ role: HTTP2.Role) -> Conversation {
    let session = HTTP2.Session(role: role, settings: settings)
    var result = Conversation()
    var sink = FrameSink()
    if role == .server {
        _ = receive(
            Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Array(repeating: 0, count: 3) + [4, 0, 0, 0, 0, 0],
            session,
            &result
        )
    } else {
        ask(session, &result)
        session.produce(limit: .max, into: &sink)
    }
    var at = 0
    for cut in cuts where cut > at {
        let goesOn = receive(Array(input.bytes[at..<cut]), session, &result)
        at = cut
        if !goesOn { break }
    }
    answer(session, result)
    while session.wantsOutput, sink.bytes.count < 1 << 20 {
        let before = sink.bytes.count
        session.produce(limit: 10_000, into: &sink)
        if sink.bytes.count == before { break }
    }
    sink.checkFrames(skipping: role == .client ? 24 : 0)
    _ = receive([], session, &result)
    check(session.openStreamCount <= (role == .server ? 8 : 3), "more streams than allowed")
    check(session.failure == nil || session.isFinished, "a connection that failed goes on")
    return result
}

/// Opens the streams that a server may answer.
private func ask(_ session: HTTP2.Session, _ result: inout Conversation) {
    for target in ["/", "/2"] {
        guard var head = try? RequestHeader(method: .get, target: target) else { continue }
        head.headers.set(.host, staticBytes: "a.example")
        guard let id = try? session.submitRequest(head, scheme: .https, endStream: target == "/") else { continue }
        result.open.insert(id)
        session.offerBody(id, byteCount: 20)
    }
}

private func answer(_ session: HTTP2.Session, _ result: Conversation) {
    for (number, id) in result.requests.enumerated() where session.isOpen(id) {
        var head = ResponseHeader(statusCode: number % 2 == 0 ? 200 : 101)
        head.headers.append(.server, staticBytes: "x")
        guard (try? session.submitResponse(id, head, endStream: number % 3 == 2)) != nil else { continue }
        session.offerBody(id, byteCount: 30_000)
        var trailers = HeaderMap()
        trailers.append("grpc-status", staticBytes: "0")
        session.endBody(id, trailers: number % 2 == 0 ? trailers : nil)
    }
}

/// Takes bytes; false when the connection has ended.
private func receive(_ bytes: [UInt8], _ session: HTTP2.Session, _ result: inout Conversation) -> Bool {
    var events: [HTTP2.Session.Event] = []
    var goesOn = true
    do throws(HTTP2.ConnectionError) {
        unsafe try session.receive(bytes.span.bytes, events: &events)
    } catch {
        goesOn = false
    }
    for event in events { record(event, bytes, session, &result) }
    return goesOn
}

private func record(
    _ event: HTTP2.Session.Event,
    _ bytes: [UInt8],
    _ session: HTTP2.Session,
    _ result: inout Conversation
) {
    // Whether more is read of a peer that has gone depends on where the bytes were cut.
    if result.hasGoneAway, result.open.isEmpty { return }
    switch event {
    case .request(let id, let head, let endStream):
        check(session.role == .server && result.open.insert(id).inserted, "a request on a stream in use")
        checkRequest(head)
        result.trace.append("request \(id) \(endStream) \(text(head))")
        result.requests.append(id)
        result.lengths[id] = head.headers[.contentLength].flatMap { Int($0) }
        if endStream { end(id, &result) }
    case .response(let id, let head, let endStream):
        check(session.role == .client && result.open.contains(id), "a response to nothing")
        checkFields(head.headers)
        result.trace.append("response \(id) \(endStream) \(head) \(head.headers)")
        if endStream { result.ended.insert(id) }
    case .data(let id, let offset, let count):
        check(count > 0 && offset >= 0 && offset + count <= bytes.count, "data where there is none")
        check(result.open.contains(id) && !result.ended.contains(id), "data of a stream that is not open")
        result.bodies[id, default: []] += bytes[offset..<offset + count]
        session.consume(id, byteCount: count)
    case .trailers(let id, let map):
        checkFields(map)
        result.trace.append("trailers \(id) \(map)")
        end(id, &result)
    case .end(let id):
        result.trace.append("end \(id)")
        end(id, &result)
    case .closed(let id, let code, let byPeer):
        check(result.open.remove(id) != nil, "a stream closed that was not open")
        result.trace.append("closed \(id) \(code) \(byPeer)")
    case .goAway(let last, let code):
        result.hasGoneAway = true
        result.trace.append("goaway \(last) \(code)")
    case .pong(let opaque): result.trace.append("pong \(opaque)")
    case .settingsChanged: result.trace.append("settings")
    }
}

private func end(_ id: HTTP2.StreamID, _ result: inout Conversation) {
    check(result.open.contains(id) && result.ended.insert(id).inserted, "a message ended that was not open")
    guard let length = result.lengths[id] else { return }
    check(length == result.bodies[id]?.count ?? 0, "a body of another length than its head says")
}

private func text(_ head: RequestHeader) -> String {
    let bytes = written(capacity: head.wireByteCount) { head.serialize(into: &$0) }
    return String(decoding: bytes, as: UTF8.self)
}

/// A request must mean the same to an HTTP/1 server that it is sent on to.
private func checkRequest(_ head: RequestHeader) {
    check((try? HTTP1.validate(head)) != nil, "an invalid request")
    check(head.headers.count(of: .host) == 1 && head.headers.count(of: .cookie) <= 1, "repeated fields")
    check(!head.headers.contains(.transferEncoding), "a transfer coding")
    check(head.headers.contains(.upgrade) == head.isExtendedConnect, "an upgrade out of thin air")
    checkFields(head.headers)
    var limits = HTTP1.Limits()
    limits.maximumHeadBytes = 1 << 20
    var parser = HTTP1.HeadParser(limits: limits)
    var parsed = RequestHeader()
    let bytes = written(capacity: head.wireByteCount) { head.serialize(into: &$0) }
    let count = unsafe try? parser.parseRequest(bytes.span.bytes, into: &parsed)
    check(count == bytes.count, "a request that is none in HTTP/1")
    check(parsed.method == head.method && parsed.target == head.target, "another request line in HTTP/1")
    check(parsed.headers == head.headers && parsed.headers.count == head.headers.count, "other fields in HTTP/1")
}

private func checkFields(_ headers: HeaderMap) {
    for field in headers {
        check(HeaderName(field.name) != nil, "no field name: \(field.name)")
        check(!field.value.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }, "a control byte in a value")
    }
}

/// Output that must be whole frames.
private struct FrameSink: HTTP2OutputSink {
    var bytes: [UInt8] = []

    mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe self.bytes.append(contentsOf: $0) }
    }

    mutating func appendBody(of stream: HTTP2.StreamID, count: Int) {
        bytes += Array(repeating: 0x2E, count: count)
    }

    func checkFrames(skipping prefix: Int) {
        var at = prefix
        while at < bytes.count {
            check(at + 9 <= bytes.count, "half a frame header")
            let count = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            check(count <= 16_384 && bytes[at + 3] <= 9, "a frame that no peer takes")
            at += 9 + count
        }
        check(at == bytes.count, "half a frame")
    }
}
