internal import AsyncTransport
package import Logging
internal import Synchronization

/// Options that many sessions have in common, held once for all of them.
package final class SharedServerOptions: Sendable {
    package let options: HttpServerOptions
    package let timeouts: ServerTimeouts
    package let logger: Logger
    /// Which of a ``ServerOptionsSource``'s they are; those that a session was given for itself are newer than all.
    let generation: Int

    package init(_ options: HttpServerOptions, logger: Logger) {
        self.options = options
        self.logger = logger
        timeouts = ServerTimeouts(options)
        generation = .max
    }

    fileprivate init(_ options: HttpServerOptions, logger: Logger, generation: Int) {
        self.options = options
        self.logger = logger
        timeouts = ServerTimeouts(options)
        self.generation = generation
    }
}

/// The options of a service, which may be replaced while it runs.
///
/// Sessions look with each request whether theirs are still the newest, which costs one relaxed load.
package final class ServerOptionsSource: Sendable {
    private let newest: Lock<SharedServerOptions>
    private let generation = Atomic<Int>(0)

    package init(_ options: HttpServerOptions, logger: Logger) {
        newest = Lock(SharedServerOptions(options, logger: logger, generation: 0))
    }

    package var current: SharedServerOptions { newest.withLock { $0 } }

    /// Replaces the options, for connections and requests that begin from now on.
    package func replace(_ options: HttpServerOptions) {
        newest.withLock { newest in
            newest = SharedServerOptions(options, logger: newest.logger, generation: newest.generation + 1)
            generation.store(newest.generation, ordering: .relaxed)
        }
    }

    /// Whether there are newer options than these.
    func hasNewer(than options: SharedServerOptions) -> Bool {
        options.generation < generation.load(ordering: .relaxed)
    }
}

/// The options' durations in nanoseconds; never is the largest number.
///
/// Converting a `Duration` costs 128-bit arithmetic.
package struct ServerTimeouts: Sendable {
    package let keepAlive: UInt64
    package let requestHead: UInt64
    package let bodyRead: UInt64
    package let write: UInt64

    init(_ options: HttpServerOptions) {
        keepAlive = options.keepAliveTimeout?.wholeNanoseconds ?? .max
        requestHead = options.requestHeadTimeout?.wholeNanoseconds ?? .max
        bodyRead = options.bodyReadTimeout?.wholeNanoseconds ?? .max
        write = options.writeTimeout?.wholeNanoseconds ?? .max
    }
}
