import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("A listener does what its options say", .timeLimit(.minutes(5)))
struct ListenerTests {
    @Test(arguments: [UInt32(0o600), 0o660, 0o666]) func unixPermissions(mode: UInt32) throws {
        let address = try freshUnixAddress()
        let path = try #require(address.unixPath)
        var options = ListenerOptions()
        options.unixPermissions = mode
        let listener = try ListeningSocket(address: address, options: options)
        defer {
            listener.close()
            unsafe unlink(path)
        }
        var status = stat()
        #expect(unsafe stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == mode)
        // A socket that a crashed process left there does not keep its successor from starting.
        let successor = try ListeningSocket(address: address, options: options)
        successor.close()
    }

    @Test func aTakenAddressIsRefusedUnlessShared() throws {
        var shared = ListenerOptions()
        shared.reusePort = true
        let first = try ListeningSocket(address: loopback(), options: shared)
        #expect(first.address.port != 0)
        let error = #expect(throws: TransportError.self) { try ListeningSocket(address: first.address) }
        #expect(error?.operation == .bind || error?.operation == .listen)
        #expect(error?.errno == EADDRINUSE)
        #expect(error?.detail == first.address.description)
        let second = try ListeningSocket(address: first.address, options: shared)
        second.close()
        first.close()
        // Closing twice is closing once.
        first.close()
    }

    @Test func acceptedConnectionsGetTheOptions() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withParker { parker in
                var options = ListenerOptions()
                options.fastOpenQueueLength = 16
                options.connection = SocketOptions(
                    keepAlive: TCPKeepAlive(
                        idleSeconds: 7,
                        intervalSeconds: 3,
                        probeCount: 2,
                        userTimeoutMilliseconds: 900
                    ),
                    dscp: 10,
                    sendBufferSize: 20_000,
                    receiveBufferSize: 30_000
                )
                let listener = try ListeningSocket(address: loopback(), options: options)
                defer { listener.close() }
                try listener.register(parker: parker)
                #expect(try isEmpty(listener.tryAccept()))
                let client = try await RawClient.connect(to: listener.address)
                while true {
                    guard case .connection(let socket) = try listener.tryAccept() else {
                        await parker.park(until: .after(patience))
                        continue
                    }
                    #expect(socket.peer == client.localAddress)
                    let stream = try #require(try socket.open())
                    #expect(try socket.open() == nil)
                    // They are set on the listener, and inherited: what counts is what has arrived here.
                    let descriptor = try #require(openDescriptor(from: listener.address, to: client.localAddress))
                    for option in Self.inherited {
                        #expect(option.value(of: descriptor) == option.expected, "\(option)")
                    }
                    stream.close(reset: false)
                    break
                }
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    struct Option: Sendable {
        let level: Int32
        let name: Int32
        let expected: Int32

        func value(of descriptor: Int32) -> Int32? {
            var value: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            // SAFETY: value and length are lent for the length of the call.
            return unsafe getsockopt(descriptor, level, name, &value, &length) == 0 ? value : nil
        }
    }

    private static var inherited: [Option] {
        let tcp = Int32(IPPROTO_TCP)
        return [
            Option(level: tcp, name: TCP_NODELAY, expected: 1),
            Option(level: SOL_SOCKET, name: SO_KEEPALIVE, expected: 1),
            Option(level: tcp, name: TCP_KEEPIDLE, expected: 7),
            Option(level: tcp, name: TCP_KEEPINTVL, expected: 3),
            Option(level: tcp, name: TCP_KEEPCNT, expected: 2),
            Option(level: tcp, name: TCP_USER_TIMEOUT, expected: 900),
            Option(level: Int32(IPPROTO_IP), name: IP_TOS, expected: 10 << 2),
            // The kernel doubles what it is asked for, and says so.
            Option(level: SOL_SOCKET, name: SO_SNDBUF, expected: 40_000),
            Option(level: SOL_SOCKET, name: SO_RCVBUF, expected: 60_000),
        ]
    }

    /// The descriptor, in this process, of the connection between two addresses.
    private func openDescriptor(from local: SocketAddress, to peer: SocketAddress?) -> Int32? {
        (0..<4_096).first { descriptor in
            unsafe port(of: descriptor, by: getsockname) == local.port
                && port(of: descriptor, by: getpeername) == peer?.port
        }
    }

    private func port(
        of descriptor: Int32,
        by call: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
    ) -> UInt16? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: address and length are lent for the length of the call.
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call(descriptor, $0, &length) }
        }
        return result == 0 && address.sin_family == sa_family_t(AF_INET) ? UInt16(bigEndian: address.sin_port) : nil
    }

    private func isEmpty(_ accepted: ListeningSocket.Accepted) -> Bool {
        if case .wouldBlock = accepted { true } else { false }
    }

    @Test func aConnectionNobodyOpensIsClosed() async throws {
        try await TestExecutor.withExecutor { _ in
            try await withParker { parker in
                let listener = try ListeningSocket(address: loopback())
                defer { listener.close() }
                try listener.register(parker: parker)
                let client = try await RawClient.connect(to: listener.address)
                while try isEmpty(listener.tryAccept()) { await parker.park(until: .after(patience)) }
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    @Test func runningOutOfDescriptorsIsAnErrorThatPasses() async {
        await #expect(processExitsWith: .success) {
            try await TestExecutor.withExecutor { _ in
                try await withParker { parker in
                    let listener = try ListeningSocket(address: loopback())
                    try listener.register(parker: parker)
                    let client = try await RawClient.connect(to: listener.address)
                    var limit = rlimit()
                    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                    var none = rlimit(rlim_cur: 0, rlim_max: limit.rlim_max)
                    unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
                    var failures = 0
                    while failures < 3 {
                        do throws(TransportError) {
                            guard case .wouldBlock = try listener.tryAccept() else { exit(2) }
                            await parker.park(until: .after(.seconds(20)))
                        } catch {
                            guard error.isOutOfResources, error.operation == .accept else { exit(3) }
                            failures += 1
                        }
                    }
                    unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                    // The connection still waits, and no new edge is needed to take it.
                    guard case .connection = try listener.tryAccept() else { exit(4) }
                    client.close()
                    listener.close()
                }
            }
        }
    }
}
