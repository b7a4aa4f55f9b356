import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A connect ends in a stream or in the reason why not")
struct ConnectTests {
    private func connecting(
        _ executor: ManualExecutor,
        to address: SocketAddress,
        options: SocketStream.ConnectOptions = SocketStream.ConnectOptions(),
        timeout: Duration = .seconds(5)
    ) -> PendingTask<Handover<SocketStream>> {
        executor.start {
            try await withParker { parker in
                let stream = try await SocketStream.connect(
                    to: address,
                    options: options,
                    deadline: .after(timeout),
                    parker: parker
                )
                stream.attach(to: nil)
                return Handover(stream)
            }
        }
    }

    @Test func nobodyListens() throws {
        let listener = try ListeningSocket(address: loopback())
        let address = listener.address
        listener.close()
        let executor = try ManualExecutor()
        let pending = connecting(executor, to: address)
        while !pending.isFinished { executor.runUntilIdle() }
        let error = #expect(throws: TransportError.self) { try pending.result?.get() }
        #expect(error?.isRefused == true)
        #expect(error?.operation == .connect)
        #expect(error?.detail == address.description)
    }

    @Test func noSuchUnixSocket() throws {
        let executor = try ManualExecutor()
        let pending = connecting(executor, to: try freshUnixAddress())
        executor.runUntilIdle()
        let error = #expect(throws: TransportError.self) { try pending.result?.get() }
        #expect(error?.isRefused == true)
    }

    /// A listener whose queue is full drops what else comes: such a connect hangs until its deadline.
    private func withFullListener(
        _ executor: ManualExecutor,
        _ body: (SocketAddress) throws -> Void
    ) throws {
        var options = ListenerOptions()
        options.backlog = 0
        let listener = try ListeningSocket(address: loopback(), options: options)
        defer { listener.close() }
        var queued: [PendingTask<Handover<SocketStream>>] = []
        // The kernel rounds the length of the queue up by one.
        for _ in 0..<2 { queued.append(connecting(executor, to: listener.address, timeout: .seconds(3_600))) }
        executor.runUntilIdle()
        try body(listener.address)
        for pending in queued { pending.cancel() }
        executor.runUntilIdle()
    }

    @Test func nobodyAcceptsInTime() throws {
        let executor = try ManualExecutor()
        try withFullListener(executor) { address in
            let pending = connecting(executor, to: address)
            executor.runUntilIdle()
            executor.advance(by: .milliseconds(4_900))
            #expect(!pending.isFinished)
            executor.advance(by: .milliseconds(200))
            let error = #expect(throws: TransportError.self) { try pending.result?.get() }
            #expect(error?.isTimeout == true)
            #expect(error?.detail == address.description)
        }
    }

    @Test func aCancelledConnectEndsAtOnce() throws {
        let executor = try ManualExecutor()
        try withFullListener(executor) { address in
            let pending = connecting(executor, to: address)
            executor.runUntilIdle()
            #expect(!pending.isFinished)
            pending.cancel()
            executor.runUntilIdle()
            let error = #expect(throws: TransportError.self) { try pending.result?.get() }
            #expect(error?.isCancellation == true)
        }
    }

    @Test func theSourceAddressIsBound() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.stalling) { origin in
                let source = SourceAddress(try #require(SocketAddress(host: "127.0.0.7", port: 0)))
                try await withParker { parker in
                    let stream = try await SocketStream.connect(
                        to: origin.address,
                        options: SocketStream.ConnectOptions(source: source),
                        deadline: .after(patience),
                        parker: parker
                    )
                    #expect(stream.localAddress?.host == "127.0.0.7")
                    stream.close(reset: false)
                }
            }
        }
    }

    @Test func aSourceAddressThatIsNotOursIsRefused() throws {
        let executor = try ManualExecutor()
        let source = SourceAddress(try #require(SocketAddress(host: "198.51.100.1", port: 0)))
        let pending = connecting(
            executor,
            to: try loopback(port: 9),
            options: SocketStream.ConnectOptions(source: source)
        )
        executor.runUntilIdle()
        let error = #expect(throws: TransportError.self) { try pending.result?.get() }
        #expect(error?.operation == .bind)
        #expect(error?.errno == EADDRNOTAVAIL)
    }
}
