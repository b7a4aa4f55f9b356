import AsyncConnectors
import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import HTTPCodecs
import Testing

@Suite("A plain server answers whole, in pieces, or with what its error asks for", .serialized, .timeLimit(.minutes(5)))
struct ServeHttpTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Answers by what the target says.
    private static let serve: @Sendable (Session) async throws -> Void = { session in
        switch session.request.path {
        case "/whole": try await session.respond(.ok, body: Bytes("whole"))
        case "/empty": try await session.respond(.ok)
        case "/none": try await session.respond(.noContent, body: Bytes("never seen"))
        case "/pieces":
            try await session.writeResponseHeader(ResponseHeader(status: .ok))
            for piece in ["one ", "two ", "three"] {
                try await session.writeResponseBody(Bytes(piece), endOfStream: false)
            }
            try await session.writeResponseBody(nil, endOfStream: true)
        case "/hints":
            try await session.writeResponseHeader(ResponseHeader(statusCode: 103))
            try await session.respond(.ok, body: Bytes("hinted"))
        case "/echo":
            var text = ""
            while let bytes = try await session.readRequestBody() { text += bytes.description }
            try await session.respond(.ok, body: Bytes(text))
        case "/ignore": try await session.respond(.ok, body: Bytes("ignored"))
        case "/custom":
            var headers = HeaderMap()
            try headers.append("X-Own", "1")
            try headers.append("Content-Length", "99")
            try await session.respond(.accepted, headers: headers, body: Bytes("custom"))
        case "/throws": throw TestFailure("on purpose")
        case "/status": throw PingoraError(.httpStatus(451))
        case "/nothing": return
        case "/twice":
            try await session.respond(.ok, body: Bytes("first"))
            try? await session.respond(.ok, body: Bytes("second"))
        case "/more":
            var head = ResponseHeader(status: .ok)
            head.headers.set(.contentLength, integer: 2)
            try await session.writeResponseHeader(head)
            try await session.writeResponseBody(Bytes("more"), endOfStream: true)
        case "/less":
            var head = ResponseHeader(status: .ok)
            head.headers.set(.contentLength, integer: 9)
            try await session.writeResponseHeader(head)
            try await session.writeResponseBody(Bytes("less"), endOfStream: true)
        case "/close":
            session.disableKeepAlive()
            try await session.respond(.ok, body: Bytes("last"))
        default: throw PingoraError(.httpStatus(404))
        }
    }

    struct Answer: Sendable {
        let path: String
        var status = 200
        var text = ""
        var keepsAlive = true
    }

    @Test(arguments: [
        Answer(path: "/whole", text: "whole"),
        Answer(path: "/empty"),
        Answer(path: "/none", status: 204),
        Answer(path: "/pieces", text: "one two three"),
        Answer(path: "/hints", text: "hinted"),
        Answer(path: "/custom", status: 202, text: "custom"),
        Answer(path: "/twice", text: "first"),
        Answer(path: "/throws", status: 500, keepsAlive: false),
        Answer(path: "/status", status: 451, keepsAlive: false),
        Answer(path: "/nothing", status: 500, keepsAlive: false),
        Answer(path: "/missing", status: 404, keepsAlive: false),
        Answer(path: "/close", text: "last", keepsAlive: false),
    ])
    func answers(_ answer: Answer) async throws {
        try await withServer(serve: Self.serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                for _ in 0..<(answer.keepsAlive ? 2 : 1) {
                    let response = try await client.exchange("GET \(answer.path) HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(response.status == answer.status)
                    #expect(response.text == answer.text)
                    #expect(response["connection"] == (answer.keepsAlive ? "keep-alive" : "close"))
                    #expect(response.values("date").count == 1)
                }
                if answer.keepsAlive {
                    let head = try await client.exchange("HEAD \(answer.path) HTTP/1.1\r\nHost: a\r\n\r\n")
                    #expect(head.status == answer.status)
                } else {
                    #expect(try await client.receiveToEnd().isEmpty)
                }
            }
        }
    }

    /// A body that does not keep what its head promised never looks complete.
    @Test(arguments: ["/more", "/less"])
    func brokenPromise(path: String) async throws {
        try await withServer(serve: Self.serve) { service in
            let text = try await service.transcript(of: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
            let length = RawMessage(head: text)["content-length"].flatMap(Int.init) ?? 0
            let body = text.split(separator: "\r\n\r\n", omittingEmptySubsequences: false).dropFirst().joined()
            #expect(text.isEmpty || body.utf8.count < length)
        }
    }

    @Test func oldClientGetsNoChunks() async throws {
        try await withServer(serve: Self.serve) { service in
            let response = try await service.response(to: "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(response.text == "one two three")
            #expect(response.isEndedByClose)
            #expect(response["transfer-encoding"] == nil)
        }
    }

    /// 100 Continue is sent when the body is asked for, and only then.
    @Test func continueIsSent() async throws {
        try await withServer(serve: Self.serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                let fields = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
                for _ in 0..<2 {
                    try await client.send("POST /echo HTTP/1.1\r\n" + fields)
                    #expect(try await client.receiveHead() == "HTTP/1.1 100 Continue\r\n\r\n")
                    try await client.send("body")
                    #expect(try await client.receiveResponse(skipsInformational: false).text == "body")
                }
                // A client that did not wait needs no 100.
                try await client.send("POST /echo HTTP/1.1\r\n" + fields + "body")
                #expect(try await client.receiveResponse().text == "body")
                try await client.send("POST /ignore HTTP/1.1\r\n" + fields)
                let last = try await client.receiveResponse(skipsInformational: false)
                #expect(last.text == "ignored")
                #expect(last["connection"] == "close")
                client.closeWrite()
                #expect(try await client.receiveToEnd().isEmpty)
            }
        }
    }

    /// A 1.0 client does not know 100 (RFC 9110 10.1.1).
    @Test func continueIsNotForOldClients() async throws {
        try await withServer(serve: Self.serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
                #expect(try await client.receiveResponse(skipsInformational: false).text == "body")
            }
        }
    }

    /// A body that nobody read is not taken for the next request.
    @Test(arguments: [
        "Content-Length: 4\r\n\r\nGET ", "Transfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
    ])
    func unreadBody(rest: String) async throws {
        try await withServer(serve: Self.serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                try await client.send("POST /ignore HTTP/1.1\r\nHost: a\r\n" + rest)
                let response = try await client.receiveResponse()
                #expect(response.text == "ignored")
                if response["connection"] == "close" {
                    client.closeWrite()
                    #expect(try await client.receiveToEnd().isEmpty)
                } else {
                    #expect(try await client.exchange("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n").text == "whole")
                }
            }
        }
    }

    /// A bad chunk is the client's fault, whoever reads it.
    @Test(arguments: ["/echo", "/ignore"])
    func brokenBody(path: String) async throws {
        try await withServer(serve: Self.serve) { service in
            let text = try await service.transcript(
                of: "POST \(path) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"
            )
            let head = RawMessage(head: text)
            #expect(head.status == (path == "/echo" ? 400 : 200))
            #expect(head["connection"] == "close")
            #expect(text.ranges(of: "HTTP/1.1 ").count == 1)
        }
    }

    @Test func factsOfTheSession() async throws {
        let serve: @Sendable (Session) async throws -> Void = { session in
            var size = 0
            while let bytes = try await session.readRequestBody() { size += bytes.count }
            #expect(session.bodyBytesReceived == UInt64(size))
            #expect(session.isRequestBodyComplete)
            #expect(session.serverAddress?.host == "127.0.0.1")
            #expect(session.responseStatus == nil)
            let client = session.clientAddress.map(\.description) ?? ""
            try await session.respond(.ok, body: Bytes(client))
            #expect(session.responseStatus == 200)
            #expect(session.bodyBytesSent == UInt64(client.utf8.count))
        }
        try await withServer(serve: serve) { service in
            try await RawClient.withConnection(to: service.address) { client in
                let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                let response = try await client.exchange(request)
                #expect(response.text == client.localAddress?.description)
            }
        }
    }

    @Test func unixDomain() async throws {
        try await TestExecutor.withExecutor { _ in
            let path = "/tmp/async-pingora-test-\(UInt64.random(in: 0...UInt64.max)).sock"
            let address = try #require(SocketAddress(unixPath: path))
            var listeners = Listeners()
            listeners.add(address)
            listeners.add(try loopback())
            let service = httpService(ClosureServer(body: Self.serve), listeners: listeners, threadCount: 1)
            try await withService(service) { running in
                let addresses = await service.addresses
                #expect(addresses.first == address)
                #expect(addresses.last?.port != 0)
                for address in addresses {
                    try await RawClient.withConnection(to: address) { client in
                        for _ in 0..<2 {
                            let response = try await client.exchange("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n")
                            #expect(response.text == "whole")
                        }
                    }
                }
            }
        }
    }
}
