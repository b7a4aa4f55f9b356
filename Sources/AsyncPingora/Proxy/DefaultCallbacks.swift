internal import Synchronization

/// Callbacks of a ``ProxyHttp`` that do nothing because its type leaves them at their default.
struct DefaultCallbacks: OptionSet, Sendable {
    let rawValue: UInt32

    static let earlyRequestFilter = DefaultCallbacks(rawValue: 1 << 0)
    static let requestFilter = DefaultCallbacks(rawValue: 1 << 1)
    static let proxyUpstreamFilter = DefaultCallbacks(rawValue: 1 << 2)
    static let connectedToUpstream = DefaultCallbacks(rawValue: 1 << 3)
    static let upstreamRequestFilter = DefaultCallbacks(rawValue: 1 << 4)
    static let requestBodyFilter = DefaultCallbacks(rawValue: 1 << 5)
    static let upstreamResponseFilter = DefaultCallbacks(rawValue: 1 << 6)
    static let responseFilter = DefaultCallbacks(rawValue: 1 << 7)
    static let upstreamResponseBodyFilter = DefaultCallbacks(rawValue: 1 << 8)
    static let responseBodyFilter = DefaultCallbacks(rawValue: 1 << 9)
    static let logging = DefaultCallbacks(rawValue: 1 << 10)
}

/// What a service has learned of its proxy type's callbacks.
///
/// Each default says so when it is called, which the first request does; from then on it is passed over. Calling an `async` requirement
/// costs about 80 ns even when it does nothing, for the runtime makes sure of the executor on return, and there are a dozen per request.
final class CallbackProfile: Sendable {
    private let proxyType: ObjectIdentifier
    private let bits = Atomic<UInt32>(0)

    init<Proxy>(of type: Proxy.Type) {
        proxyType = ObjectIdentifier(type)
    }

    var defaults: DefaultCallbacks { DefaultCallbacks(rawValue: bits.load(ordering: .relaxed)) }

    /// A default of `type` was called.
    ///
    /// One that a wrapper calls on the proxy inside it says nothing about the wrapper.
    func note<Proxy>(_ callback: DefaultCallbacks, of type: Proxy.Type) {
        guard ObjectIdentifier(type) == proxyType else { return }
        bits.bitwiseOr(callback.rawValue, ordering: .relaxed)
    }
}
