import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Glibc
import HTTPCodecs
import Testing

@Suite("A connection that has rested goes on as if it had not", .serialized, .timeLimit(.minutes(5)))
struct RestingTests {
    /// Counts requests per connection; `/short` connections are closed soon, long after the others have gone to rest.
    private struct Proxy: ProxyHttp {
        let peer: HttpPeer
        let diary: Diary

        func newContext() -> Int { 1 }
        func upstreamPeer(_ session: Session, context: inout Int) async throws -> HttpPeer { peer }

        func requestFilter(_ session: Session, context: inout Int) async throws -> RequestDisposition {
            if session.request.path == "/short" { session.options.keepAliveTimeout = .milliseconds(600) }
            return .forward
        }

        func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Int) async throws {
            response.headers.set("X-Count", integer: context)
        }

        func persistConnectionContext(_ session: Session, context: Int) -> (any Sendable)? { context }

        func onConnectionReuse(_ session: Session, context: inout Int, previous: any Sendable) {
            context += previous as? Int ?? 1_000
        }
    }

    @Test func goesOn() async throws {
        try await withProxy(.ok("hello"), make: Proxy.init) { service, _ in
            var clients: [RawClient] = []
            for _ in 0..<8 { clients.append(try await RawClient.connect(to: service.address)) }
            // One that is silent so far, one in the middle of a head.
            let silent = try await RawClient.connect(to: service.address)
            let slow = try await RawClient.connect(to: service.address)
            try await slow.send("GET / HTTP/1.1\r\nHo")
            for count in 1...3 {
                for client in clients {
                    let response = try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response["x-count"] == "\(count)")
                }
                // By the time that this one is closed, the others have rested for a while.
                let timer = try await RawClient.connect(to: service.address)
                #expect(try await timer.exchange("GET /short HTTP/1.1\r\nHost: a\r\n\r\n").text == "hello")
                #expect(try await timer.receiveToEnd().isEmpty)
            }
            #expect(try await silent.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")["x-count"] == "1")
            #expect(try await slow.exchange("st: a\r\n\r\n")["x-count"] == "1")
            // Those that rest end with the service, at once.
            service.signals.send(.gracefulShutdown)
            for client in clients { #expect(try await client.receiveToEnd().isEmpty) }
        }
    }

    /// A request that has reached the machine when the service begins to end is answered, though nobody has looked at it by then.
    ///
    /// The service's only thread is held up until the requests are there and the end has begun.
    @Test func asksAsTheServiceEnds() async throws {
        let diary = Diary()
        let isGoing = Lock(false)
        try await withServer { session in
            switch session.request.path {
            case "/short":
                session.options.keepAliveTimeout = .milliseconds(600)
            case "/block":
                diary.note("blocks")
                while !isGoing.withLock({ $0 }) || !session.isShuttingDown { sched_yield() }
            default:
                break
            }
            try await session.respond(.ok, body: Bytes(session.request.path))
        } _: { service in
            let resting = try await RawClient.connect(to: service.address)
            #expect(try await resting.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").text == "/first")
            let silent = try await RawClient.connect(to: service.address)
            // By the time that this one is closed, the other has rested for a while.
            let timer = try await RawClient.connect(to: service.address)
            #expect(try await timer.exchange("GET /short HTTP/1.1\r\nHost: a\r\n\r\n").text == "/short")
            #expect(try await timer.receiveToEnd().isEmpty)
            let fresh = try await RawClient.connect(to: service.address)
            #expect(try await fresh.exchange("GET /fresh HTTP/1.1\r\nHost: a\r\n\r\n").text == "/fresh")
            let blocking = try await RawClient.connect(to: service.address)
            try await blocking.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
            try await diary.wait(for: "blocks")
            for client in [resting, fresh] { try await client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n") }
            service.signals.send(.gracefulShutdown)
            isGoing.withLock { $0 = true }
            for client in [resting, fresh] {
                let response = try await client.receiveResponse()
                #expect(response.text == "/late")
                #expect(response["connection"] == "close")
            }
            #expect(try await blocking.receiveResponse().text == "/block")
            #expect(try await silent.receiveToEnd().isEmpty)
        }
    }
}
