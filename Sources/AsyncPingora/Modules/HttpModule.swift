public import AsyncTransport
public import HTTPCodecs

/// A piece of behaviour that works on requests and responses beside the proxy's own callbacks, such as compression.
///
/// One instance is made per request. Every hook has a default that changes nothing. An error fails the request.
public protocol HttpModule: AnyObject {
    /// Sees the request head before `requestFilter`.
    func requestHeaderFilter(_ request: inout RequestHeader) async throws
    /// Sees each chunk of the request body before `requestBodyFilter`. Setting it to nil withholds the chunk.
    func requestBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws
    /// Sees the response head after `responseFilter`, informational ones too, before it is written.
    func responseHeaderFilter(_ response: inout ResponseHeader) async throws
    /// Sees each chunk of the response body after `responseBodyFilter`. Setting it to nil withholds the chunk.
    func responseBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws
    /// Sees the response's trailers. What it returns is written at the end of the body.
    func responseTrailerFilter(_ trailers: inout HeaderMap) async throws -> Bytes?
    /// Is called when the body is complete. What it returns is written at its end.
    func responseDoneFilter() async throws -> Bytes?
}

extension HttpModule {
    /// Changes nothing.
    public func requestHeaderFilter(_ request: inout RequestHeader) async throws {}
    /// Changes nothing.
    public func requestBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws {}
    /// Changes nothing.
    public func responseHeaderFilter(_ response: inout ResponseHeader) async throws {}
    /// Changes nothing.
    public func responseBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws {}
    /// Changes nothing.
    public func responseTrailerFilter(_ trailers: inout HeaderMap) async throws -> Bytes? { nil }
    /// Adds nothing.
    public func responseDoneFilter() async throws -> Bytes? { nil }
}

/// The modules of a service, in the order they run: for each request each of them is made once.
public struct HttpModules: Sendable {
    private struct Entry: Sendable {
        let order: Int
        let type: ObjectIdentifier
        let make: @Sendable () -> any HttpModule
    }

    private var entries: [Entry] = []

    /// Makes an empty set.
    public init() {}

    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }

    /// Adds a module.
    ///
    /// A higher `order` runs earlier, in every hook; equal ones run in the order they were added.
    ///
    /// There is one module of a type: adding another of the same type replaces the first.
    public mutating func add<Module: HttpModule>(
        _ type: Module.Type,
        order: Int = 0,
        make: @escaping @Sendable () -> Module
    ) {
        entries.removeAll { $0.type == ObjectIdentifier(type) }
        let index = entries.firstIndex { $0.order < order } ?? entries.endIndex
        entries.insert(Entry(order: order, type: ObjectIdentifier(type), make: make), at: index)
    }

    func makeContext() -> HttpModuleContext {
        entries.isEmpty ? HttpModuleContext() : HttpModuleContext(modules: entries.map { $0.make() })
    }
}

/// The modules of one request.
public struct HttpModuleContext {
    private var modules: [any HttpModule] = []

    init() {}

    init(modules: [any HttpModule]) {
        self.modules = modules
    }

    /// The request's module of this type; nil when the service has none.
    public func module<Module: HttpModule>(_ type: Module.Type) -> Module? {
        for case let module as Module in modules { return module }
        return nil
    }

    var isEmpty: Bool { modules.isEmpty }

    func filterRequestHeader(_ request: inout RequestHeader) async throws {
        for module in modules { try await module.requestHeaderFilter(&request) }
    }

    func filterRequestBody(_ body: inout Bytes?, endOfStream: Bool) async throws {
        for module in modules { try await module.requestBodyFilter(&body, endOfStream: endOfStream) }
    }

    func filterResponseHeader(_ response: inout ResponseHeader) async throws {
        for module in modules { try await module.responseHeaderFilter(&response) }
    }

    func filterResponseBody(_ body: inout Bytes?, endOfStream: Bool) async throws {
        for module in modules { try await module.responseBodyFilter(&body, endOfStream: endOfStream) }
    }

    func filterResponseTrailers(_ trailers: inout HeaderMap) async throws -> [Bytes] {
        var extra: [Bytes] = []
        for module in modules {
            if let bytes = try await module.responseTrailerFilter(&trailers) { extra.append(bytes) }
        }
        return extra
    }

    func finishResponse() async throws -> [Bytes] {
        var extra: [Bytes] = []
        for module in modules {
            if let bytes = try await module.responseDoneFilter() { extra.append(bytes) }
        }
        return extra
    }
}
