import AsyncPingoraTesting
import AsyncTransport
import CNonBlockingIO
import Glibc
import Synchronization
import Testing

/// Carries what is confined to one task at a time from one task to the next.
struct Handover<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}

/// Fails the test instead of hanging it: long enough for the slowest machine.
let patience: Duration = .seconds(120)

/// A generator whose sequence depends on the seed alone, so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func loopback(port: UInt16 = 0) throws -> SocketAddress {
    try #require(SocketAddress(host: "127.0.0.1", port: port))
}

/// A path for a Unix-domain socket that no other test uses.
func freshUnixAddress() throws -> SocketAddress {
    let number = UInt64.random(in: 0 ... .max)
    return try #require(SocketAddress(unixPath: "/tmp/async-pingora-test-\(getpid())-\(String(number, radix: 36))"))
}

/// A semaphore that blocks its thread, as a callback that does blocking work would.
@safe final class ThreadGate: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func open() {
        unsafe sem_post(semaphore)
    }

    /// False when nobody opened the gate within the test's patience.
    func wait() -> Bool {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        time.tv_sec += Int(patience.components.seconds)
        return unsafe sem_timedwait(semaphore, &time) == 0
    }
}

/// Two connected sockets of the calling worker, attached to one parker.
func withSocketPair<Result>(
    at address: SocketAddress? = nil,
    options: SocketOptions = SocketOptions(),
    _ body: nonisolated(nonsending) (SocketStream, SocketStream, Parker) async throws -> Result
) async throws -> Result {
    try await withParker { parker in
        var listening = ListenerOptions()
        listening.connection = options
        let listener = try ListeningSocket(address: address ?? loopback(), options: listening)
        defer {
            listener.close()
            if let path = listener.address.unixPath { unsafe unlink(path) }
        }
        try listener.register(parker: parker)
        let near = try await SocketStream.connect(
            to: listener.address,
            options: SocketStream.ConnectOptions(socket: options),
            deadline: .after(patience),
            parker: parker
        )
        while true {
            switch try listener.tryAccept() {
            case .connection(let socket):
                let far = try #require(try socket.open())
                far.attach(to: parker)
                defer {
                    near.close(reset: false)
                    far.close(reset: false)
                }
                return try await body(near, far, parker)
            case .wouldBlock:
                await parker.park(until: .after(patience))
            }
        }
    }
}

extension ByteStream {
    func write(_ text: String) async throws(TransportError) {
        var queue = OutputQueue()
        queue.append(Bytes(text))
        try await write(&queue, deadline: .after(patience))
    }

    /// What one read brings; nil at the end of the stream.
    func readText() async throws(TransportError) -> String? {
        let buffer = IOBuffer()
        guard try await read(into: buffer, deadline: .after(patience)) else { return nil }
        return Bytes(of: buffer, 0..<buffer.count).description
    }
}

/// A number that tasks on several threads count up.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    var count: Int { value.load(ordering: .relaxed) }

    func add() {
        value.add(1, ordering: .relaxed)
    }
}
