import HTTPCodecs
import Testing

@Suite("HTTP/2 streams and connections end as the RFC has it")
struct HTTP2EndingTests {
    @Test(
        "A reset reaches the other side with its code",
        arguments: [HTTP2.ErrorCode.cancel, .http11Required, .noError]
    )
    func reset(code: HTTP2.ErrorCode) throws {
        for isServer in [true, false] {
            let pair = Pair()
            let id = try pair.request(.of("POST", "/"), endStream: false)
            let (resetting, other) = isServer ? (pair.server, pair.client) : (pair.client, pair.server)
            resetting.session.reset(id, code)
            pair.run()
            #expect(resetting.takeLog().last == "closed 1 \(code)")
            #expect(other.takeLog().last == "closed 1 \(code) by peer")
            #expect(!pair.client.session.isFinished && !pair.server.session.isFinished)
        }
    }

    @Test("What was offered of a stream that is reset is not sent")
    func resetDropsBody() throws {
        let pair = Pair()
        let id = try pair.request(.of("POST", "/"), endStream: false)
        pair.client.send(id, Array(repeating: 1, count: 1_000))
        pair.client.session.reset(id, .cancel)
        pair.run()
        #expect(pair.server.bodies[id] == nil)
        // And what comes later concerns nobody.
        pair.client.session.offerBody(id, byteCount: 5)
        pair.client.session.endBody(id)
        pair.client.session.consume(id, byteCount: 5)
        pair.run()
        #expect(pair.server.takeLog() == ["request 1 POST /", "closed 1 CANCEL by peer"])
    }

    @Test("A server that shuts down serves what was under way and what races with it")
    func shutdown() throws {
        let pair = Pair()
        let first = try pair.request(.of("GET", "/1"))
        pair.server.session.announceShutdown()
        let racing = try pair.client.session.submitRequest(.of("GET", "/2"), scheme: .https, endStream: true)
        pair.run()
        #expect(pair.client.takeLog() == ["goaway 2147483647 NO_ERROR"])
        #expect(!pair.client.session.acceptsRequests)
        #expect(throws: HTTP2.SubmissionError.goingAway) { try pair.request(.of("GET", "/3")) }
        pair.server.session.goAway(.noError)
        pair.run()
        #expect(pair.client.takeLog() == ["goaway 3 NO_ERROR"])
        for id in [first, racing] { try pair.server.session.submitResponse(id, .of(200), endStream: true) }
        pair.run()
        #expect(
            pair.client.takeLog() == [
                "response 1 200 OK end", "closed 1 NO_ERROR", "response 3 200 OK end", "closed 3 NO_ERROR",
            ]
        )
        #expect(pair.server.session.isFinished && pair.client.session.isFinished)
    }

    @Test("Streams that a GOAWAY leaves out may be tried again")
    func leftOut() throws {
        let client = Endpoint(.client)
        for _ in 0..<3 { _ = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true) }
        _ = client.produce()
        client.receive(Frame.settings() + Frame.frame(7, Frame.word(3) + Frame.word(0)))
        #expect(client.takeLog() == ["goaway 3 NO_ERROR", "closed 5 REFUSED_STREAM by peer"])
        client.receive(Frame.headers(1, [(":status", "200")]) + Frame.headers(3, [(":status", "200")]))
        _ = client.produce()
        #expect(client.session.isFinished)
    }

    @Test("Going away for a fault ends the connection at once")
    func goAwayForFault() throws {
        let pair = Pair()
        _ = try pair.request(.of("GET", "/"))
        pair.server.session.goAway(.internalError)
        pair.run()
        #expect(pair.server.session.isFinished)
        #expect(pair.client.takeLog().contains("goaway 1 INTERNAL_ERROR"))
    }

    @Test("A ping is answered")
    func ping() {
        let pair = Pair()
        pair.client.session.ping(0x0102_0304_0506_0708)
        pair.run()
        #expect(pair.client.takeLog() == ["pong 72623859790382856"])
        pair.server.session.ping(9)
        pair.run()
        #expect(pair.server.takeLog() == ["pong 9"])
    }

    @Test("The peer's limits are known")
    func peerLimits() throws {
        var settings = HTTP2.Settings()
        settings.maximumConcurrentStreams = 2
        let pair = Pair(server: settings)
        #expect(pair.client.session.peerMaximumConcurrentStreams == 2)
        #expect(pair.client.session.peerAllowsConnectProtocol)
        // A third waits for one of the others.
        for _ in 0..<3 { _ = try pair.request(.of("GET", "/")) }
        #expect(pair.server.takeLog().count == 2)
        try pair.server.session.submitResponse(1, .of(200), endStream: true)
        pair.run()
        #expect(pair.server.takeLog() == ["closed 1 NO_ERROR", "request 5 GET / end"])
    }

    @Test("A client learns at once that a server breaks the protocol, and not that it ends")
    func clientFailure() throws {
        for (bytes, code) in [(Frame.data(0, [1]), 1), (Frame.ping([1]), 6), (Frame.headers(1, block: [0x80]), 9)] {
            let client = Endpoint(.client)
            _ = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true)
            _ = client.produce()
            client.receive(Frame.settings() + bytes)
            #expect(client.error != nil)
            #expect(SentFrame.all(client.produce()).compactMap(\.verdict).last == "goaway 0 \(code)")
            #expect(client.session.failure?.code.rawValue == UInt32(code))
        }
        let pair = Pair()
        pair.client.session.goAway(.noError)
        pair.run()
        #expect(pair.client.error == nil && pair.client.session.failure == nil && pair.client.session.isFinished)
        let other = Pair()
        other.server.session.goAway(.noError)
        other.run()
        #expect(other.client.error == nil && other.client.session.failure == nil)
    }

    @Test("A client sends what it has before it knows the server's settings")
    func earlyRequest() throws {
        let client = Endpoint(.client)
        let server = Endpoint(.server)
        let id = try client.session.submitRequest(.of("POST", "/"), scheme: .http, endStream: false)
        client.send(id, [1, 2])
        let bytes = client.produce()
        #expect(bytes.starts(with: Frame.preface))
        server.receive(bytes)
        #expect(server.takeLog() == ["request 1 POST /", "end 1"])
        #expect(server.bodies[1] == [1, 2])
        #expect(server.requests[1]?.scheme == .http)
    }
}
