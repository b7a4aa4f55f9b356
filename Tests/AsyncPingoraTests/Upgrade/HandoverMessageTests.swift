import AsyncPingora
import Testing

@Suite("A hand-over's messages are understood whole or refused")
struct HandoverMessageTests {
    private static let entries = [
        HandoverManifest.Entry(service: "proxy", requested: "0.0.0.0:80", address: "0.0.0.0:80"),
        HandoverManifest.Entry(service: "origin", requested: "127.0.0.1:0", address: "127.0.0.1:4711"),
        HandoverManifest.Entry(
            service: "",
            requested: "unix:/run/a b.sock",
            address: "unix:/run/a b.sock",
            staysShared: true
        ),
        HandoverManifest.Entry(service: "größer", requested: "[::]:443", address: "[::]:443"),
    ]

    @Test func aManifestComesBackAsItWent() throws {
        for count in 0...Self.entries.count {
            let manifest = HandoverManifest(entries: Array(Self.entries.prefix(count)))
            let body = try manifest.encode()
            #expect(try HandoverManifest(parsing: body, count: count) == manifest)
        }
    }

    /// Whatever is missing at its end or too much, it is refused.
    @Test func aManifestThatIsCutIsRefused() throws {
        let body = try HandoverManifest(entries: Self.entries).encode()
        for length in 0..<body.count {
            #expect(throws: UpgradeError.self) {
                try HandoverManifest(parsing: Array(body.prefix(length)), count: Self.entries.count)
            }
        }
        #expect(throws: UpgradeError.self) { try HandoverManifest(parsing: body + [0], count: Self.entries.count) }
        #expect(throws: UpgradeError.self) { try HandoverManifest(parsing: body, count: Self.entries.count - 1) }
        #expect(throws: UpgradeError.self) { try HandoverManifest(parsing: body, count: Self.entries.count + 1) }
        #expect(throws: UpgradeError.self) { try HandoverManifest(parsing: [], count: .max) }
    }

    @Test(
        arguments: [
            ("a text that is not UTF-8", [0, 0, 1, 0xFF, 0, 0, 0, 0]),
            ("a NUL", [0, 0, 1, 0, 0, 0, 0, 0]),
            ("neither yes nor no", [2, 0, 0, 0, 0, 0, 0]),
            ("a text longer than one may be", [0, 4, 1] + [UInt8](repeating: 97, count: 1_025) + [0, 0, 0, 0]),
        ] as [(String, [UInt8])]
    )
    func aMalformedTextIsRefused(_ what: String, body: [UInt8]) throws {
        #expect(throws: UpgradeError.self, "\(what)") { try HandoverManifest(parsing: body, count: 1) }
    }

    @Test func whatIsTooLargeIsNotSent() throws {
        let long = HandoverManifest.Entry(
            service: String(repeating: "x", count: HandoverManifest.maximumTextLength + 1),
            requested: "",
            address: ""
        )
        #expect(throws: UpgradeError.self) { try HandoverManifest(entries: [long]).encode() }
        let none = HandoverManifest.Entry(service: "", requested: "", address: "")
        let many = [HandoverManifest.Entry](repeating: none, count: HandoverFrame.maximumDescriptorCount + 1)
        #expect(throws: UpgradeError.self) { try HandoverManifest(entries: many).encode() }
    }

    @Test func aHeaderComesBackAsItWent() throws {
        let frame = HandoverFrame(.sockets, body: [1, 2, 3], descriptorCount: 700)
        let bytes = frame.encoded
        #expect(bytes.count == HandoverFrame.headerLength + 3)
        let header = try HandoverFrame.parseHeader(Array(bytes.prefix(HandoverFrame.headerLength)))
        #expect((header.kind, header.bodyLength, header.descriptorCount) == (.sockets, 3, 700))
    }

    /// The header's bytes, and a word of the error; an empty one means that it is good.
    @Test(
        arguments: [
            ("APUP 0001 0001 00000000 00000000", ""),
            ("APUP 0001 0002 00000000 00000000", ""),
            ("APUQ 0001 0001 00000000 00000000", "does not speak"),
            ("GET  0001 0001 00000000 00000000", "does not speak"),
            ("APUP 0002 0001 00000000 00000000", "version 2"),
            ("APUP 0001 0009 00000000 00000000", "unknown kind"),
            ("APUP 0001 0001 00100001 00000000", "too large"),
            ("APUP 0001 0001 FFFFFFFF 00000000", "too large"),
            ("APUP 0001 0001 00000000 00004001", "too large"),
            ("APUP 0001 0002 00000001 00000000", "too large"),
            ("APUP 0001 0003 00000000 00000001", "too large"),
            ("APUP 0001 0004 00000401 00000000", "too large"),
            ("APUP 0001 0001 00000000", "does not speak"),
        ]
    )
    func headers(_ text: String, problem: String) {
        var bytes = Array(text.prefix(4).utf8)
        let digits = text.dropFirst(4).filter { $0 != " " }
        for start in stride(from: 0, to: digits.count, by: 2) {
            bytes.append(UInt8(digits.dropFirst(start).prefix(2), radix: 16) ?? 0)
        }
        do throws(UpgradeError) {
            _ = try HandoverFrame.parseHeader(bytes)
            #expect(problem.isEmpty)
        } catch {
            #expect(!problem.isEmpty && error.description.contains(problem))
        }
    }

    @Test func aLongReasonIsCut() throws {
        let frame = HandoverFrame.failed(String(repeating: "x", count: 5_000))
        let header = try HandoverFrame.parseHeader(Array(frame.encoded.prefix(HandoverFrame.headerLength)))
        #expect(header.bodyLength == HandoverFrame.maximumReasonLength)
    }
}
