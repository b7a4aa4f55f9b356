internal import CAres
internal import CNonBlockingIO
internal import Glibc

/// Looks up names by c-ares, on a thread of its own that sleeps while nothing is asked: `/etc/hosts` first, then DNS.
///
/// The thread ends with the last reference; what is still being asked then fails.
package final class NameLookup: Sendable {
    /// What came of a look-up.
    package enum Outcome: Sendable, Equatable {
        /// The addresses, without ports and best first, and for how many seconds they may be kept.
        case found([SocketAddress], seconds: Int)
        /// There is no such name, or none with an address.
        case absent
        /// Nobody could tell.
        case failed(String, isTimeout: Bool)
    }

    private let core: Core

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - servers: whom to ask; none means those of `/etc/resolv.conf`.
    ///   - tryMilliseconds: how long the first try of a server may take, each further one longer; nil leaves it to `/etc/resolv.conf`.
    ///   - tryCount: how often each server is asked; nil leaves it to `/etc/resolv.conf`.
    /// - Throws: ``TransportError`` when c-ares or the thread cannot be had.
    package init(servers: [SocketAddress], tryMilliseconds: Int?, tryCount: Int?) throws(TransportError) {
        core = try Core(servers: servers, tryMilliseconds: tryMilliseconds, tryCount: tryCount)
        try core.start()
    }

    deinit {
        core.stop()
    }

    /// Begins to look up `host`; `answer` is called once, on the resolver's thread.
    package func begin(_ host: String, answer: @escaping @Sendable (Outcome) -> Void) {
        core.add(Core.Request(host: host, answer: answer))
    }
}

/// What the thread and its owner share.
@safe private final class Core: @unchecked Sendable {
    // SAFETY: c-ares is called on the thread alone, but for `cares_wake`, which is made for others; the thread frees it when it ends,
    // after `isStopped` was set under the lock under which all others wake it.
    private let resolver: OpaquePointer
    private let queue = Lock(Queue())

    private struct Queue {
        var requests: [Request] = []
        var isStopped = false
    }

    final class Request: Sendable {
        let host: String
        let answer: @Sendable (NameLookup.Outcome) -> Void

        init(host: String, answer: @escaping @Sendable (NameLookup.Outcome) -> Void) {
            self.host = host
            self.answer = answer
        }
    }

    init(servers: [SocketAddress], tryMilliseconds: Int?, tryCount: Int?) throws(TransportError) {
        var made: OpaquePointer?
        let list = servers.map(\.description).joined(separator: ",")
        let milliseconds = Int32(clamping: tryMilliseconds ?? 0)
        let count = Int32(clamping: tryCount ?? 0)
        let status =
            unsafe list.isEmpty
            ? cares_create(&made, nil, milliseconds, count) : cares_create(&made, list, milliseconds, count)
        guard status == 0, let made = unsafe made else {
            throw TransportError(.resolve, errno: 0, detail: unsafe String(cString: cares_error(status)))
        }
        unsafe resolver = made
    }

    func start() throws(TransportError) {
        // SAFETY: the +1 taken here is given back when the thread ends.
        let argument = unsafe Unmanaged.passRetained(self).toOpaque()
        var handle: UInt64 = 0
        let result = unsafe cnbio_thread_start(
            &handle,
            "resolver",
            { raw in
                guard let raw = unsafe raw else { return }
                unsafe Unmanaged<Core>.fromOpaque(raw).takeRetainedValue().run()
            },
            argument
        )
        guard result == 0 else {
            unsafe Unmanaged<Core>.fromOpaque(argument).release()
            unsafe cares_destroy(resolver)
            throw TransportError(.thread, errno: -result)
        }
        // Nobody waits for its end: the last reference may go on the thread itself.
        pthread_detach(pthread_t(handle))
    }

    func add(_ request: Request) {
        let isStopped = queue.withLock { (queue: inout Queue) in
            if queue.isStopped { return true }
            queue.requests.append(request)
            unsafe cares_wake(resolver)
            return false
        }
        if isStopped { request.answer(.failed("the resolver has ended", isTimeout: false)) }
    }

    func stop() {
        queue.withLock { (queue: inout Queue) in
            guard !queue.isStopped else { return }
            queue.isStopped = true
            unsafe cares_wake(resolver)
        }
    }

    private func run() {
        while true {
            let (requests, isStopped) = queue.withLock { (queue: inout Queue) in
                defer { queue.requests = [] }
                return (queue.requests, queue.isStopped)
            }
            for request in requests { begin(request) }
            if isStopped { break }
            unsafe cares_wait(resolver)
        }
        unsafe cares_destroy(resolver)
    }

    private func begin(_ request: Request) {
        // SAFETY: the +1 taken here is given back by the answer, which comes once.
        let argument = unsafe Unmanaged.passRetained(request).toOpaque()
        unsafe cares_look_up(
            resolver,
            request.host,
            { raw, status, addresses, count in
                guard let raw = unsafe raw else { return }
                let request = unsafe Unmanaged<Request>.fromOpaque(raw).takeRetainedValue()
                request.answer(unsafe Core.outcome(status, addresses, Int(count)))
            },
            argument
        )
    }

    private static func outcome(
        _ status: Int32,
        _ addresses: UnsafePointer<cares_address>?,
        _ count: Int
    ) -> NameLookup.Outcome {
        // SAFETY: c-ares passes so many addresses, each of which begins with a sockaddr_storage, and a constant text for each status.
        if cares_is_absent(status) { return .absent }
        guard status == 0 else {
            return .failed(unsafe String(cString: cares_error(status)), isTimeout: cares_is_timeout(status))
        }
        var found: [SocketAddress] = []
        var seconds = Int.max
        for index in 0..<count {
            guard let address = unsafe addresses.map({ unsafe $0 + index }) else { break }
            seconds = min(seconds, Int(unsafe address.pointee.ttl))
            let native = unsafe UnsafeRawPointer(address).assumingMemoryBound(to: sockaddr_storage.self)
            let parsed = unsafe SocketAddress(native: native, length: address.pointee.length)
            if let parsed, !found.contains(parsed) { found.append(parsed) }
        }
        return found.isEmpty ? .absent : .found(found, seconds: max(seconds, 0))
    }
}
