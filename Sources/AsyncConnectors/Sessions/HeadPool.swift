internal import AsyncTransport
package import HTTPCodecs

/// Heads of one worker that no exchange uses now; the last one given back is used first, while its memory is in the cache.
///
/// So a head's memory belongs to the exchange, not to the connection: hundreds of busy connections share a few heads that are hot, and idle
/// ones have none.
package final class HeadPool {
    private var requests: [RequestHeader] = []
    private var responses: [ResponseHeader] = []

    /// About a kilobyte each.
    private static let retainedCount = 256
    /// A head that has grown beyond this is let go.
    private static let retainedByteCount = 4_096

    private init() {}

    /// The calling worker's; nil on a thread that is no worker.
    private static var ofCurrentThread: HeadPool? {
        if let pool = ThreadContext.attachment(HeadPool.self) { return pool }
        ThreadContext.attach(HeadPool())
        return ThreadContext.attachment(HeadPool.self)
    }

    /// A request head to be overwritten.
    package static func takeRequest() -> RequestHeader {
        guard let pool = ofCurrentThread, !pool.requests.isEmpty else { return RequestHeader() }
        return pool.requests.removeLast()
    }

    /// A response head to be overwritten.
    package static func takeResponse() -> ResponseHeader {
        guard let pool = ofCurrentThread, !pool.responses.isEmpty else { return ResponseHeader(statusCode: 200) }
        return pool.responses.removeLast()
    }

    /// A request head whose memory may be used, if there is one.
    static func takeSpareRequest() -> RequestHeader? { ofCurrentThread?.requests.popLast() }

    /// A response head whose memory may be used, if there is one.
    static func takeSpareResponse() -> ResponseHeader? { ofCurrentThread?.responses.popLast() }

    /// Lets another exchange use the memory of a request head, unless a copy of it is still in use; leaves an empty one.
    package static func give(_ request: inout RequestHeader) {
        // Moved out of its place: a copy counts references.
        var given = RequestHeader()
        swap(&given, &request)
        if given.headers.isUnshared, let pool = ofCurrentThread, pool.requests.count < retainedCount,
            given.headers.capacity <= retainedByteCount
        {
            pool.requests.append(consume given)
        }
    }

    /// Lets another exchange use the memory of a response head, unless a copy of it is still in use; leaves an empty one.
    package static func give(_ response: inout ResponseHeader) {
        var given = noResponse
        swap(&given, &response)
        if given.headers.isUnshared, let pool = ofCurrentThread, pool.responses.count < retainedCount,
            given.headers.capacity <= retainedByteCount
        {
            pool.responses.append(consume given)
        }
    }

    private static let noResponse = ResponseHeader(statusCode: 200)
}
