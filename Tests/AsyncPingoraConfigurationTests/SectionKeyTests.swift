import AsyncPingora
import AsyncPingoraConfiguration
import Testing

/// A section with the ways in which a type can ask for keys.
private struct Site: Decodable, Sendable {
    struct Page: Decodable, Sendable {
        var path: String
        var title: String?
    }

    /// Asks for its keys itself, and for the others by way of a nested container, of which it makes nothing.
    struct Cache: Decodable, Sendable {
        var size: Int

        private enum Keys: String, CodingKey { case size, store }
        private enum StoreKeys: String, CodingKey { case folder, files }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Keys.self)
            size = try container.decode(Int.self, forKey: .size)
            guard container.contains(.store) else { return }
            let store = try container.nestedContainer(keyedBy: StoreKeys.self, forKey: .store)
            _ = try store.decodeIfPresent(String.self, forKey: .folder)
            var files = try store.nestedUnkeyedContainer(forKey: .files)
            while !files.isAtEnd { _ = try files.nestedContainer(keyedBy: Keys.self).contains(.size) }
        }
    }

    /// One of two forms, tried one after the other.
    enum Target: Decodable, Sendable {
        case port(Page)
        case name(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let name = try? container.decode(String.self) {
                self = .name(name)
            } else {
                self = .port(try container.decode(Page.self))
            }
        }
    }

    enum Mode: String, Decodable, Sendable { case fast, slow }
    enum Choice: Decodable, Sendable {
        case one(weight: Int)
        case two
    }

    var pages: [Page]?
    var byName: [String: Page]?
    var cache: Cache?
    var targets: [Target]?
    var mode: Mode?
    var choice: Choice?
    var listen: SocketAddress?
    var matrix: [[Int?]]?
    var empty: Empty?
    var pair: Pair?

    struct Pair: Decodable, Sendable {
        var key: String
        var keys: String
    }

    /// Does not look whether there are any.
    struct Empty: Decodable, Sendable {}

    static let section = ConfigurationSection("site", as: Site.self)
}

@Suite("A key that a program's section does not ask for is an error, however deep it is")
struct SectionKeyTests {
    private func problems(in text: String) -> [String] {
        do throws(ConfigurationError) {
            _ = try ServerConfiguration(text: text, file: "f", sections: ConfigurationSections(Site.section))
            return []
        } catch {
            return error.problems.map { "\($0)" }
        }
    }

    @Test func whatIsAskedForIsKnown() throws {
        let text = """
            site:
              pages: [{path: /}, {path: /a, title: A}]
              byName: {any: {path: /}, name: {path: /, title: x}}
              cache: {size: 1, store: {folder: a, files: [{size: 1}, {}]}}
              targets: [a, {path: /}]
              mode: fast
              choice: {one: {weight: 3}}
              listen: 127.0.0.1:80
              matrix: [[1, ~], []]
              empty: {a: 1}
            """
        #expect(problems(in: text) == [])
        let sections = ConfigurationSections(Site.section)
        let site = try #require(ServerConfiguration(text: text, sections: sections)[Site.section])
        #expect(site.pages?.map(\.title) == [nil, "A"])
        #expect(site.byName?["name"]?.title == "x")
        #expect(site.cache?.size == 1)
        #expect(site.mode == .fast)
        #expect(site.matrix == [[1, nil], []])
        if case .one(let weight) = site.choice { #expect(weight == 3) } else { Issue.record("another choice") }
    }

    @Test(
        arguments: [
            ("site: {mod: fast}", ["f:1:8: key 'site.mod': expected 'mode', found an unknown key"]),
            (
                "site:\n  pages:\n    - {path: /}\n    - {path: /, tilte: A}\n    - {path: /, weight: 1}",
                [
                    "f:4:17: key 'site.pages[1].tilte': expected 'title', found an unknown key",
                    "f:5:17: key 'site.pages[2].weight': expected a known key, found an unknown one",
                ]
            ),
            (
                "site:\n  byName:\n    x: {path: /, titel: A}",
                ["f:3:18: key 'site.byName.x.titel': expected 'title', found an unknown key"]
            ),
            (
                "site:\n  cache: {size: 1, stor: {}}",
                ["f:2:20: key 'site.cache.stor': expected 'store', found an unknown key"]
            ),
            (
                "site:\n  cache:\n    size: 1\n    store: {foldr: a, files: [{}, {sizes: 1}]}",
                [
                    "f:4:13: key 'site.cache.store.foldr': expected 'folder', found an unknown key",
                    "f:4:36: key 'site.cache.store.files[1].sizes': expected 'size', found an unknown key",
                ]
            ),
            (
                "site:\n  targets: [{path: /, port: 1}]",
                ["f:2:23: key 'site.targets[0].port': expected a known key, found an unknown one"]
            ),
            (
                "site:\n  choice: {one: {weight: 3, wait: 1}}",
                ["f:2:29: key 'site.choice.one.wait': expected a known key, found an unknown one"]
            ),
            // What an alias or a merge brings in counts as well.
            (
                "site:\n  pages: [&a {path: /, tag: 1}]\n  byName: {b: {<<: *a, title: x}}",
                [
                    "f:2:24: key 'site.pages[0].tag': expected a known key, found an unknown one",
                    "f:2:24: key 'site.byName.b.tag': expected a known key, found an unknown one",
                ]
            ),
        ] as [(String, [String])]
    )
    func whatIsNotIsAnError(text: String, wanted: [String]) {
        #expect(problems(in: text) == wanted)
    }

    @Test(
        arguments: [
            // A value that cannot be decoded is told as before; the keys behind it are not known.
            ("site:\n  mode: quick\n  other: 1", "f:2:9: key 'site.mode': "),
            ("site:\n  pages: [{title: A}]", "f:2:11: key 'site.pages[0].path': expected it, found no such key"),
            ("site:\n  pages: [{pth: /}]", "f:2:12: key 'site.pages[0].path': expected it, found 'pth'"),
            ("site:\n  pair: {key: a}", "f:2:9: key 'site.pair.keys': expected it, found no such key"),
            ("site:\n  pair: {key: a, kes: b}", "f:2:18: key 'site.pair.keys': expected it, found 'kes'"),
            ("site:\n  matrix: [[1, x]]", "f:2:16: key 'site.matrix[0][1]': expected a whole number, found 'x'"),
            ("site:\n  cache: 3", "f:2:10: key 'site.cache': expected a section, found '3'"),
        ]
    )
    func whatCannotBeDecodedIsTold(text: String, start: String) {
        let problems = problems(in: text)
        #expect(problems.count == 1 && problems[0].hasPrefix(start), "\(problems)")
    }
}
