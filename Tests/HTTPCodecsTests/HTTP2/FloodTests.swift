import HTTPCodecs
import Testing

@Suite("Floods of HTTP/2 frames end the connection with ENHANCE_YOUR_CALM")
struct HTTP2FloodTests {
    /// Sends `frame` of each number until the connection ends; returns how many it took, and what the server said last.
    private func flood(
        _ server: Endpoint,
        limit: Int,
        reads: Bool = true,
        _ frame: (Int) -> [UInt8]
    ) -> (count: Int, verdict: String?) {
        var sent: [UInt8] = []
        for count in 0..<limit {
            server.receive(frame(count))
            if reads { sent += server.produce() }
            if server.session.failure != nil {
                sent += server.produce()
                #expect(server.session.isFinished)
                return (count, SentFrame.all(sent).compactMap(\.verdict).last)
            }
        }
        return (limit, nil)
    }

    @Test("of requests that are taken back at once")
    func rapidReset() {
        let server = HTTP2ReceivedHeadTests.server()
        let result = flood(server, limit: 1_000) { count in
            let stream = count * 2 + 1
            return Frame.headers(stream, Frame.request()) + Frame.reset(stream)
        }
        #expect(result.count == 200)
        #expect(result.verdict == "goaway 401 11")
        #expect(server.error?.code == .enhanceYourCalm)
    }

    @Test("of requests that are taken back with NO_ERROR")
    func rapidResetWithoutError() {
        let result = flood(HTTP2ReceivedHeadTests.server(), limit: 1_000) { count in
            let stream = count * 2 + 1
            return Frame.headers(stream, Frame.request()) + Frame.reset(stream, 0)
        }
        #expect(result.count == 200)
    }

    @Test("of requests that the server has to reset")
    func madeReset() {
        for second in [Frame.windowUpdate, { stream, _ in Frame.headers(stream, [(":path", "/")]) }] {
            let result = flood(HTTP2ReceivedHeadTests.server(), limit: 1_000) { count in
                let stream = count * 2 + 1
                return Frame.headers(stream, Frame.request(), end: false) + second(stream, 0x7FFF_FFFF)
            }
            #expect(result.count == 200)
            #expect(result.verdict?.hasSuffix(" 11") == true)
        }
        let malformed = flood(HTTP2ReceivedHeadTests.server(), limit: 1_000) { count in
            Frame.headers(count * 2 + 1, Frame.request("GET", "/", [("X", "y")]))
        }
        #expect(malformed.count == 200)
    }

    @Test("but resets are forgiven with time, and with streams that end well")
    func forgiveness() throws {
        var settings = HTTP2.Settings()
        settings.resetBurst = 10
        settings.resetsPerSecond = 5
        let server = HTTP2ReceivedHeadTests.server(settings)
        server.session.advanceClock(toSecond: 100)
        var stream = -1
        func reset(_ count: Int) {
            for _ in 0..<count {
                stream += 2
                server.receive(Frame.headers(stream, Frame.request()) + Frame.reset(stream))
            }
        }
        reset(10)
        server.session.advanceClock(toSecond: 101)
        reset(5)
        #expect(server.error == nil)
        for _ in 0..<3 {
            stream += 2
            server.receive(Frame.headers(stream, Frame.request()))
            try server.session.submitResponse(Int32(stream), .of(204), endStream: true)
            _ = server.produce()
        }
        reset(3)
        #expect(server.error == nil)
        // No more than the burst is saved up.
        server.session.advanceClock(toSecond: 1_000_000)
        reset(10)
        #expect(server.error == nil)
        reset(1)
        #expect(server.error?.code == .enhanceYourCalm)
    }

    @Test(
        "of pings, settings and other frames of no use",
        arguments: [
            Frame.ping(), Frame.settings([(4, 70_000)]), Frame.data(1, []), Frame.windowUpdate(0, 1),
            Frame.windowUpdate(1, 1),
            Frame.frame(2, stream: 1, [0, 0, 0, 3, 7]), Frame.frame(0xF0, [1, 2, 3]),
            Frame.frame(0, flags: 8, stream: 1, [1, 0]),
        ]
    )
    func useless(frame: [UInt8]) {
        var settings = HTTP2.Settings()
        settings.overheadAllowance = 20_000
        let server = HTTP2ReceivedHeadTests.server(settings)
        server.receive(Frame.headers(1, Frame.request("POST"), end: false))
        let result = flood(server, limit: 10_000) { _ in frame }
        #expect((10...2_500).contains(result.count))
        #expect(result.verdict == "goaway 1 11")
    }

    @Test("of frames whose answers are not read", arguments: [Frame.ping(), Frame.settings([(4, 70_000)])])
    func unreadAnswers(frame: [UInt8]) {
        let server = HTTP2ReceivedHeadTests.server()
        let result = flood(server, limit: 10_000, reads: false) { _ in frame }
        #expect(result.count <= 520)
        #expect(result.verdict == "goaway 0 11")
    }

    @Test("of continuations")
    func continuations() {
        let server = HTTP2ReceivedHeadTests.server()
        server.receive(Frame.headers(1, block: Frame.block(Frame.request()), isWhole: false))
        let result = flood(server, limit: 10_000) { _ in Frame.continuation(1, []) }
        #expect(result.count <= 16)
        #expect(result.verdict == "goaway 1 11")
    }

    @Test("but a body in single bytes is none")
    func singleBytes() {
        var settings = HTTP2.Settings()
        settings.overheadAllowance = 2_000
        let server = HTTP2ReceivedHeadTests.server(settings)
        server.receive(Frame.headers(1, Frame.request("POST"), end: false))
        let result = flood(server, limit: 2_000) { _ in Frame.data(1, [1]) }
        #expect(result.count == 2_000)
        #expect(server.bodies[1]?.count == 2_000)
    }

    @Test("but a download's window updates are none")
    func windowUpdates() throws {
        let pair = Pair()
        let id = try pair.request(.of("GET", "/"))
        try pair.server.session.submitResponse(id, .of(200), endStream: false)
        var received = 0
        pair.client.consumes = false
        for _ in 0..<1_000 {
            pair.server.offer(id, Array(repeating: 1, count: 16_384))
            pair.run()
            let count = pair.client.bodies[id]?.count ?? 0
            pair.client.bodies[id] = []
            received += count
            // Credit in crumbs, as a careless client gives it.
            for _ in 0..<count / 1_024 {
                pair.client.session.consume(id, byteCount: 1_024)
                pair.run()
            }
        }
        #expect(received == 1_000 * 16_384)
        #expect(pair.server.error == nil && pair.server.session.failure == nil)
    }
}
