/// What an origin does with each connection.
///
/// The connection closes when the script ends. What a script throws is kept in ``ScriptedOrigin/failures``.
public struct OriginScript: Sendable {
    let run: @Sendable (OriginConnection) async throws -> Void

    /// Makes a script of a closure that runs once per connection, on the worker that the origin runs on.
    public init(_ run: @escaping @Sendable (OriginConnection) async throws -> Void) {
        self.run = run
    }

    /// Answers each request with the same bytes, for as long as the peer keeps the connection.
    public static func replying(_ response: String) -> OriginScript {
        OriginScript { connection in
            while try await connection.nextRequest() != nil { try await connection.send(response) }
        }
    }

    /// Answers each request with 200 and `body`, framed by Content-Length.
    public static func ok(_ body: String = "ok") -> OriginScript {
        replying("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Answers the requests of a connection with one response each, in order, and then closes it.
    public static func sequence(_ responses: [String]) -> OriginScript {
        OriginScript { connection in
            for response in responses {
                guard try await connection.nextRequest() != nil else { return }
                try await connection.send(response)
            }
        }
    }

    /// Reads one request and closes without an answer.
    public static let closing = OriginScript { connection in
        _ = try await connection.nextRequest()
    }

    /// Reads one request and breaks the connection off with a reset.
    public static let resetting = OriginScript { connection in
        _ = try await connection.nextRequest()
        connection.reset()
    }

    /// Reads one request and says nothing until the peer gives up.
    public static let stalling = OriginScript { connection in
        _ = try await connection.nextRequest()
        try await connection.stall()
    }
}
