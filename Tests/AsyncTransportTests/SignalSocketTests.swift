import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("The process's signals are a stream", .serialized, .timeLimit(.minutes(1)))
struct SignalSocketTests {
    private static let signals: [(Int32, SignalSocket.Signal)] = [
        (SIGHUP, .hangUp), (SIGUSR1, .user1), (SIGTERM, .terminate), (SIGQUIT, .quit), (SIGINT, .interrupt),
    ]

    @Test("Each signal comes as often as it is sent")
    func eachSignal() async throws {
        try await TestExecutor.withExecutor { _ in
            let socket = try SignalSocket()
            for (number, signal) in Self.signals + Self.signals {
                kill(getpid(), number)
                // A task each, as a server has it.
                let caught = await withParker { await socket.next(parker: $0) }
                #expect(caught == signal)
            }
            for (number, _) in Self.signals { kill(getpid(), number) }
            // The kernel has an order of its own for those that wait.
            var caught: Set<SignalSocket.Signal> = []
            for _ in Self.signals {
                if let signal = await withParker({ await socket.next(parker: $0) }) { caught.insert(signal) }
            }
            #expect(caught == Set(SignalSocket.Signal.allCases))
        }
    }

    @Test("Only one catches signals at a time, and the next one may when it has ended")
    func oneAtATime() throws {
        do {
            let socket = try SignalSocket()
            #expect(throws: TransportError.self) { _ = try SignalSocket() }
            withExtendedLifetime(socket) {}
        }
        _ = try SignalSocket()
    }
}
