import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

/// The callbacks of a proxy, in the order a request with bodies both ways goes through them.
enum Phase: String, CaseIterable, Sendable {
    case earlyRequestFilter, moduleRequestHeader, requestFilter, proxyUpstreamFilter, upstreamPeer, connectedToUpstream
    case upstreamRequestFilter, moduleRequestBody, requestBodyFilter, upstreamResponseFilter, responseFilter
    case moduleResponseHeader, upstreamResponseBodyFilter, responseBodyFilter, moduleResponseBody
    case upstreamResponseTrailerFilter, responseTrailerFilter, moduleResponseTrailer, moduleResponseDone, logging
}

/// What a phase throws when it is told to.
struct Sabotage: Error {}

/// Notes each phase once per request, and fails in the one that the request's `X-Fail` names.
struct PhasedProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    /// The phases that a request has gone through; shared with its module.
    final class Trail {
        let diary: Diary
        var failing: String?
        private var seen: Set<Phase> = []

        init(diary: Diary) { self.diary = diary }

        func enter(_ phase: Phase) throws {
            if seen.insert(phase).inserted { diary.note(phase.rawValue) }
            if failing == phase.rawValue { throw Sabotage() }
        }
    }

    func newContext() -> Trail { Trail(diary: diary) }

    func initDownstreamModules(_ modules: inout HttpModules) {
        let diary = diary
        modules.add(PhasedModule.self) { PhasedModule(diary: diary) }
    }

    func earlyRequestFilter(_ session: Session, context: inout Trail) async throws {
        context.failing = session.request.headers["X-Fail"]
        session.modules.module(PhasedModule.self)?.trail.failing = context.failing
        try context.enter(.earlyRequestFilter)
    }

    func requestFilter(_ session: Session, context: inout Trail) async throws -> RequestDisposition {
        try context.enter(.requestFilter)
        return .forward
    }

    func requestBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Trail
    ) async throws { try context.enter(.requestBodyFilter) }

    func proxyUpstreamFilter(_ session: Session, context: inout Trail) async throws -> Bool {
        try context.enter(.proxyUpstreamFilter)
        return true
    }

    func upstreamPeer(_ session: Session, context: inout Trail) async throws -> HttpPeer {
        try context.enter(.upstreamPeer)
        return peer
    }

    func connectedToUpstream(
        _ session: Session,
        peer: HttpPeer,
        isReused: Bool,
        context: inout Trail
    ) async throws { try context.enter(.connectedToUpstream) }

    func upstreamRequestFilter(
        _ session: Session,
        request: inout RequestHeader,
        context: inout Trail
    ) async throws { try context.enter(.upstreamRequestFilter) }

    func upstreamResponseFilter(
        _ session: Session,
        response: inout ResponseHeader,
        context: inout Trail
    ) async throws { try context.enter(.upstreamResponseFilter) }

    func upstreamResponseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Trail
    ) async throws -> Duration? {
        try context.enter(.upstreamResponseBodyFilter)
        return nil
    }

    func upstreamResponseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Trail
    ) async throws { try context.enter(.upstreamResponseTrailerFilter) }

    func responseFilter(_ session: Session, response: inout ResponseHeader, context: inout Trail) async throws {
        try context.enter(.responseFilter)
    }

    func responseBodyFilter(
        _ session: Session,
        body: inout Bytes?,
        endOfStream: Bool,
        context: inout Trail
    ) async throws -> Duration? {
        try context.enter(.responseBodyFilter)
        return nil
    }

    func responseTrailerFilter(
        _ session: Session,
        trailers: inout HeaderMap,
        context: inout Trail
    ) async throws -> Bytes? {
        try context.enter(.responseTrailerFilter)
        return nil
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Trail) async {
        diary.note(error == nil ? "logging" : "logging \(error?.kind.name ?? "")")
    }
}

final class PhasedModule: HttpModule {
    let trail: PhasedProxy.Trail

    init(diary: Diary) { trail = PhasedProxy.Trail(diary: diary) }

    func requestHeaderFilter(_ request: inout RequestHeader) async throws { try trail.enter(.moduleRequestHeader) }
    func requestBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws { try trail.enter(.moduleRequestBody) }
    func responseHeaderFilter(_ response: inout ResponseHeader) async throws { try trail.enter(.moduleResponseHeader) }
    func responseBodyFilter(_ body: inout Bytes?, endOfStream: Bool) async throws {
        try trail.enter(.moduleResponseBody)
    }
    func responseTrailerFilter(_ trailers: inout HeaderMap) async throws -> Bytes? {
        try trail.enter(.moduleResponseTrailer)
        return nil
    }
    func responseDoneFilter() async throws -> Bytes? {
        try trail.enter(.moduleResponseDone)
        return nil
    }
}

@Suite("Callbacks run in order, and one that throws fails its own request only", .serialized, .timeLimit(.minutes(5)))
struct CallbackFailureTests {
    private static let script = OriginScript.replying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"
    )

    private static func request(failing phase: Phase? = nil) -> String {
        let field = phase.map { "X-Fail: \($0.rawValue)\r\n" } ?? ""
        return "POST / HTTP/1.1\r\nHost: a\r\n\(field)Content-Length: 4\r\n\r\nbody"
    }

    @Test func order() async throws {
        try await withProxy(Self.script, make: PhasedProxy.init) { service, _ in
            for _ in 0..<2 {
                let before = service.diary.lines.count
                let response = try await service.response(to: Self.request())
                #expect(response.text == "ok")
                try await service.diary.wait { $0.count == before + Phase.allCases.count }
                #expect(Array(service.diary.lines[before...]) == Phase.allCases.map(\.rawValue))
            }
        }
    }

    @Test(arguments: Phase.allCases.filter { $0 != .logging })
    func throwing(_ phase: Phase) async throws {
        try await withProxy(Self.script, make: PhasedProxy.init) { service, _ in
            let bystander = try await RawClient.connect(to: service.address)
            #expect(try await bystander.exchange(Self.request()).text == "ok")
            try await service.diary.wait(for: "logging")
            let before = service.diary.lines.count
            let text = try await service.transcript(of: Self.request(failing: phase))
            // An answer that says so, or one that nobody takes for complete.
            if text.hasPrefix("HTTP/1.1 200") {
                #expect(!text.hasSuffix("0\r\n\r\n") && !text.contains("X-Sum"))
            } else if !text.isEmpty {
                let head = RawMessage(head: text)
                #expect(head.status == 500)
                #expect(head["connection"] == "close")
            }
            try await service.diary.wait(for: "logging InternalError")
            let lines = service.diary.lines[before...]
            #expect(lines.count { $0.hasPrefix("logging") } == 1)
            #expect(lines.last == "logging InternalError")
            #expect(lines.dropLast().last == phase.rawValue)
            #expect(try await bystander.exchange(Self.request()).text == "ok")
        }
    }

    /// Before anything is answered the client is always told.
    @Test(arguments: Phase.allCases.prefix { $0 != .upstreamResponseBodyFilter })
    func told(_ phase: Phase) async throws {
        try await withProxy(Self.script, make: PhasedProxy.init) { service, origin in
            let text = try await service.transcript(of: Self.request(failing: phase))
            #expect(text.hasPrefix("HTTP/1.1 500 "))
            try await origin.wait { $0.openConnectionCount == 0 }
        }
    }
}

/// Answers or refuses by itself, as the request's target says.
struct DecidingProxy: ProxyHttp {
    let peer: HttpPeer
    let diary: Diary

    func requestFilter(_ session: Session, context: inout Void) async throws -> RequestDisposition {
        switch session.request.path {
        case "/respond":
            try await session.respond(.ok, body: Bytes("mine"))
            return .responded
        case "/status": throw PingoraError(.httpStatus(429))
        case "/silent": return .responded
        case "/own", "/page": throw PingoraError(.custom("OwnError"))
        default: return .forward
        }
    }

    func proxyUpstreamFilter(_ session: Session, context: inout Void) async throws -> Bool {
        switch session.request.path {
        case "/declined": return false
        case "/teapot":
            try await session.respond(.init(code: 418), body: Bytes("short and stout"))
            return false
        default: return true
        }
    }

    func upstreamPeer(_ session: Session, context: inout Void) async throws -> HttpPeer { peer }

    func failToProxy(_ session: Session, error: PingoraError, context: inout Void) async -> FailureResponse {
        if session.request.path == "/page" {
            try? await session.respond(.serviceUnavailable, body: Bytes("sorry"))
            return FailureResponse(status: 0, canReuseDownstream: true)
        }
        if error.kind == .custom("OwnError") { return FailureResponse(status: 402, canReuseDownstream: true) }
        return FailureResponse(status: ErrorResponse.status(for: error))
    }

    func logging(_ session: Session, error: PingoraError?, context: inout Void) async {
        diary.note(logLine(session, error))
    }
}

@Suite("A proxy may answer by itself", .serialized, .timeLimit(.minutes(5)))
struct OwnAnswerTests {
    struct Decision: Sendable {
        let path: String
        let status: Int
        let body: String
        let keepsAlive: Bool
        let log: String
    }

    @Test(arguments: [
        Decision(path: "/respond", status: 200, body: "mine", keepsAlive: true, log: "200"),
        Decision(path: "/status", status: 429, body: "", keepsAlive: false, log: "HTTPStatus"),
        Decision(path: "/silent", status: 500, body: "", keepsAlive: false, log: "NoResponse"),
        Decision(path: "/own", status: 402, body: "", keepsAlive: true, log: "OwnError"),
        Decision(path: "/page", status: 503, body: "sorry", keepsAlive: true, log: "OwnError"),
        Decision(path: "/declined", status: 502, body: "", keepsAlive: false, log: "HTTPStatus"),
        Decision(path: "/teapot", status: 418, body: "short and stout", keepsAlive: true, log: "418"),
    ])
    func decided(_ decision: Decision) async throws {
        try await withProxy(.ok(), make: DecidingProxy.init) { service, origin in
            try await RawClient.withConnection(to: service.address) { client in
                let response = try await client.exchange("GET \(decision.path) HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(response.status == decision.status)
                #expect(response.text == decision.body)
                #expect(response["connection"] == (decision.keepsAlive ? "keep-alive" : "close"))
                #expect(origin.requestCount == 0)
                try await service.diary.wait(for: "logged \(decision.log)")
                if decision.keepsAlive {
                    #expect(try await client.exchange("GET /else HTTP/1.1\r\nHost: a\r\n\r\n").text == "ok")
                } else {
                    #expect(try await client.receiveToEnd().isEmpty)
                }
            }
        }
    }
}
