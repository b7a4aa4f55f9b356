import AsyncConnectors
import AsyncPingoraTesting
import AsyncTransport
import Testing

@Suite("Names are resolved without blocking, and kept for as long as DNS allows", .timeLimit(.minutes(5)))
struct ResolverTests {
    private static let answers: [String: NameServer.Answer] = [
        "both.test": .addresses(["192.0.2.1", "192.0.2.2", "2001:db8::1"], ttl: 300),
        "four.test": .addresses(["192.0.2.4"], ttl: 300),
        "six.test": .addresses(["2001:db8::6"], ttl: 300),
        "fleeting.test": .addresses(["192.0.2.5"], ttl: 0),
        "other.test": .addresses(["192.0.2.6"], ttl: 400),
        "another.test": .addresses(["192.0.2.7"], ttl: 500),
        "broken.test": .failure,
        "silent.test": .silence,
    ]

    private func withResolver(
        configure: @escaping @Sendable (inout DNSResolver.Options) -> Void = { _ in },
        _ body: @escaping @Sendable (DNSResolver, NameServer) async throws -> Void
    ) async throws {
        let server = try NameServer(Self.answers)
        defer { server.stop() }
        try await TestExecutor.withExecutor { _ in
            var options = DNSResolver.Options()
            options.servers = [server.address]
            options.timeout = .seconds(60)
            options.tryTimeout = .seconds(20)
            options.negativeLifetime = .seconds(60)
            configure(&options)
            try await body(DNSResolver(options: options), server)
        }
    }

    @Test(arguments: [
        ("both.test", ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"]), ("four.test", ["192.0.2.4:80"]),
        ("SIX.test", ["[2001:db8::6]:80"]),
    ])
    func found(name: String, expected: [String]) async throws {
        try await withResolver { resolver, server in
            for _ in 0..<3 {
                let addresses = try await resolver.resolve(host: name, port: 80)
                #expect(addresses.map(\.description).sorted() == expected)
            }
            // One question for each family: what was learned is kept.
            #expect(server.count(name.lowercased()) == 2)
            #expect(try await resolver.resolve(host: name, port: 81).first?.port == 81)
            #expect(server.count(name.lowercased()) == 2)
        }
    }

    @Test func whatMayNotBeKeptIsAskedAgain() async throws {
        try await withResolver { resolver, server in
            for count in 1...3 {
                let addresses = try await resolver.resolve(host: "fleeting.test", port: 1)
                #expect(addresses.map(\.description) == ["192.0.2.5:1"])
                #expect(server.count("fleeting.test") == 2 * count)
            }
        }
    }

    @Test func absenceIsKept() async throws {
        try await withResolver { resolver, server in
            for _ in 0..<3 {
                await #expect(throws: PingoraError.self) { try await resolver.resolve(host: "no.test", port: 1) }
            }
            #expect(server.count("no.test") == 2)
        }
    }

    @Test(arguments: ["no.test", "broken.test", "silent.test", "", "a b", "a\0", String(repeating: "a", count: 300)])
    func failure(name: String) async throws {
        try await withResolver { options in
            options.timeout = name == "silent.test" ? .milliseconds(200) : .seconds(60)
            options.tryTimeout = .seconds(1)
            options.tryCount = 1
        } _: { resolver, _ in
            do {
                _ = try await resolver.resolve(host: name, port: 1)
                Issue.record("\(name) was resolved")
            } catch let error as PingoraError {
                #expect(error.kind == .resolveError)
                #expect(error.source == .upstream)
            }
        }
    }

    /// Those who ask for what is being asked already wait for the same answer.
    @Test func askedOnce() async throws {
        try await withResolver { resolver, server in
            server.hold(true)
            try await withThrowingTaskGroup(of: [SocketAddress].self) { group in
                for port in 1...20 {
                    group.addTask { try await resolver.resolve(host: "four.test", port: UInt16(port)) }
                }
                while server.heldCount < 2 { await Task.yield() }
                server.hold(false)
                var ports: [UInt16] = []
                for try await addresses in group { ports += addresses.compactMap(\.port) }
                #expect(ports.sorted() == Array(1...20))
            }
            #expect(server.count("four.test") == 2)
        }
    }

    @Test func cancelled() async throws {
        try await withResolver { options in
            options.tryTimeout = .seconds(30)
        } _: { resolver, server in
            server.hold(true)
            let kind = await withTaskGroup(of: PingoraError.Kind?.self) { group in
                group.addTask {
                    do {
                        _ = try await resolver.resolve(host: "four.test", port: 1)
                        return nil
                    } catch {
                        return (error as? PingoraError)?.kind
                    }
                }
                while server.heldCount < 2 { await Task.yield() }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(kind == .cancelled)
        }
    }

    /// The cache is bounded: what would expire first makes room.
    @Test func bounded() async throws {
        try await withResolver { options in
            options.cacheCapacity = 2
        } _: { resolver, server in
            for name in ["four.test", "other.test", "another.test", "other.test", "another.test", "four.test"] {
                _ = try await resolver.resolve(host: name, port: 1)
            }
            #expect(server.count("four.test") == 4)
            #expect(server.count("other.test") == 2)
            #expect(server.count("another.test") == 2)
        }
    }

    /// Addresses need no resolver, and `/etc/hosts` needs no server.
    @Test(arguments: [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80")])
    func numeric(host: String, expected: String) async throws {
        try await withResolver { resolver, server in
            #expect(try await resolver.resolve(host: host, port: 80).map(\.description) == [expected])
            let local = try await resolver.resolve(host: "localhost", port: 80)
            #expect(local.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
            #expect(server.count("localhost") == 0)
        }
    }

    @Test func peer() async throws {
        try await withResolver { resolver, _ in
            let peer = try await HttpPeer.resolving("four.test", port: 8_080, by: resolver, groupKey: 3)
            #expect(peer.address.description == "192.0.2.4:8080")
            #expect(peer.groupKey == 3)
        }
    }
}
