import HTTPCodecs
import Testing

@Suite("HTTP/2 peers that break the rules lose their stream or their connection")
struct HTTP2AbuseTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        /// What is answered: resets, and the GOAWAY that ends the connection.
        let verdicts: [String]

        init(_ name: String, _ bytes: [UInt8], _ verdicts: String...) {
            testDescription = name
            self.bytes = bytes
            self.verdicts = verdicts
        }
    }

    static let open = Frame.headers(1, Frame.request("POST"), end: false)

    static func post(length: Int) -> [UInt8] {
        Frame.headers(1, Frame.request("POST", "/", [("content-length", "\(length)")]), end: false)
    }

    static let streamFaults: [Row] = [
        Row("more than content-length", post(length: 3) + Frame.data(1, [1, 2, 3, 4]), "reset 1 1"),
        Row("less than content-length", post(length: 3) + Frame.data(1, [1, 2], end: true), "reset 1 1"),
        Row(
            "no body, but a content-length",
            Frame.headers(1, Frame.request("POST", "/", [("content-length", "3")])),
            "reset 1 1"
        ),
        Row(
            "trailers and a short body",
            post(length: 3) + Frame.data(1, [1]) + Frame.headers(1, [("x", "y")]),
            "reset 1 1"
        ),
        Row("trailers that do not end the stream", open + Frame.headers(1, [("x", "y")], end: false), "reset 1 1"),
        Row("a pseudo field in trailers", open + Frame.headers(1, [(":path", "/")]), "reset 1 1"),
        Row("upper case in trailers", open + Frame.headers(1, [("X", "y")]), "reset 1 1"),
        Row("a window that overflows", open + Frame.windowUpdate(1, 0x7FFF_FFFF), "reset 1 3"),
        // It may have been sent before the reset was known.
        Row(
            "a head for a stream that is closed",
            Frame.headers(5, Frame.request()) + Frame.headers(3, Frame.request())
        ),
        Row("a window update of nothing", open + Frame.windowUpdate(1, 0), "goaway 1 1"),
        Row("data behind the end", Frame.headers(1, Frame.request()) + Frame.data(1, [1]), "goaway 1 5"),
    ]

    static let connectionFaults: [Row] = [
        Row("a response to a server", Frame.headers(2, [(":status", "200")]), "goaway 0 1"),
        Row("data on no stream", Frame.data(0, [1]), "goaway 0 1"),
        Row("data on a stream that was never opened", Frame.data(1, [1]), "goaway 0 1"),
        Row("a reset of a stream that was never opened", Frame.reset(1), "goaway 0 1"),
        Row("a frame that is too large", Frame.data(1, Array(repeating: 0, count: 16_385)), "goaway 0 6"),
        Row("settings of odd length", Frame.frame(4, [1, 2, 3]), "goaway 0 6"),
        Row("settings on a stream", Frame.frame(4, stream: 1), "goaway 0 1"),
        Row("a setting out of range", Frame.settings([(2, 7)]), "goaway 0 1"),
        Row("a frame size out of range", Frame.settings([(5, 5)]), "goaway 0 1"),
        Row("a window out of range", Frame.settings([(4, 0x8000_0000)]), "goaway 0 3"),
        Row("an acknowledgement of nothing", Frame.settings(ack: true) + Frame.settings(ack: true), "goaway 0 1"),
        Row("a short ping", Frame.ping([1]), "goaway 0 6"),
        Row("a push by a client", open + Frame.frame(5, flags: 4, stream: 1, Frame.word(2)), "goaway 1 1"),
        Row("a continuation of nothing", Frame.continuation(1, []), "goaway 0 1"),
        Row(
            "a frame within a field section",
            Frame.headers(1, block: Frame.block(Frame.request()), isWhole: false) + Frame.ping(),
            "goaway 1 1"
        ),
        Row("an index beyond the table", Frame.headers(1, block: [0xFF, 0x80, 0x01]), "goaway 1 9"),
        Row("index zero", Frame.headers(1, block: [0x80]), "goaway 1 9"),
        Row(
            "a table larger than allowed",
            Frame.headers(1, block: Frame.integer(4_097, prefix: 5, first: 0x20)),
            "goaway 1 9"
        ),
        Row("an integer without end", Frame.headers(1, block: Array(repeating: 0xFF, count: 20)), "goaway 1 9"),
        Row("a literal that is cut off", Frame.headers(1, block: [0x00, 0x05, 0x61]), "goaway 1 9"),
        Row("padding longer than the frame", Frame.frame(0, flags: 8, stream: 1, [9, 1]), "goaway 0 1"),
        Row("a window of the connection that overflows", Frame.windowUpdate(0, 0x7FFF_FFFF), "goaway 0 3"),
        Row("33 settings in a frame", Frame.settings(Array(repeating: (99, 1), count: 33)), "goaway 0 11"),
    ]

    @Test("as the RFC has it, whichever way the bytes come", arguments: streamFaults + connectionFaults)
    func faults(row: Row) {
        for size in [row.bytes.count, 7, 1] {
            let server = HTTP2ReceivedHeadTests.server()
            var rest = row.bytes[...]
            var sent: [UInt8] = []
            while !rest.isEmpty {
                server.receive(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                sent += server.produce()
            }
            #expect(SentFrame.all(sent).compactMap(\.verdict) == row.verdicts, "in pieces of \(size)")
            let ends = row.verdicts.contains { $0.hasPrefix("goaway") }
            #expect(server.session.isFinished == ends)
            #expect((server.session.failure != nil) == ends)
            // No part of a message that is malformed later is taken for its end.
            #expect(!server.log.contains { $0.hasPrefix("end") || $0.hasPrefix("trailers") })
        }
    }

    @Test("What is no preface is told so, if anything")
    func noPreface() {
        let server = Endpoint(.server)
        server.receive(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(server.error?.code == .protocolError)
        #expect(SentFrame.all(server.produce()).compactMap(\.verdict) == ["goaway 0 1"])
        #expect(server.session.isFinished)
        server.receive(Frame.preface)
        #expect(server.error?.code == .protocolError)
    }

    @Test("A client takes no pushed streams")
    func push() throws {
        let client = Endpoint(.client)
        _ = try client.session.submitRequest(.of("GET", "/"), scheme: .http, endStream: true)
        _ = client.produce()
        let promise = Frame.frame(5, flags: 4, stream: 1, Frame.word(2) + Frame.block(Frame.request()))
        client.receive(Frame.settings() + promise)
        let verdicts = SentFrame.all(client.produce()).compactMap(\.verdict)
        #expect(verdicts.count == 1 && verdicts.allSatisfy { $0.hasPrefix("goaway") || $0.hasPrefix("reset 2") })
    }

    @Test("Streams beyond the limit are refused, and can be tried again")
    func tooManyStreams() {
        var settings = HTTP2.Settings()
        settings.maximumConcurrentStreams = 2
        let server = Endpoint(.server, settings)
        server.receive(Frame.preface + Frame.settings())
        _ = server.produce()
        for stream in [1, 3, 5, 7] { server.receive(Frame.headers(stream, Frame.request(), end: false)) }
        #expect(SentFrame.all(server.produce()).compactMap(\.verdict) == ["reset 5 7", "reset 7 7"])
        #expect(server.takeLog() == ["request 1 GET /", "request 3 GET /"])
        // Who knows of the limit has no excuse.
        server.receive(Frame.settings(ack: true) + Frame.headers(9, Frame.request(), end: false))
        #expect(SentFrame.all(server.produce()).compactMap(\.verdict) == ["goaway 3 1"])
    }

    @Test("Heads over the limits are refused, and cost no more than the limit")
    func largeHeads() {
        var settings = HTTP2.Settings()
        settings.maximumHeaderListBytes = 2_000
        settings.maximumFieldCount = 10
        let rows: [(String, [(String, String)], Bool)] = [
            ("value", [("x", String(repeating: "v", count: 1_000))], true),
            ("long value", [("x", String(repeating: "v", count: 2_000))], false),
            ("long name", [(String(repeating: "n", count: 2_000), "v")], false),
            ("ten fields", (0..<10).map { ("x-\($0)", "v") }, true),
            ("eleven fields", (0..<11).map { ("x-\($0)", "v") }, false),
            ("crumbs", Array(repeating: ("cookie", "a=b"), count: 11), false),
            (
                "overhead",
                Array(repeating: ("", ""), count: 0) + (0..<9).map { ("x-\($0)", String(repeating: "v", count: 190)) },
                false
            ),
        ]
        for (name, fields, isAccepted) in rows {
            let server = HTTP2ReceivedHeadTests.server(settings)
            server.receive(Frame.headers(1, Frame.request("GET", "/", fields)))
            let verdicts = SentFrame.all(server.produce()).compactMap(\.verdict)
            #expect(verdicts == (isAccepted ? [] : ["reset 1 11"]), "\(name)")
            #expect(server.log.isEmpty != isAccepted)
            // The compression state is intact.
            server.receive(Frame.headers(3, Frame.request("GET", "/next")))
            #expect(server.takeLog().last == "request 3 GET /next end")
        }
    }

    @Test("A small field section that stands for a large head is refused")
    func compressionBomb() {
        let server = HTTP2ReceivedHeadTests.server()
        // A field of 4,000 bytes in the table, then a reference to it in each byte.
        let entry = [0x40] + Frame.text("x") + Frame.text(String(repeating: "v", count: 3_900))
        server.receive(Frame.headers(1, block: Frame.block(Frame.request()) + entry))
        #expect(server.takeLog() == ["request 1 GET / end"])
        let bomb = Frame.block(Frame.request()) + Array(repeating: 0xBE, count: 16_000)
        server.receive(Frame.headers(3, block: bomb))
        #expect(server.takeLog().isEmpty)
        #expect(SentFrame.all(server.produce()).compactMap(\.verdict) == ["reset 3 11"])
        server.receive(Frame.headers(5, Frame.request("GET", "/next")))
        #expect(server.takeLog() == ["request 5 GET /next end"])
    }
}
