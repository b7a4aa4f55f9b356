import AsyncPingora
import AsyncPingoraTesting
import CAllocationCounter
import Testing

/// Notes at the end of each request how much its worker has allocated so far.
private struct AllocationCountingProxy: ProxyHttp {
    let peer: HttpPeer
    let counts: Lock<[Int]>

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer { peer }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        counts.withLock { $0.append(cac_thread_allocations()) }
    }
}

@Suite("A request on connections that are open allocates next to nothing", .serialized)
struct AllocationTests {
    @Test(.enabled(if: cac_thread_allocations() >= 0), .timeLimit(.minutes(5)))
    func keepAliveRequest() async throws {
        let least = try await leastAllocations { service, requestCount in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<requestCount {
                    _ = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n")
                }
            }
        }
        // A debug build makes 14, most of which the optimiser keeps on the stack: this holds that number, not the optimised one.
        #expect(least <= 14, "\(least) allocations per request")
    }

    /// Not those of the stream itself: the objects of streams that are over are used again.
    ///
    /// The number is a debug build's, too.
    @Test(.enabled(if: cac_thread_allocations() >= 0), .timeLimit(.minutes(5)))
    func http2Request() async throws {
        let least = try await leastAllocations { service, requestCount in
            let client = try await service.client()
            for _ in 0..<requestCount { _ = try await client.finish(try await client.request("GET", "/")) }
        }
        #expect(least <= 27, "\(least) allocations per request")
    }

    /// Has requests made one after the other, and counts what the proxy's worker allocates from the end of one to the end of the next.
    private func leastAllocations(
        _ ask: @escaping @Sendable (RunningService, _ requestCount: Int) async throws -> Void
    ) async throws -> Int {
        let requestCount = 300
        let counts = Lock<[Int]>([])
        counts.withLock { $0.reserveCapacity(requestCount) }
        let make: @Sendable (HttpPeer, Diary) -> AllocationCountingProxy = { peer, _ in
            AllocationCountingProxy(peer: peer, counts: counts)
        }
        var options = HttpServerOptions()
        options.allowsH2C = true
        try await withProxy(.ok("hello"), server: options, make: make) { service, _ in
            try await ask(service, requestCount)
        }
        let totals = counts.withLock { $0 }
        #expect(totals.count == requestCount)
        // The first requests make the pools and tables that later ones use again. Of those, the least disturbed counts: on a busy machine
        // a connection may come to rest between two requests, and has to get a task again.
        return try #require(zip(totals.dropFirst(), totals).map { $0 - $1 }.dropFirst(100).min())
    }
}
