import HTTPCodecs
import Testing

/// The request head that these lines make.
func requestHead(_ lines: [String]) throws -> RequestHeader {
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
    var head = RequestHeader()
    let count = try parser.feed(bytes, into: &head)
    try #require(count == bytes.count)
    return head
}

/// The response head that these lines make.
func responseHead(_ lines: [String]) throws -> ResponseHeader {
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
    var head = ResponseHeader(statusCode: 200)
    let count = try parser.feed(bytes, into: &head)
    try #require(count == bytes.count)
    return head
}
