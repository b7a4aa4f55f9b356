internal import AsyncConnectors
internal import AsyncPingora
internal import AsyncTransport
internal import HTTPCodecs
internal import HTTPTypes
internal import Logging

/// Answers the requests of the admin service.
struct AdminSite: ServeHttp {
    /// A log level has no longer name.
    private static let maximumBodyByteCount = 64

    private let options: AdminOptions
    private let sampler: Sampler
    private let logger: Logger
    private let requestGuard: RequestGuard

    init(options: AdminOptions, sampler: Sampler, logger: Logger) {
        self.options = options
        self.sampler = sampler
        self.logger = logger
        requestGuard = RequestGuard(names: options.hosts, allowsAnyAddress: options.allowsRemoteAccess)
    }

    func serve(_ session: Session) async throws {
        let answer = try await answer(to: session)
        var headers = Self.headers
        headers.set(.contentType, staticBytes: answer.type)
        if let allowed = answer.allowed { headers.set(.allow, staticBytes: allowed) }
        try await session.respond(answer.status, headers: headers, body: answer.body)
    }

    private func answer(to session: Session) async throws -> Answer {
        guard requestGuard.isForUs(session.request) else {
            logger.notice("refused a request for another host: \(session.requestSummary)")
            return .text(.misdirectedRequest, "this is the admin page of another host\n")
        }
        let path = session.request.path
        if path == "/api/log-level" { return try await changeLogLevel(session) }
        guard session.request.methodKind == .get || session.request.methodKind == .head else {
            return .notAllowed("GET, HEAD")
        }
        switch path {
        case "/api/overview.json": return .json(sampler.overview(options))
        case "/api/history.json": return .json(history(session.request))
        default: return Page.answers[path] ?? .text(.notFound, "no such page\n")
        }
    }

    /// The samples, or those that the page does not have yet: `?after=SEQUENCE&instance=…`.
    private func history(_ request: RequestHeader) -> [UInt8] {
        var after = 0
        var instance = ""
        for item in (request.query ?? "").split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            if pair[0] == "after" { after = Int(pair[1]) ?? 0 }
            if pair[0] == "instance" { instance = String(pair[1]) }
        }
        return sampler.history(after: instance == sampler.instance ? after : 0)
    }

    private func changeLogLevel(_ session: Session) async throws -> Answer {
        guard session.request.methodKind == .post else { return .notAllowed("POST") }
        guard requestGuard.isIntended(session.request) else {
            logger.notice("refused to change the log level for another site: \(session.requestSummary)")
            let field = RequestGuard.intentField
            return .text(.forbidden, "what changes something needs the field \(field), from this page or none\n")
        }
        guard let level = options.logLevel else { return .text(.notFound, "the log level cannot be changed here\n") }
        var body = ""
        while let bytes = try await session.readRequestBody() {
            body += bytes.description
            guard body.utf8.count <= Self.maximumBodyByteCount else {
                return .text(.contentTooLarge, "the body is the name of a log level\n")
            }
        }
        guard let wanted = Logger.Level(rawValue: body) else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            return .text(.badRequest, "no such log level: one of \(names)\n")
        }
        if level.level != wanted {
            // A level says nothing of changes that it does not let through: say it at the more talkative of both.
            logger.log(level: max(level.level, .notice), "the admin page sets the log level to \(wanted)")
            level.level = wanted
        }
        var json = JSONWriter()
        json.object { $0.member("logLevel", wanted.rawValue) }
        return .json(json.bytes)
    }

    /// What every answer carries: nothing is kept, guessed, framed, or fetched from elsewhere, and no script runs but the page's own.
    private static let headers: HeaderMap = {
        var headers = HeaderMap()
        headers.set(.cacheControl, staticBytes: "no-store")
        headers.set(.xContentTypeOptions, staticBytes: "nosniff")
        headers.set("Content-Security-Policy", staticBytes: contentSecurityPolicy)
        headers.set("Cross-Origin-Resource-Policy", staticBytes: "same-origin")
        headers.set("Cross-Origin-Opener-Policy", staticBytes: "same-origin")
        headers.set("Referrer-Policy", staticBytes: "no-referrer")
        return headers
    }()

    private static let contentSecurityPolicy: StaticString = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """
}

/// What a request is answered with.
struct Answer: Sendable {
    var status: HTTPResponse.Status
    var type: StaticString
    var body: Bytes
    var allowed: StaticString?

    static func text(_ status: HTTPResponse.Status, _ text: String) -> Answer {
        Answer(status: status, type: "text/plain; charset=utf-8", body: Bytes(text))
    }

    static func json(_ bytes: [UInt8]) -> Answer {
        Answer(status: .ok, type: "application/json", body: Bytes(bytes))
    }

    static func notAllowed(_ allowed: StaticString) -> Answer {
        var answer = text(.methodNotAllowed, "allowed here: \(allowed)\n")
        answer.allowed = allowed
        return answer
    }
}
