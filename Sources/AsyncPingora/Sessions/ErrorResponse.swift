package import AsyncConnectors
package import HTTPCodecs

/// The answers that the framework gives by itself.
package enum ErrorResponse {
    /// Returns the status that tells a client about `error`; 0 when it can no longer be told anything.
    package static func status(for error: PingoraError) -> Int {
        if let status = error.kind.requestedStatus { return status }
        switch error.source {
        case .upstream:
            return error.kind.isTimeout ? 504 : 502
        case .downstream:
            if let defect = error.kind.defect { return defect.statusCode }
            switch error.kind {
            case .requestHeadTimedOut, .readTimedOut: return 408
            default: return 0
            }
        case .internal:
            return 500
        }
    }

    /// Makes an answer with an empty body that no cache keeps.
    package static func head(status: Int) -> ResponseHeader {
        var response = ResponseHeader(statusCode: status)
        response.headers.set(.contentLength, staticBytes: "0")
        response.headers.set(.cacheControl, staticBytes: "private, no-store")
        return response
    }
}

extension Session {
    /// Answers with an empty body, if nothing has been answered; gives up on the exchange if the client does not take it.
    func answer(status: Int) async {
        guard responseStatus == nil, status > 0 else { return }
        var head = ErrorResponse.head(status: status)
        if await !deliver(&head) { downstream.abort() }
    }

    /// Writes the answer past the modules: what they would add does not belong to it, and one of them may be what has failed.
    private func deliver(_ head: inout ResponseHeader) async -> Bool {
        do {
            try send(&head)
            try downstream.finishBody(trailers: nil)
            try await flush()
            return true
        } catch {
            return false
        }
    }
}
