public import AsyncTransport
internal import Glibc

/// Threads for a test: sockets, deadlines and streams exist only in tasks that run on a service's workers.
public enum TestExecutor {
    /// Runs `body` on the first worker of a new executor and ends its threads when it returns or throws.
    ///
    /// Child tasks that `body` adds to groups run there too. Tasks that it lets escape do not keep the threads alive.
    /// - Parameters:
    ///   - threads: how many workers the executor has.
    ///   - flavor: how they share tasks.
    ///   - body: what to run; it gets the executor to place tasks on other workers.
    /// - Returns: what `body` returns.
    /// - Throws: ``/AsyncTransport/TransportError`` when descriptors or threads have run out; else what `body` throws.
    public static func withExecutor<Result: Sendable>(
        threads: Int = 1,
        flavor: ExecutorFlavor = .pinned,
        _ body: @escaping @Sendable (ServiceExecutor) async throws -> Result
    ) async throws -> Result {
        let executor = try ServiceExecutor(name: "test", threadCount: threads, flavor: flavor)
        // A child task, not withTaskExecutorPreference: that leaves a body which inherits its caller's isolation where it is.
        let outcome = await withTaskGroup(of: Swift.Result<Result, any Error>.self) { group in
            group.addTask(executorPreference: executor.nextExecutor()) {
                do {
                    return .success(try await body(executor))
                } catch {
                    return .failure(error)
                }
            }
            return await group.next() ?? .failure(CancellationError())
        }
        await BlockingCall.run { executor.shutdown() }
        return try outcome.get()
    }
}

/// Work that blocks, on a thread of its own: Swift's cooperative threads are as few as the cores and must not wait for a join.
enum BlockingCall {
    private final class Start {
        private var body: (@Sendable () -> Void)?
        private let continuation: CheckedContinuation<Void, Never>

        init(body: @escaping @Sendable () -> Void, continuation: CheckedContinuation<Void, Never>) {
            self.body = body
            self.continuation = continuation
        }

        /// Does the work and lets go of what it held before the task goes on.
        func run() {
            body?()
            body = nil
            continuation.resume()
        }
    }

    static func run(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            // SAFETY: the +1 taken here is given back by the thread, or below when there is none.
            let start = unsafe Unmanaged.passRetained(Start(body: body, continuation: continuation))
            var thread = pthread_t()
            let result = unsafe pthread_create(
                &thread,
                nil,
                { raw in
                    guard let raw = unsafe raw else { return nil }
                    let start = unsafe Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
                    start.run()
                    return nil
                },
                start.toOpaque()
            )
            if result == 0 {
                pthread_detach(thread)
            } else {
                unsafe start.release()
                body()
                continuation.resume()
            }
        }
    }
}
