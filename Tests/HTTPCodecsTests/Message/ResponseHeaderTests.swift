import HTTPCodecs
import HTTPTypes
import Testing

@Suite("A response head goes out as it came in")
struct ResponseHeaderTests {
    private func parse(_ text: String) throws -> ResponseHeader {
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var response = ResponseHeader(statusCode: 500)
        #expect(try parser.feed(Array(text.utf8), into: &response) == text.utf8.count)
        return response
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        ("HTTP/1.0 404 Nothing Here\r\nA:b\r\n\r\n", "HTTP/1.1 404 Nothing Here\r\nA: b\r\n\r\n"),
        ("HTTP/1.1 204\r\n\r\n", "HTTP/1.1 204 \r\n\r\n"),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ])
    func isWritten(_ text: String, _ wire: String) throws {
        let response = try parse(text)
        #expect(response.wireText == wire)
        #expect(response.wireText.utf8.count <= response.wireByteCount)
        var copy = ResponseHeader(status: .internalServerError)
        try copy.headers.append(.host, "x")
        copy.copy(from: response)
        #expect(copy.wireText == wire && copy.version == response.version)
        copy.status = .ok
        #expect(response.wireText == wire && copy.wireText.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test(arguments: [(100, true), (199, true), (200, false), (999, false)])
    func statusIsClassified(_ code: Int, _ isInformational: Bool) {
        #expect(ResponseHeader(statusCode: code).isInformational == isInformational)
    }

    @Test func statusAlwaysHasThreeDigits() {
        #expect(ResponseHeader(status: .init(code: 7)).wireText == "HTTP/1.1 007 \r\n\r\n")
        #expect(ResponseHeader(statusCode: 7).statusCode == 500)
        #expect(
            ResponseHeader(status: .init(code: 200, reasonPhrase: "a\r\nB: c")).wireText
                == "HTTP/1.1 200 a  B: c\r\n\r\n"
        )
    }

    @Test func convertsToAndFromHTTPTypes() throws {
        let response = try parse("HTTP/1.1 201 Made\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nETag: \"x\"\r\n\r\n")
        let converted = HTTPResponse(response)
        #expect(converted.status.code == 201 && converted.status.reasonPhrase == "Made")
        #expect(converted.headerFields.map(\.value) == ["a", "b", "\"x\""])
        #expect(try ResponseHeader(converted).wireText == response.wireText)
    }
}
