import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

/// When and how a client goes away.
struct Departure: CustomTestStringConvertible, Sendable {
    enum Moment: String, CaseIterable { case inTheUpload, beforeTheHead, inTheResponse, inTheFlood }
    enum Manner: String, CaseIterable { case close, reset, halfClose }

    let moment: Moment
    let manner: Manner

    var testDescription: String { "\(moment.rawValue), \(manner.rawValue)" }

    static let all = Moment.allCases.flatMap { moment in Manner.allCases.map { Departure(moment: moment, manner: $0) } }
}

@Suite("When a client goes, its upstream connection is closed at once and the request is logged once")
struct UpstreamClientGoneTests {
    private static func script(_ moment: Departure.Moment) -> OriginScript {
        OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            switch moment {
            case .inTheUpload, .beforeTheHead:
                break
            case .inTheResponse:
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            case .inTheFlood:
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello")
                let block = [UInt8](repeating: 7, count: 1_000_000)
                connection.timeout = .seconds(40)
                // Ends with an error when the proxy closes.
                while true { try await connection.send(block) }
            }
            try await connection.stall()
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: Departure.all) func leaves(_ departure: Departure) async throws {
        try await withUpstream(Self.script(departure.moment)) { fixture in
            let client = try await RawClient.connect(to: fixture.proxy)
            let length = departure.moment == .inTheUpload ? "Content-Length: 100\r\n\r\nhello" : "\r\n"
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\n\(length)")
            try await fixture.origin.wait { $0.requestCount == 1 }
            if departure.moment == .inTheResponse || departure.moment == .inTheFlood {
                _ = try await client.receive(upThrough: "hello")
            }
            switch departure.manner {
            case .close: client.close()
            case .reset: client.reset()
            case .halfClose: client.closeWrite()
            }
            try await fixture.origin.wait { $0.openConnectionCount == 0 }
            let entry = try #require(try await fixture.journal.logged().first)
            #expect(entry.error?.source == .downstream)
            let facts = await fixture.connector.poolFacts()
            #expect(facts.idle == 0)
            #expect(facts.inUse == 0)
            #expect(fixture.journal.entries.count == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func leavesWhileConnecting() async throws {
        try await withUpstream(.ok()) { fixture in
            let full = try await FullListener()
            defer { full.close() }
            var options = PeerOptions()
            options.connectionTimeout = nil
            let setup = UpstreamSetup(upstream: full.address, options: options)
            try await withUpstreamProxy(setup, origin: fixture.origin) { fixture in
                let client = try await RawClient.connect(to: fixture.proxy)
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                try await fixture.journal.awaitLease(on: fixture.connector)
                client.reset()
                let entry = try #require(try await fixture.journal.logged().first)
                #expect(entry.error?.source == .downstream)
                #expect(await fixture.connector.poolFacts().inUse == 0)
            }
        }
    }
}

extension UpstreamJournal {
    /// Waits until a connection is in use or being made.
    func awaitLease(on connector: Connector) async throws {
        let deadline = Deadline.after(.seconds(120))
        while await connector.poolFacts().inUse == 0 {
            if deadline.hasPassed { throw UpstreamTestError("no connection was asked for") }
            await Task.yield()
        }
    }
}
