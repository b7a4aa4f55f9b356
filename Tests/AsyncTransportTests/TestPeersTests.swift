import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("A test can play both peers of a connection") struct TestPeersTests {
    @Test(arguments: ExecutorFlavor.allCases) func origin(flavor: ExecutorFlavor) async throws {
        try await TestExecutor.withExecutor(threads: 2, flavor: flavor) { _ in
            try await withScriptedOrigin(.ok("hello")) { origin in
                let client = try await RawClient.connect(to: origin.address)
                let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.text == "hello")
                #expect(response.status == 200)
                #expect(origin.requestCount == 1)
                client.close()
                try await origin.wait { $0.openConnectionCount == 0 }
                #expect(origin.failures.isEmpty)
            }
        }
    }

    @Test func manual() throws {
        let executor = try ManualExecutor()
        let (near, far) = MemoryStream.makePair()
        let pending = executor.start { () async throws -> Int in
            try await withParker { parker in
                near.attach(to: parker)
                let buffer = IOBuffer()
                _ = try await near.read(into: buffer, deadline: .never)
                do {
                    _ = try await near.read(into: buffer, deadline: .after(.seconds(5)))
                } catch let error as TransportError where error.isTimeout {}
                return buffer.count
            }
        }
        executor.runUntilIdle()
        far.put("abc")
        executor.runUntilIdle()
        executor.advance(by: .milliseconds(4_990))
        #expect(!pending.isFinished)
        executor.advance(by: .milliseconds(20))
        #expect(try pending.result?.get() == 3)
    }
}
