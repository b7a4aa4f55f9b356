import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Clients that do not read, and many at once, harm nobody", .serialized, .timeLimit(.minutes(5)))
struct SlowClientTests {
    /// An origin that sends without end; the proxy must not take more than it can pass on.
    private static let endless = OriginScript { connection in
        _ = try await connection.expectRequest()
        try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        let block = [UInt8](repeating: 120, count: 65_536)
        while true { try await connection.send(block) }
    }

    private static var smallBuffers: SocketOptions { SocketOptions(sendBufferSize: 8_192, receiveBufferSize: 8_192) }

    enum Limit: CaseIterable, Sendable { case writeTimeout, minimumRate }

    @Test(arguments: Limit.allCases, ProxyKind.allCases)
    func notReading(limit: Limit, kind: ProxyKind) async throws {
        var options = HttpServerOptions()
        switch limit {
        case .writeTimeout: options.writeTimeout = .milliseconds(50)
        case .minimumRate: options.minimumSendRate = 1_000_000_000
        }
        try await withProxy(kind, Self.endless, server: options, connection: Self.smallBuffers) { service, origin in
            let client = try await RawClient.connect(to: service.address, options: Self.smallBuffers)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await service.diary.wait(for: "logged WriteTimedOut")
            try await origin.wait { $0.openConnectionCount == 0 }
            try await client.awaitClose()
            #expect(service.diary.lines.count == 1)
        }
    }

    /// A service that ends drops what is in flight, upstream too, and logs it once.
    @Test(arguments: ProxyKind.allCases)
    func cancelled(kind: ProxyKind) async throws {
        try await withProxy(kind, .stalling) { service, origin in
            let client = try await RawClient.connect(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await origin.wait { $0.requestCount == 1 }
            service.signals.send(.fastShutdown)
            try await client.awaitClose()
            try await origin.wait { $0.openConnectionCount == 0 }
            try await service.diary.wait(for: "logged Cancelled")
            #expect(service.diary.lines.count == 1)
        }
    }

    /// Many clients on several threads in both flavours; each gets its own answers, in order.
    @Test(arguments: ExecutorFlavor.allCases)
    func manyAtOnce(flavor: ExecutorFlavor) async throws {
        let script = OriginScript { connection in
            while let request = try await connection.nextRequest() {
                let body = request.target + request.text
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            }
        }
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(script) { origin in
                let diary = Diary()
                var listeners = Listeners()
                listeners.add(try loopback())
                let service = httpProxyService(
                    WatchingProxy(peer: HttpPeer(origin.address), diary: diary),
                    listeners: listeners,
                    threadCount: 3,
                    flavor: flavor,
                    logger: silentLogger
                )
                try await withService(service, diary: diary) { running in
                    let address = running.address
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for name in 0..<24 {
                            group.addTask {
                                try await RawClient.withConnection(to: address) { client in
                                    for index in 0..<20 {
                                        let head =
                                            "POST /\(name)/\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
                                        let response = try await client.exchange(head + "!")
                                        #expect(response.text == "/\(name)/\(index)!")
                                    }
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                    try await diary.wait(for: "logged 200", count: 480)
                    #expect(origin.connectionCount <= 24)
                }
            }
        }
    }
}
