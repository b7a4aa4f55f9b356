import HTTPCodecs
import HTTPTypes
import Testing

@testable import AsyncPingoraAdmin

@Suite("Only requests that mean this server are served, and only those change something that mean to")
struct RequestGuardTests {
    private func request(_ fields: [(HeaderName, String)], target: String = "/") throws -> RequestHeader {
        var request = try RequestHeader(method: .post, target: target)
        for (name, value) in fields { try request.headers.append(name, value) }
        return request
    }

    @Test(arguments: [
        ("localhost", true), ("LocalHost:6190", true), ("127.0.0.1:6190", true), ("127.1.2.3", true),
        ("[::1]:6190", true),
        ("[::1]", true), ("[::ffff:127.0.0.1]", true), ("page.example", true), ("PAGE.example:1", true),
        ("localhost.", false), ("localhost.example", false), ("other.example", false), ("page.example.evil", false),
        ("127.0.0.1.evil", false), ("10.0.0.1", false), ("0.0.0.0", false), ("[2001:db8::1]", false), ("[::]", false),
        ("[::1].evil", false), ("[::1", false), ("::1", false), ("", false), (":80", false), ("127.1", false),
    ])
    func byHost(host: String, isServed: Bool) throws {
        let local = RequestGuard(names: ["Page.Example"], allowsAnyAddress: false)
        #expect(try local.isForUs(request([(.host, host)])) == isServed)
    }

    @Test(arguments: [("10.0.0.1:80", true), ("[2001:db8::1]", true), ("other.example", false), ("localhost", true)])
    func anyAddressIfRemoteAccessIsAllowed(host: String, isServed: Bool) throws {
        let remote = RequestGuard(names: [], allowsAnyAddress: true)
        #expect(try remote.isForUs(request([(.host, host)])) == isServed)
    }

    @Test func oneHostAndNoOther() throws {
        let local = RequestGuard(names: [], allowsAnyAddress: false)
        #expect(try !local.isForUs(request([])))
        #expect(try !local.isForUs(request([(.host, "localhost"), (.host, "localhost")])))
        #expect(try !local.isForUs(request([(.host, "localhost")], target: "http://evil.example/")))
        #expect(try local.isForUs(request([(.host, "localhost")], target: "http://localhost/")))
    }

    @Test(
        arguments: [
            ([("X-AsyncPingora-Admin", "1")], true),
            ([("x-asyncpingora-admin", "")], true),
            ([("X-AsyncPingora-Admin", "1"), ("Origin", "http://localhost:1")], true),
            (
                [("X-AsyncPingora-Admin", "1"), ("Origin", "https://localhost:1"), ("Sec-Fetch-Site", "same-origin")],
                true
            ),
            ([("X-AsyncPingora-Admin", "1"), ("Sec-Fetch-Site", "none")], true),
            ([], false),
            ([("Origin", "http://localhost:1")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Origin", "http://localhost:2")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Origin", "http://localhost")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Origin", "null")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Origin", "http://localhost:1.evil")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Sec-Fetch-Site", "cross-site")], false),
            ([("X-AsyncPingora-Admin", "1"), ("Sec-Fetch-Site", "same-site")], false),
        ] as [([(HeaderName, String)], Bool)]
    )
    func byIntent(fields: [(HeaderName, String)], isIntended: Bool) throws {
        let local = RequestGuard(names: [], allowsAnyAddress: false)
        #expect(try local.isIntended(request([(.host, "localhost:1")] + fields)) == isIntended)
    }
}
