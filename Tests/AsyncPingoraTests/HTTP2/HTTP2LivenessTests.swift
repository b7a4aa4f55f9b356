import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("Dead and silent HTTP/2 upstreams are found out", .serialized)
struct HTTP2LivenessTests {
    @Test(
        "A peer that answers no ping is given up with all its streams",
        .timeLimit(.minutes(5)),
        arguments: Workers.allCases
    )
    func deadPeer(workers: Workers) async throws {
        let options = PeerOptions.http2 {
            $0.h2PingInterval = .milliseconds(50)
            $0.h2PingTimeout = .seconds(2)
        }
        try await withHTTP2Proxy(workers: workers, options: options) { proxy, origin in
            let client = try await proxy.client()
            var streams: [HTTP2.StreamID] = []
            for _ in 0..<3 { streams.append(try await client.request("GET", "/")) }
            let begun = try await client.request("GET", "/begun")
            let dead = try await origin.accept()
            try await dead.pump { $0.waitingRequestCount == 4 }
            for _ in 0..<4 {
                let id = try await dead.nextRequest()
                if dead.exchanges[id]?.request?.target == "/begun" { try await dead.respond(to: id, 200, body: nil) }
            }
            for stream in streams { #expect(try await client.finish(stream).status == 504) }
            #expect(try await client.finish(begun).closed == .internalError)
            let entries = try await proxy.journal.logged(4)
            #expect(entries.allSatisfy { $0.error?.kind == .pingTimedOut && $0.attempts == 1 })
            let facts = await proxy.facts { $0.open == 0 && $0.pingFailures == 1 && $0.inUse == 0 && $0.h2Streams == 0 }
            #expect(facts.pingFailures == 1 && facts.open == 0 && facts.inUse == 0 && facts.h2Streams == 0)
            let next = try await client.request("GET", "/next")
            let alive = try await origin.accept()
            try await alive.respond(to: try await alive.nextRequest())
            #expect(try await client.finish(next).status == 200)
        }
    }

    @Test("A peer that answers pings is kept, however long its answer takes", .timeLimit(.minutes(5)))
    func livePeer() async throws {
        let options = PeerOptions.http2 { $0.h2PingInterval = .milliseconds(10) }
        try await withHTTP2Proxy(options: options) { proxy, origin in
            let client = try await proxy.client()
            let stream = try await client.request("GET", "/")
            let server = try await origin.accept()
            let id = try await server.nextRequest()
            // Each is sent an interval after the last was answered.
            try await server.pump { $0.frames.count { $0.type == 6 } >= 5 }
            try await server.respond(to: id)
            #expect(try await client.finish(stream).status == 200)
            // An idle connection is pinged too.
            let count = server.frames.count { $0.type == 6 }
            try await server.pump { $0.frames.count { $0.type == 6 } >= count + 3 }
            let facts = await proxy.facts { $0.idle == 1 && $0.pingFailures == 0 }
            #expect(facts.pingFailures == 0 && facts.idle == 1)
        }
    }

    @Test("After a read timeout the connection takes no new streams, and those it has finish", .timeLimit(.minutes(5)))
    func readTimeout() async throws {
        try await withHTTP2Proxy(options: .http2 { $0.readTimeout = .seconds(1) }) { proxy, origin in
            let client = try await proxy.client()
            let busy = try await client.request("POST", "/busy", body: nil)
            let silent = try await client.request("GET", "/silent")
            let first = try await origin.accept()
            try await first.pump { $0.waitingRequestCount == 2 }
            #expect(try await client.finish(silent).status == 504)
            let next = try await client.request("GET", "/next")
            let second = try await origin.accept()
            try await second.respond(to: try await second.nextRequest())
            #expect(try await client.finish(next).status == 200)
            // The request that is still being sent has no time limit of this kind.
            try await client.send([1, 2, 3], on: busy, end: true)
            var resets: [HTTP2.StreamID] = []
            for _ in 0..<2 {
                let id = try await first.nextRequest()
                try await first.finish(id)
                if first.exchanges[id]?.request?.target == "/busy" {
                    #expect(first.exchanges[id]?.body == [1, 2, 3])
                    try await first.respond(to: id)
                } else {
                    try await first.pump { $0.exchanges[id]?.closed != nil }
                    resets.append(id)
                    #expect(first.exchanges[id]?.closed == .cancel)
                }
            }
            #expect(resets.count == 1)
            #expect(try await client.finish(busy).status == 200)
            try await first.pumpToEnd()
            let facts = await proxy.facts { $0.open == 1 && $0.inUse == 0 }
            #expect(facts.open == 1 && facts.inUse == 0)
        }
    }

    @Test("A client that leaves while a connection is being made is not waited for", .timeLimit(.minutes(5)))
    func clientLeavesDuringDial() async throws {
        try await withHTTP2Proxy { proxy, origin in
            let client = try await proxy.client()
            let first = try await client.request("GET", "/first")
            let server = try await origin.accept()
            server.holdsOutput = true
            let held = try await server.nextRequest()
            let second = try await client.request("GET", "/second")
            await proxy.facts { $0.inUse == 2 }
            try await client.reset(second, .cancel)
            let entry = try await proxy.journal.logged()[0]
            #expect(entry.error?.source == .downstream && entry.error?.kind == .connectionClosed)
            server.holdsOutput = false
            try await server.respond(to: held)
            #expect(try await client.finish(first).status == 200)
            let facts = await proxy.facts { $0.inUse == 0 && $0.created == 1 }
            #expect(facts.inUse == 0 && facts.created == 1)
            #expect(server.waitingRequestCount == 0)
        }
    }
}
