import HTTPCodecs
import Testing

@Suite("Two HTTP/2 sessions exchange messages")
struct HTTP2ExchangeTests {
    @Test("A request without body is answered with one")
    func simpleExchange() throws {
        let pair = Pair()
        let id = try pair.request(.of("GET", "/a?b", ["Host: a.example", "Accept: */*", "X-Own: 1"]))
        #expect(pair.server.takeLog() == ["request 1 GET /a?b end"])
        let request = try #require(pair.server.requests[id])
        #expect(request.headers.lines == ["Host: a.example", "accept: */*", "x-own: 1"])
        #expect(request.version == .http2)
        #expect(request.scheme == .https)
        try pair.server.session.submitResponse(id, .of(200, ["Content-Length: 5", "Server: x"]), endStream: false)
        pair.server.send(id, Array("hello".utf8))
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 200 OK", "end 1", "closed 1 NO_ERROR"])
        #expect(pair.server.takeLog() == ["closed 1 NO_ERROR"])
        #expect(pair.client.bodies[id] == Array("hello".utf8))
        #expect(pair.client.responses[id]?.first?.headers.lines == ["content-length: 5", "server: x"])
        #expect(pair.client.session.openStreamCount == 0 && pair.server.session.openStreamCount == 0)
    }

    @Test("Trailers go both ways behind bodies")
    func trailers() throws {
        let pair = Pair()
        let id = try pair.request(.of("POST", "/"), endStream: false)
        var trailers = HeaderMap()
        try trailers.append(lines: ["Grpc-Status: 0", "Connection: x", "Content-Length: 9"])
        pair.client.send(id, [1, 2, 3], trailers: trailers)
        pair.run()
        #expect(pair.server.takeLog() == ["request 1 POST /", "trailers 1 grpc-status: 0"])
        #expect(pair.server.bodies[id] == [1, 2, 3])
        try pair.server.session.submitResponse(id, .of(200), endStream: false)
        pair.server.session.endBody(id, trailers: trailers)
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 200 OK", "trailers 1 grpc-status: 0", "closed 1 NO_ERROR"])
        #expect(pair.server.takeLog() == ["closed 1 NO_ERROR"])
    }

    @Test("Informational responses come before the final one")
    func informational() throws {
        let pair = Pair()
        let id = try pair.request(.of("GET", "/"))
        try pair.server.session.submitInformational(id, .of(103, ["Link: </x>"]))
        try pair.server.session.submitInformational(id, .of(100))
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 103 Early Hints", "response 1 100 Continue"])
        try pair.server.session.submitResponse(id, .of(204, ["Content-Length: 0"]), endStream: true)
        pair.run()
        #expect(pair.client.takeLog() == ["response 1 204 No Content end", "closed 1 NO_ERROR"])
        #expect(throws: HTTP2.SubmissionError.streamGone) {
            try pair.server.session.submitInformational(id, .of(103))
        }
    }

    @Test("A response is given once, and only to a stream that is there")
    func submissionErrors() throws {
        let pair = Pair()
        let id = try pair.request(.of("GET", "/"))
        #expect(throws: HTTP2.SubmissionError.invalidHead) {
            try pair.server.session.submitResponse(id, .of(101), endStream: false)
        }
        #expect(throws: HTTP2.SubmissionError.invalidHead) {
            try pair.server.session.submitInformational(id, .of(101))
        }
        try pair.server.session.submitResponse(id, .of(200), endStream: false)
        #expect(throws: HTTP2.SubmissionError.alreadyAnswered) {
            try pair.server.session.submitResponse(id, .of(200), endStream: false)
        }
        #expect(throws: HTTP2.SubmissionError.streamGone) {
            try pair.server.session.submitResponse(99, .of(200), endStream: false)
        }
    }

    @Test("A sender stops when the receiver does not consume, and goes on when it does")
    func flowControl() throws {
        var small = HTTP2.Settings()
        small.initialStreamWindow = 70_000
        small.connectionWindow = 100_000
        let pair = Pair(client: small, server: small)
        let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        for (sender, receiver, isUp) in [(pair.client, pair.server, true), (pair.server, pair.client, false)] {
            receiver.consumes = false
            let id = try pair.request(.of("POST", "/"), endStream: !isUp)
            if !isUp { try pair.server.session.submitResponse(id, .of(200), endStream: false) }
            sender.send(id, body)
            pair.run()
            #expect(receiver.bodies[id]?.count == 70_000)
            #expect(sender.session.unsentByteCount(id) == 230_000)
            receiver.session.consume(id, byteCount: 50_000)
            pair.run()
            #expect(receiver.bodies[id]?.count == 120_000)
            receiver.consumes = true
            receiver.session.consume(id, byteCount: 70_000)
            pair.run()
            #expect(receiver.bodies[id] == body)
            #expect(receiver.takeLog().contains("end \(id)"))
        }
    }

    @Test("The connection's window is shared, and consuming for a stream that is gone gives it back")
    func connectionWindow() throws {
        var small = HTTP2.Settings()
        small.connectionWindow = 65_535
        let pair = Pair(server: small)
        pair.server.consumes = false
        let first = try pair.request(.of("POST", "/"), endStream: false)
        pair.client.send(first, Array(repeating: 1, count: 65_535))
        pair.run()
        let second = try pair.request(.of("POST", "/"), endStream: false)
        pair.client.send(second, Array(repeating: 2, count: 10))
        pair.run()
        #expect(pair.server.bodies[first]?.count == 65_535)
        #expect(pair.server.bodies[second] == nil)
        try pair.server.session.submitResponse(first, .of(200), endStream: true)
        pair.run()
        #expect(!pair.server.session.isOpen(first))
        pair.server.session.consume(first, byteCount: 65_535)
        pair.run()
        #expect(pair.server.bodies[second]?.count == 10)
    }

    @Test("What is written at a time is bounded, and interleaves streams")
    func produceLimit() throws {
        let pair = Pair()
        let ids = try (0..<3).map { _ in try pair.request(.of("GET", "/")) }
        for id in ids {
            try pair.server.session.submitResponse(id, .of(200), endStream: false)
            pair.server.send(id, Array(repeating: UInt8(id), count: 50_000))
        }
        var sizes: [Int] = []
        while pair.server.session.wantsOutput {
            let bytes = pair.server.produce(limit: 20_000)
            sizes.append(bytes.count)
            pair.client.receive(bytes)
        }
        #expect(sizes.allSatisfy { $0 < 20_000 + 16_384 + 9 })
        #expect(sizes.count > 4)
        for id in ids { #expect(pair.client.bodies[id] == Array(repeating: UInt8(id), count: 50_000)) }
        #expect(pair.client.takeLog().filter { $0.hasPrefix("end") }.count == 3)
    }

    @Test("A body that comes bit by bit is sent as it comes")
    func trickle() throws {
        let pair = Pair()
        let id = try pair.request(.of("POST", "/"), endStream: false)
        for byte in 0..<10 as Range<UInt8> {
            pair.client.offer(id, [byte])
            pair.run()
            #expect(pair.server.bodies[id]?.count == Int(byte) + 1)
        }
        pair.client.session.endBody(id)
        pair.run()
        #expect(pair.server.takeLog() == ["request 1 POST /", "end 1"])
    }
}
