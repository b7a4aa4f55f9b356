import HTTPCodecs
import Testing

@Suite("A connection goes on when both versions and tokens allow it")
struct KeepAliveTests {
    @Test(arguments: [
        ("1.1", [], true),
        ("1.1", ["Connection: close"], false),
        ("1.1", ["Connection: CLOSE"], false),
        ("1.1", ["Connection: keep-alive"], true),
        ("1.1", ["Connection: keep-alive, close"], false),
        ("1.1", ["Connection: keep-alive", "Connection: ,\tclose ,"], false),
        ("1.1", ["Connection: upgrade"], true),
        ("1.1", ["Connection: closed, not-close"], true),
        ("1.1", ["Connection:"], true),
        ("1.1", ["X-Connection: close"], true),
        ("1.0", [], false),
        ("1.0", ["Connection: keep-alive"], true),
        ("1.0", ["Connection: x,Keep-Alive"], true),
        ("1.0", ["Connection: keep-alive, close"], false),
        ("1.0", ["Connection: close"], false),
        ("1.0", ["Keep-Alive: timeout=5"], false),
    ])
    func persistence(version: String, fields: [String], goesOn: Bool) throws {
        let request = try requestHead(["GET / HTTP/\(version)", "Host: a"] + fields)
        let response = try responseHead(["HTTP/\(version) 200 OK"] + fields)
        #expect(HTTP1.KeepAlive.isPersistent(request: request) == goesOn)
        #expect(HTTP1.KeepAlive.isPersistent(response: response) == goesOn)
    }

    @Test(
        arguments: [
            ([], nil),
            (["Keep-Alive: timeout=5"], 5),
            (["Keep-Alive: timeout=5, max=100"], 5),
            (["Keep-Alive: max=100,TimeOut=15"], 15),
            (["Keep-Alive: max=100", "Keep-Alive: timeout=7"], 7),
            (["Keep-Alive: timeout=9, timeout=3, timeout=4"], 3),
            (["Keep-Alive: timeout=0"], 0),
            (["Keep-Alive: timeout="], nil),
            (["Keep-Alive: timeout"], nil),
            (["Keep-Alive: timeout=-1"], nil),
            (["Keep-Alive: timeout=5s"], nil),
            (["Keep-Alive: timeout=\u{0665}"], nil),
            (["Keep-Alive: timeout=99999999999999999999"], nil),
            (["Keep-Alive: xtimeout=5"], nil),
            (["Keep-Alive:"], nil),
        ] as [([String], Int?)]
    )
    func timeout(fields: [String], seconds: Int?) throws {
        let response = try responseHead(["HTTP/1.1 200 OK"] + fields)
        #expect(HTTP1.KeepAlive.timeout(of: response) == seconds)
    }
}
