import HTTPCodecs
import Testing

@Suite("A head made of a number says what the number means")
struct ReasonPhraseTests {
    @Test(arguments: [(200, "OK"), (204, "No Content"), (404, "Not Found"), (504, "Gateway Timeout"), (599, "")])
    func reason(statusCode: Int, reason: String) {
        #expect(ResponseHeader(statusCode: statusCode).reason == reason)
    }
}
