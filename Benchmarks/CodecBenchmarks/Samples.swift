import HTTPCodecs

/// Messages as they come from the wire.
enum Samples {
    static let smallRequest = lines([
        "GET /small HTTP/1.1",
        "Host: 127.0.0.1:8080",
        "User-Agent: bench",
        "Accept: */*",
    ])

    static let browserRequest = lines([
        "GET /articles/2024/on-proxies?page=2 HTTP/1.1",
        "Host: www.example.org",
        "Connection: keep-alive",
        "sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"",
        "sec-ch-ua-mobile: ?0",
        "sec-ch-ua-platform: \"Linux\"",
        "Upgrade-Insecure-Requests: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Mode: navigate",
        "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
        "Cookie: session=5f2b6c1e9a7d4f30b8e1c2d3; theme=dark; consent=yes",
    ])

    static let response = lines([
        "HTTP/1.1 200 OK",
        "Server: nginx/1.22.1",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT",
        "Content-Type: text/plain",
        "Content-Length: 13",
        "Connection: keep-alive",
        "Cache-Control: public, max-age=3600",
        "ETag: \"5f3c-1a2b3c4d5e6f\"",
        "Vary: Accept-Encoding",
        "X-Content-Type-Options: nosniff",
        "Strict-Transport-Security: max-age=63072000; includeSubDomains",
    ])

    static func chunkedBody(chunks: Int, size: Int) -> [UInt8] {
        let chunk = Array((String(size, radix: 16) + "\r\n").utf8) + Array(repeating: 0x78, count: size) + [13, 10]
        return (0..<chunks).flatMap { _ in chunk } + Array("0\r\n\r\n".utf8)
    }

    static func parsed(_ bytes: [UInt8]) throws -> RequestHeader {
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var request = RequestHeader()
        _ = try parser.parseRequest(bytes.span.bytes, into: &request)
        return request
    }

    static func serialize(_ request: RequestHeader, into output: inout [UInt8]) -> Int {
        output.withUnsafeMutableBytes { buffer in
            var span = OutputRawSpan(buffer: buffer, initializedCount: 0)
            request.serialize(into: &span)
            return span.finalize(for: buffer)
        }
    }

    private static func lines(_ lines: [String]) -> [UInt8] {
        Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}
