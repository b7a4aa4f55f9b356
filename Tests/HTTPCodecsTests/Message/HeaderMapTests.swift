import HTTPCodecs
import Testing

@Suite("A header map keeps order, case and its own memory")
struct HeaderMapTests {
    private func map(_ fields: (String, String)...) throws -> HeaderMap {
        var map = HeaderMap()
        for (name, value) in fields { try map.append(try #require(HeaderName(name)), value) }
        return map
    }

    private func lines(_ map: HeaderMap) -> [String] { map.map { "\($0.name): \($0.value)" } }

    @Test func namesAreFoundInWhateverCase() throws {
        let map = try map(("hOsT", "a"), ("X-Other", "b"), ("x-oTHER", "c"))
        #expect(map[.host] == "a")
        #expect(map["HOST"] == "a")
        #expect(map["x-other"] == "b")
        #expect(map.values("X-OTHER") == ["b", "c"])
        #expect(map.count(of: "x-other") == 2)
        #expect(!map.contains(.connection) && !map.contains("y-other"))
        #expect(lines(map) == ["hOsT: a", "X-Other: b", "x-oTHER: c"])
    }

    @Test func setKeepsTheFirstPlace() throws {
        var map = try map(("A", "1"), ("B", "2"), ("a", "3"), ("C", "4"))
        try map.set("A", "5")
        #expect(lines(map) == ["A: 5", "B: 2", "C: 4"])
        try map.set("D", "6")
        map.set(.contentLength, integer: 0)
        map.set(.connection, staticBytes: "close")
        map.append(.connection, staticBytes: "x")
        map.append(.age, integer: Int.max)
        #expect(
            lines(map).suffix(5) == [
                "D: 6", "Content-Length: 0", "Connection: close", "Connection: x", "Age: \(Int.max)",
            ]
        )
    }

    @Test func removingForgetsAll() throws {
        var map = try map(("Host", "1"), ("B", "2"), ("host", "3"))
        map.remove(.host)
        #expect(map[.host] == nil && !map.contains(.host) && map.count == 1)
        map.remove("b")
        #expect(map.isEmpty && lines(map).isEmpty)
        try map.append(.host, "again")
        #expect(lines(map) == ["Host: again"])
        var some = try self.map(("A", "1"), ("B", "2"), ("C", "1"))
        some.removeAll { $0.value == "1" }
        #expect(lines(some) == ["B: 2"])
        some.removeAll(keepingCapacity: true)
        #expect(some.isEmpty && some["B"] == nil)
    }

    @Test func copiesStayApart() throws {
        let original = try map(("A", "1"), ("Host", "2"))
        var changes: [(inout HeaderMap) throws -> Void] = []
        changes.append { try $0.set("A", "9") }
        changes.append { try $0.append("A", "9") }
        changes.append { $0.remove(.host) }
        changes.append { $0.removeAll() }
        changes.append { $0.removeAll { _ in true } }
        changes.append { $0.set(.host, staticBytes: "9") }
        changes.append { $0.append(.age, integer: 9) }
        for change in changes {
            var copy = original
            try change(&copy)
            #expect(copy != original)
            #expect(lines(original) == ["A: 1", "Host: 2"])
        }
    }

    @Test(arguments: ["a\r\nB: c", "a\n", "\ra", "a\u{0}", "\u{1B}", "a\u{7F}", "a\u{B}b"])
    func valuesThatSplitMessagesAreRefused(_ value: String) throws {
        var map = try map(("A", "1"))
        #expect(throws: HeaderError.invalidValue) { try map.set("A", value) }
        #expect(throws: HeaderError.invalidValue) { try map.append("B", value) }
        #expect(lines(map) == ["A: 1"])
    }

    @Test(arguments: [(" a ", "a"), ("\t\ta b\t", "a b"), ("", ""), (" \t", ""), ("a\tb", "a\tb"), ("é", "é")])
    func whiteSpaceAroundValuesIsDropped(_ value: String, _ kept: String) throws {
        #expect(try map(("A", value))["A"] == kept)
    }

    @Test(arguments: [
        ("close", true), ("Close", true), ("keep-alive, CLOSE", true), (" , close ,", true), ("closed", false),
        ("a close", false),
        ("", false), ("x,\tclose\t,y", true), ("clos", false),
    ])
    func tokensAreFound(_ value: String, _ isFound: Bool) throws {
        #expect(
            try map(("Connection", "x"), ("A", "b"), ("connection", value)).hasToken("close", in: .connection)
                == isFound
        )
    }

    @Test(arguments: ["", "a b", "a:", "é", "a\r\n", "\u{0}"])
    func namesAreTokens(_ name: String) {
        #expect(HeaderName(name) == nil)
    }

    @Test func namesAreEqualInWhateverCase() throws {
        let pairs: [(HeaderName, HeaderName)] = [
            ("hOST", .host), ("X-Y", "x-y"), (.transferEncoding, "TRANSFER-ENCODING"),
        ]
        for (left, right) in pairs {
            #expect(left == right)
            #expect(Set([left]).contains(right))
        }
        #expect(HeaderName("x-y") != HeaderName("x-z"))
        // These differ by the bit that tells letters' cases apart.
        #expect(HeaderName("a^") != HeaderName("a~"))
    }

    @Test func wellKnownNamesHaveTheirNumber() throws {
        // A literal is looked up in the scanner's table; the static member names its number itself.
        let names: [HeaderName] = [
            .accept, .acceptCharset, .acceptEncoding, .acceptLanguage, .acceptRanges, .accessControlAllowCredentials,
            .accessControlAllowHeaders, .accessControlAllowMethods, .accessControlAllowOrigin,
            .accessControlExposeHeaders, .accessControlMaxAge, .accessControlRequestHeaders,
            .accessControlRequestMethod, .age, .allow, .altSvc, .authorization, .cacheControl, .cdnCacheControl,
            .connection, .contentDisposition, .contentEncoding, .contentLanguage, .contentLength, .contentLocation,
            .contentRange, .contentSecurityPolicy, .contentType, .cookie, .date, .dnt, .eTag, .expect, .expires,
            .forwarded, .from, .host, .http2Settings, .ifMatch, .ifModifiedSince, .ifNoneMatch, .ifRange,
            .ifUnmodifiedSince, .keepAlive, .lastModified, .link, .location, .maxForwards, .origin, .pragma,
            .priority, .proxyAuthenticate, .proxyAuthorization, .proxyConnection, .proxyStatus, .range, .referer,
            .referrerPolicy, .retryAfter, .secChUa, .secChUaMobile, .secChUaPlatform, .secFetchDest, .secFetchMode,
            .secFetchSite, .secFetchUser, .secWebSocketAccept, .secWebSocketExtensions, .secWebSocketKey,
            .secWebSocketProtocol, .secWebSocketVersion, .server, .serverTiming, .setCookie, .strictTransportSecurity,
            .surrogateControl, .te, .timingAllowOrigin, .traceparent, .tracestate, .trailer, .transferEncoding,
            .upgrade, .upgradeInsecureRequests, .userAgent, .vary, .via, .warning, .wwwAuthenticate,
            .xContentTypeOptions, .xForwardedFor, .xForwardedHost, .xForwardedProto, .xFrameOptions, .xRealIP,
            .xRequestID, .xXSSProtection,
        ]
        for name in names {
            #expect(HeaderName(name.text) == name)
            #expect(HeaderName(name.text.uppercased()) == name)
        }
        #expect(Set(names).count == names.count)
    }

    /// Ten thousand random changes against an array that does the same.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func changesGoAsInAnArray(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var map = HeaderMap()
        var model: [HeaderMap.Field] = []
        let names: [HeaderName] = [.host, "X-A", "x-a", .cookie, "X-B", .te]
        for step in 0..<2_500 {
            let name = names[Int(random.next() % 6)]
            let value = String(repeating: "v", count: Int(random.next() % 90)) + "\(step)"
            let first = model.firstIndex { HeaderName($0.name) == name }
            switch random.next() % 8 {
            case 0, 1, 2:
                try map.set(name, value)
                model = model.enumerated().filter { $0.offset == first || HeaderName($0.element.name) != name }.map(
                    \.element
                )
                if let first { model[first] = field(name, value) } else { model.append(field(name, value)) }
            case 3, 4:
                try map.append(name, value)
                model.append(field(name, value))
            case 5:
                map.remove(name)
                model.removeAll { HeaderName($0.name) == name }
            case 6:
                let copy = map
                map.append(.age, integer: step)
                #expect(Array(copy) == model)
                map = copy
            default:
                if random.next() % 40 == 0 {
                    map.removeAll(keepingCapacity: true)
                    model = []
                }
            }
            try #require(map.count == model.count)
            #expect(map.contains(name) == model.contains { HeaderName($0.name) == name })
            if step % 50 == 0 { #expect(Array(map) == model, "seed \(seed), step \(step)") }
        }
        #expect(Array(map) == model)
    }

    private func field(_ name: HeaderName, _ value: String) -> HeaderMap.Field {
        var map = HeaderMap()
        try? map.append(name, value)
        return Array(map)[0]
    }
}

/// Random numbers that are the same in each run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
