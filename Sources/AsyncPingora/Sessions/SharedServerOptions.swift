internal import AsyncTransport

/// Options that many sessions have in common, held once for all of them.
package final class SharedServerOptions: Sendable {
    package let options: HttpServerOptions
    package let timeouts: ServerTimeouts

    package init(_ options: HttpServerOptions) {
        self.options = options
        timeouts = ServerTimeouts(options)
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
