import HTTPCodecs
import HTTPTypes

/// What came of parsing a head: everything that one can see of it, or the error.
enum HeadOutcome: Equatable {
    case request(consumed: Int, method: String, target: String, HTTPVersion, [HeaderMap.Field], wire: String)
    case response(consumed: Int, status: Int, reason: String, HTTPVersion, [HeaderMap.Field], wire: String)
    case incomplete
    case failure(HTTP1.ParseError)

    /// Gives the parser growing beginnings of `bytes`: those of `counts`, then all.
    static func ofRequest(
        _ bytes: [UInt8],
        counts: [Int] = [],
        limits: HTTP1.Limits = HTTP1.Limits(),
        level: UInt32 = 2
    ) -> HeadOutcome {
        var parser = HTTP1.HeadParser(limits: limits, highestLevel: level)
        var head = RequestHeader()
        do throws(HTTP1.ParseError) {
            for count in counts + [bytes.count] {
                guard let consumed = try parser.feed(bytes, first: count, into: &head) else { continue }
                return .request(
                    consumed: consumed,
                    method: head.method.rawValue,
                    target: head.target,
                    head.version,
                    Array(head.headers),
                    wire: head.wireText
                )
            }
            return .incomplete
        } catch { return .failure(error) }
    }

    /// As `ofRequest`, for a response.
    static func ofResponse(
        _ bytes: [UInt8],
        counts: [Int] = [],
        limits: HTTP1.Limits = HTTP1.Limits(),
        level: UInt32 = 2
    ) -> HeadOutcome {
        var parser = HTTP1.HeadParser(limits: limits, highestLevel: level)
        var head = ResponseHeader(statusCode: 200)
        do throws(HTTP1.ParseError) {
            for count in counts + [bytes.count] {
                guard let consumed = try parser.feed(bytes, first: count, into: &head) else { continue }
                return .response(
                    consumed: consumed,
                    status: head.statusCode,
                    reason: head.reason,
                    head.version,
                    Array(head.headers),
                    wire: head.wireText
                )
            }
            return .incomplete
        } catch { return .failure(error) }
    }
}
