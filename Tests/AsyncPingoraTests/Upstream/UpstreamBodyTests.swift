import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Bodies stream both ways at once, whatever their size and whoever is done first")
struct UpstreamBodyTests {
    @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func duplexEcho(isChunked: Bool) async throws {
        let total = 1_048_576
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            if isChunked {
                // The chunks are the proxy's own: take them apart by size.
                var left = total
                while left > 0 {
                    let line = try await connection.receive(upThrough: "\r\n").dropLast(2)
                    guard let size = Int(String(decoding: line, as: UTF8.self), radix: 16) else { return }
                    try await connection.send(try await connection.receive(count: size))
                    _ = try await connection.receive(count: 2)
                    left -= size
                }
                _ = try await connection.receive(upThrough: "0\r\n\r\n")
            } else {
                var left = total
                while left > 0 {
                    let some = try await connection.receiveSome()
                    left -= some.count
                    try await connection.send(some)
                }
            }
            _ = try await connection.nextRequest()
        }
        try await withUpstream(script) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(total)"
                try await client.send("POST /echo HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
                var received = 0
                let block = 65_536
                // Each block comes back before the next is sent: nothing may wait for the end of the request.
                for round in 0..<(total / block) {
                    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: block)
                    if isChunked { try await client.send("10000\r\n") }
                    try await client.send(bytes)
                    if isChunked { try await client.send("\r\n") }
                    if round == 0 {
                        let head = RawMessage(head: try await client.receiveHead())
                        #expect(head.status == 200)
                    }
                    let echoed = try await client.receive(count: block)
                    #expect(echoed == bytes)
                    received += echoed.count
                }
                if isChunked { try await client.send("0\r\n\r\n") }
                #expect(received == total)
            }
            let entries = try await fixture.journal.logged()
            #expect(entries.first?.error == nil)
        }
    }

    @Test(.timeLimit(.minutes(5))) func largeUpload() async throws {
        let total = 15_000_000
        let script = OriginScript { connection in
            guard let head = try await connection.nextRequestHead() else { return }
            var left = Int(head["content-length"] ?? "") ?? 0
            while left > 0 { left -= try await connection.receiveSome().count }
            try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            _ = try await connection.nextRequest()
        }
        try await withUpstream(script) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\n\r\n")
                let block = [UInt8](repeating: 7, count: 1_000_000)
                for _ in 0..<(total / block.count) { try await client.send(block) }
                let response = try await client.receiveResponse()
                #expect(response.text == "done")
                #expect(response["connection"] != "close")
            }
            // The connection goes back before the request is logged, and after its response has left.
            _ = try await fixture.journal.logged()
            #expect(await fixture.connector.poolFacts().idle == 1)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func earlyResponse(staysOpen: Bool) async throws {
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
            if staysOpen { try await connection.stall() }
        }
        try await withUpstream(script) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000000\r\n\r\nabc")
                let response = try await client.receiveResponse()
                #expect(response.status == 413)
                #expect(response.text == "big")
                #expect(response["connection"] == "close")
            }
            let entries = try await fixture.journal.logged()
            #expect(entries.first?.error == nil)
            try await fixture.origin.wait { $0.openConnectionCount == 0 }
            #expect(await fixture.connector.poolFacts().idle == 0)
        }
    }

    @Test(.timeLimit(.minutes(5))) func earlyResponseWhileTheUploadIsStuck() async throws {
        // The origin reads nothing of the body, so both the proxy's and the kernel's buffers are full when the answer comes.
        let script = OriginScript { connection in
            guard try await connection.nextRequestHead() != nil else { return }
            try await connection.origin.wait { $0.requestCount == 1 }
            try await connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
            connection.closeWrite()
            try await connection.stall()
        }
        try await withUpstream(script) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150000000\r\n\r\n")
                let block = [UInt8](repeating: 7, count: 1_000_000)
                _ = try await client.sendUntilFull(block)
                let response = try await client.receiveResponse()
                #expect(response.status == 413)
                #expect(response.text == "big")
            }
            let entries = try await fixture.journal.logged()
            #expect(entries.first?.error == nil)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["1.1", "1.0"]) func untilClose(client: String) async throws {
        for upstream in ["1.1", "1.0"] {
            try await withUpstream(.sequence(["HTTP/\(upstream) 200 OK\r\n\r\nall of it"])) { fixture in
                let outcome = try await fixture.outcome(
                    of: "GET / HTTP/\(client)\r\nHost: a\r\nConnection: close\r\n\r\n"
                )
                #expect(outcome.looksComplete)
                #expect(outcome.head?.startLine == "HTTP/1.1 200 OK")
                #expect((outcome.head?["transfer-encoding"] == "chunked") == (client == "1.1"))
                #expect(outcome.text.contains("all of it"))
                #expect(try await fixture.journal.logged().first?.error == nil)
                #expect(await fixture.connector.poolFacts().idle == 0)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func untilCloseKeepsTheClient() async throws {
        try await withUpstream(.sequence(["HTTP/1.0 200 OK\r\n\r\none"])) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                for _ in 0..<3 {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.text == "one")
                    #expect(response["connection"] != "close")
                }
            }
            #expect(fixture.origin.connectionCount == 3)
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: ["HTTP/1.0 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"]
    )
    func withoutBody(answer: String) async throws {
        try await withUpstream(.replying(answer)) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect([204, 304].contains(response.status))
                    #expect(response.body.isEmpty)
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func headAfterContinue() async throws {
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
        try await withUpstream(.replying(answer)) { fixture in
            try await RawClient.withConnection(to: fixture.proxy) { client in
                for _ in 0..<2 {
                    let response = try await client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.status == 200)
                    #expect(response["content-length"] == "10")
                }
            }
            #expect(fixture.origin.connectionCount == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func informationalHeadsPassInOrder() async throws {
        let answer = """
            HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok
            """
        try await withUpstream(.replying(answer)) { fixture in
            let outcome = try await fixture.outcome(of: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(
                outcome.text.hasPrefix(
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK"
                )
            )
            let old = try await fixture.outcome(of: "GET / HTTP/1.0\r\n\r\n")
            #expect(old.status == 200)
        }
    }
}
