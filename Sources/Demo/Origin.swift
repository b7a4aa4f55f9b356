import AsyncPingora

/// The origin of the demonstration: answers that are handy for trying a proxy.
struct Origin: ServeHttp {
    /// One response may not be larger.
    private static let maximumByteCount = 1 << 30

    func serve(_ session: Session) async throws {
        let path = session.request.path
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        let number = parts.count > 1 ? Int(parts[1]) : nil
        switch (parts.first ?? "", number) {
        case ("", _):
            try await text(session, "hello from AsyncPingora\n")
        case ("bytes", let count?) where (0...Self.maximumByteCount).contains(count):
            try await bytes(session, count: count, isChunked: false)
        case ("chunked", let count?) where (0...Self.maximumByteCount).contains(count):
            try await bytes(session, count: count, isChunked: true)
        case ("status", let status?) where (200...599).contains(status):
            try await session.respond(.init(code: status))
        case ("delay", let milliseconds?) where (0...600_000).contains(milliseconds):
            try await session.pause(for: .milliseconds(milliseconds))
            try await text(session, "waited \(milliseconds) ms\n")
        case ("headers", _):
            let lines = session.request.headers.map { "\($0.name): \($0.value)\n" }.joined()
            try await text(session, "\(session.request.method.rawValue) \(session.request.target)\n\(lines)")
        case ("echo", _):
            try await echo(session)
        case ("drip", _):
            try await drip(session)
        case ("upgrade", _):
            try await upgrade(session)
        default:
            try await session.respond(.notFound, body: Bytes("no such path: try /, /bytes/N, /echo, /headers\n"))
        }
    }

    private func text(_ session: Session, _ text: String) async throws {
        var headers = HeaderMap()
        headers.set(.contentType, staticBytes: "text/plain; charset=utf-8")
        try await session.respond(.ok, headers: headers, body: Bytes(text))
    }

    private static let block = Bytes(Array(repeating: UInt8(ascii: "x"), count: 65_536))

    private func bytes(_ session: Session, count: Int, isChunked: Bool) async throws {
        var response = ResponseHeader(statusCode: 200)
        response.headers.set(.contentType, staticBytes: "application/octet-stream")
        if !isChunked { response.headers.set(.contentLength, integer: count) }
        try await session.writeResponseHeader(response)
        var left = count
        while left > 0 {
            let chunk = Self.block.prefix(min(left, isChunked ? 1_000 : Self.block.count))
            try await session.writeResponseBody(chunk, endOfStream: false)
            left -= chunk.count
        }
        try await session.writeResponseBody(nil, endOfStream: true)
    }

    /// Sends the request's body back, as it comes.
    private func echo(_ session: Session) async throws {
        var response = ResponseHeader(statusCode: 200)
        if let type = session.request.headers[.contentType] { try response.headers.set(.contentType, type) }
        if let length = session.request.headers[.contentLength] { try response.headers.set(.contentLength, length) }
        guard var chunk = try await session.readRequestBody() else {
            response.headers.set(.contentLength, staticBytes: "0")
            try await session.writeResponseHeader(response, endOfStream: true)
            return
        }
        try await session.writeResponseHeader(response)
        while true {
            try await session.writeResponseBody(chunk, endOfStream: false)
            guard let next = try await session.readRequestBody() else { break }
            chunk = next
        }
        try await session.writeResponseBody(nil, endOfStream: true)
    }

    /// `?bytes=N&ms=M`: N bytes, one every M milliseconds.
    private func drip(_ session: Session) async throws {
        var values: [String: Int] = [:]
        for pair in (session.request.query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = Int(parts[1]) }
        }
        let count = min(max(values["bytes"] ?? 10, 0), 1_000_000)
        let milliseconds = min(max(values["ms"] ?? 100, 0), 60_000)
        var response = ResponseHeader(statusCode: 200)
        response.headers.set(.contentLength, integer: count)
        try await session.writeResponseHeader(response)
        for _ in 0..<count {
            try await session.pause(for: .milliseconds(milliseconds))
            try await session.writeResponseBody(Self.block.prefix(1), endOfStream: false)
        }
        try await session.writeResponseBody(nil, endOfStream: true)
    }

    /// Switches to a raw echo.
    private func upgrade(_ session: Session) async throws {
        guard let wanted = session.request.headers[.upgrade] else {
            try await session.respond(.upgradeRequired, body: Bytes("ask with an Upgrade field\n"))
            return
        }
        var response = ResponseHeader(statusCode: 101)
        response.headers.set(.connection, staticBytes: "Upgrade")
        try response.headers.set(.upgrade, wanted)
        try await session.writeResponseHeader(response)
        while let chunk = try await session.readRequestBody() {
            try await session.writeResponseBody(chunk, endOfStream: false)
        }
        try await session.writeResponseBody(nil, endOfStream: true)
    }
}
