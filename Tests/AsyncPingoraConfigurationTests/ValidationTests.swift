import AsyncPingora
import AsyncPingoraConfiguration
import AsyncPingoraTesting
import Testing

/// A section of a program's own.
struct Routes: Decodable, Hashable, Sendable {
    struct Route: Decodable, Hashable, Sendable {
        var path: String
        var weight: Int
        var upstream: SocketAddress
    }

    var routes: [Route]
    var isOn: Bool?

    static let section = ConfigurationSection(
        "routing",
        as: Routes.self,
        restart: { $0?.isOn == $1?.isOn ? [] : ["isOn"] },
        verify: { $0.routes.isEmpty ? [SectionProblem(at: "routes", message: "expected a route, found none")] : [] }
    )
}

/// A text, and the one error in it.
struct Row: Sendable, CustomTestStringConvertible {
    let text: String
    let error: String

    init(_ text: String, _ error: String) {
        self.text = text
        self.error = error
    }

    init(_ text: String, _ place: String, key: String, expected: String, found: String) {
        self.init(text, "\(place): key '\(key)': expected \(expected), found \(found)")
    }

    var testDescription: String { text }
}

/// What errors call the kinds of values.
private enum Words {
    static let threads = "a whole number, 1 to 1024"
    static let flag = "true or false"
    static let timeout = "a duration such as 30s, 500ms or 2m, or 'never'"
    static let duration = "a duration such as 30s, 500ms or 2m"
    static let address = "an address such as 127.0.0.1:80, [::1]:80 or unix:/path"
    static let levels = "trace, debug, info, notice, warning, error or critical"
}

@Suite("What is wrong with a configuration is told with its place, and all of it at once")
struct ValidationTests {
    /// The errors' lines, without the file's name.
    private func errors(in text: String, verifiesFiles: Bool = false) -> [String] {
        do throws(ConfigurationError) {
            let sections = ConfigurationSections(Routes.section)
            _ = try ServerConfiguration(text: text, file: "f", sections: sections, verifiesFiles: verifiesFiles)
            return []
        } catch {
            return error.problems.map { "\($0)".replacing("f:", with: "", maxReplacements: 1) }
        }
    }

    @Test(arguments: [
        // Wrong types.
        Row("threads: many", "1:10", key: "threads", expected: Words.threads, found: "'many'"),
        Row("threads: '2'", "1:10", key: "threads", expected: Words.threads, found: "the text '2'"),
        Row("threads: [2]", "1:10", key: "threads", expected: Words.threads, found: "a list"),
        Row("threads: {}", "1:10", key: "threads", expected: Words.threads, found: "a section"),
        Row("threads:", "1:9", key: "threads", expected: Words.threads, found: "nothing"),
        Row("threads: 2.5", "1:10", key: "threads", expected: Words.threads, found: "'2.5'"),
        Row("daemon: yes", "1:9", key: "daemon", expected: Words.flag, found: "'yes'"),
        Row("daemon: \"true\"", "1:9", key: "daemon", expected: Words.flag, found: "the text 'true'"),
        Row("flavor: fast", "1:9: key 'flavor': expected pinned or stealing, found 'fast'"),
        Row("log_level: loud", "1:12", key: "log_level", expected: Words.levels, found: "'loud'"),
        Row("pid_file: ''", "1:11: key 'pid_file': expected a path, found the text ''"),
        Row("server: on", "1:9: key 'server': expected a section, found 'on'"),
        Row("services: [a]", "1:11: key 'services': expected a section, found a list"),
        Row("services:\n  web: 3", "2:8: key 'services.web': expected a section, found '3'"),
        Row("client_bind_to_ipv4: 10.0.0.1", "1:22: key 'client_bind_to_ipv4': expected a list, found '10.0.0.1'"),
        Row(
            "client_bind_to_ipv4: [10.0.0.1, '::1']",
            "1:33: key 'client_bind_to_ipv4[1]': expected an IPv4 address, found the text '::1'"
        ),
        Row(
            "client_bind_to_ipv6: [10.0.0.1]",
            "1:23: key 'client_bind_to_ipv6[0]': expected an IPv6 address, found '10.0.0.1'"
        ),
        // Impossible values.
        Row("version: 2", "1:10: key 'version': expected a whole number, 1 to 1, found '2'"),
        Row("threads: 0", "1:10", key: "threads", expected: Words.threads, found: "'0'"),
        Row("threads: -1", "1:10", key: "threads", expected: Words.threads, found: "'-1'"),
        Row(
            "threads: 99999999999999999999",
            "1:10",
            key: "threads",
            expected: Words.threads,
            found: "'99999999999999999999'"
        ),
        Row(
            "grace_period_seconds: 90000",
            "1:23: key 'grace_period_seconds': expected a number of seconds, 0 to 86400, found '90000'"
        ),
        Row(
            "daemon_ready_timeout_seconds: 0",
            "1:31: key 'daemon_ready_timeout_seconds': expected a number of seconds, 1 to 86400, found '0'"
        ),
        Row(
            "upgrade_sock_connect_accept_max_retries: 0",
            "1:42: key 'upgrade_sock_connect_accept_max_retries': expected a whole number, 1 to 3600, found '0'"
        ),
        Row("max_retries: 0", "1:14: key 'max_retries': expected a whole number, 1 to 1000, found '0'"),
        Row(
            "listener:\n  backlog: 70000",
            "2:12: key 'listener.backlog': expected a whole number, 1 to 65535, found '70000'"
        ),
        Row(
            "listener:\n  unix_permissions: 888",
            "2:21: key 'listener.unix_permissions': expected a file mode in octal such as 0660, found '888'"
        ),
        Row(
            "server:\n  write_timeout: 5x",
            "2:18",
            key: "server.write_timeout",
            expected: Words.timeout,
            found: "'5x'"
        ),
        Row("server:\n  write_timeout: 0", "2:18", key: "server.write_timeout", expected: Words.timeout, found: "'0'"),
        Row(
            "server:\n  lingering_timeout: never",
            "2:22",
            key: "server.lingering_timeout",
            expected: Words.duration,
            found: "'never'"
        ),
        Row(
            "server:\n  limits:\n    head_bytes: 1KB",
            "3:17: key 'server.limits.head_bytes': expected a size such as 65536, 64KiB or 1MiB, 1024 to 16777216, found '1KB'"
        ),
        Row(
            "server: {http2: {max_streams: 0}}",
            "1:31: key 'server.http2.max_streams': expected a whole number, 1 to 1000000, found '0'"
        ),
        Row("upstream:\n  http: h3", "2:9: key 'upstream.http': expected h1, h2 or auto, found 'h3'"),
        Row("admin:\n  listen: 8080", "2:11", key: "admin.listen", expected: Words.address, found: "'8080'"),
        Row("work_stealing: true\nflavor: pinned", "1:1: key 'work_stealing': expected it or 'flavor', found both"),
        // Unknown keys.
        Row("treads: 2", "1:1: key 'treads': expected 'threads', found an unknown key"),
        Row(
            "server:\n  write_timout: 5s",
            "2:3: key 'server.write_timout': expected 'write_timeout', found an unknown key"
        ),
        Row(
            "services:\n  web:\n    thread: 5",
            "3:5: key 'services.web.thread': expected 'threads', found an unknown key"
        ),
        Row("pneumatics: 2", "1:1: key 'pneumatics': expected a known key, found an unknown one"),
        Row(
            "max_blocking_threads: 2",
            "1:1: key 'max_blocking_threads': expected no such key, for there are no threads for blocking work"
        ),
        Row(
            "daemon_notify_timeout_seconds: 2",
            "1:1: key 'daemon_notify_timeout_seconds': expected no such key, for a background process reports through a pipe, at the first try"
        ),
        Row("[a]: 2", "1:1: expected a word as a key, found a list"),
        // Duplicates.
        Row("threads: 1\nflavor: pinned\nthreads: 2", "3:1: key 'threads': expected once, found again"),
        Row("server:\n  h2c: true\n  limits: {}\n  h2c : false", "4:3: key 'h2c': expected once, found again"),
        Row("server: {h2c: true, h2c: false}", "1:10: key 'h2c': expected once, found again"),
        // No YAML, or none that could be a configuration.
        Row("threads: [1", "2:1: expected YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        Row(
            "a: 1\n\tb: 2",
            "2:1: expected YAML: while scanning a plain scalar, found a tab character that violates indentation"
        ),
        Row("a: *b", "1:4: expected a single YAML document: found undefined alias"),
        Row("a: 1\n---\nb: 2", "2:1: expected a single YAML document: but found another document"),
        Row("- a", "1:1: expected keys and values, found a list"),
        Row("just words", "1:1: expected keys and values, found 'just words'"),
        // The program's own section.
        Row("routing: 1", "1:10: key 'routing': expected a section, found '1'"),
        Row("routing: {}", "1:10: key 'routing.routes': expected it, found no such key"),
        Row("routing:\n  routes: 1", "2:11: key 'routing.routes': expected a list, found '1'"),
        Row(
            "routing:\n  routes: []\n  isOn: maybe",
            "3:9",
            key: "routing.isOn",
            expected: Words.flag,
            found: "'maybe'"
        ),
        Row("routing:\n  routes: []\n  ison: true", "3:3: key 'routing.ison': expected 'isOn', found an unknown key"),
        Row(
            "routing:\n  routes:\n    - {path: a, weight: 1, upstream: 127.0.0.1:1}\n    - {path: a, weight: x, upstream: 127.0.0.1:1}",
            "4:25: key 'routing.routes[1].weight': expected a whole number, found 'x'"
        ),
        Row(
            "routing:\n  routes:\n    - path: a\n      weight: 1\n      upstream: nowhere",
            "5:17",
            key: "routing.routes[0].upstream",
            expected: Words.address,
            found: "'nowhere'"
        ),
        Row(
            "routing:\n  routes:\n    - weight: 1",
            "3:7: key 'routing.routes[0].path': expected it, found no such key"
        ),
        Row("routing:\n  rutes: []", "2:3: key 'routing.routes': expected it, found 'rutes'"),
    ])
    func oneError(row: Row) {
        #expect(errors(in: row.text) == [row.error])
    }

    @Test func severalErrors() {
        let text = """
            treads: 2
            daemon: 1
            server:
              h2c: on
              write_timeout: soon
            routing:
              routes: none
            log_level: info
            """
        #expect(
            errors(in: text) == [
                "1:1: key 'treads': expected 'threads', found an unknown key",
                "2:9: key 'daemon': expected true or false, found '1'",
                "4:8: key 'server.h2c': expected true or false, found 'on'",
                "5:18: key 'server.write_timeout': expected a duration such as 30s, 500ms or 2m, or 'never', found 'soon'",
                "7:11: key 'routing.routes': expected a list, found 'none'",
            ]
        )
    }

    @Test func errorIsOneLinePerProblem() throws {
        let error = #expect(throws: ConfigurationError.self) {
            try ServerConfiguration(text: "threads: 0\nflavor: x", file: "/etc/proxy.yaml")
        }
        #expect(
            error?.description == """
                /etc/proxy.yaml:1:10: key 'threads': expected a whole number, 1 to 1024, found '0'
                /etc/proxy.yaml:2:9: key 'flavor': expected pinned or stealing, found 'x'
                """
        )
    }

    @Test func filesAreVerifiedWhenAsked() {
        let text = "ca_file: /nowhere/ca.pem\nrouting:\n  routes: []"
        #expect(errors(in: text).isEmpty)
        #expect(
            errors(in: text, verifiesFiles: true) == [
                "1:10: key 'ca_file': /nowhere/ca.pem: No such file or directory",
                "3:11: key 'routing.routes': expected a route, found none",
            ]
        )
    }

    // MARK: - Hostile files

    private func firstError(in text: String) -> String {
        errors(in: text).first ?? "none"
    }

    /// Each level says the one before it nine times.
    private static let bomb: String = {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let parts = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(parts)]\n"
        }
        return text
    }()

    @Test(.timeLimit(.minutes(1))) func aliasBomb() {
        let refusal = "expected at most 100000 values, what aliases stand for counted, found more"
        #expect(firstError(in: Self.bomb).hasSuffix(refusal))
    }

    /// Keys are compared with each other, which would write the aliases out.
    @Test(.timeLimit(.minutes(1)), arguments: ["? *a9\n: 1\n", "*a9 : 1\n", "? [*a9, *a9]\n: 1", "b: {[*a9]: 1}\n"])
    func aliasBombAsKey(key: String) {
        #expect(firstError(in: Self.bomb + key).contains("expected keys that are plain words"))
    }

    @Test(.timeLimit(.minutes(1)), arguments: [31, 33, 900, 100_000]) func depth(count: Int) {
        let text = "a: " + String(repeating: "[", count: count) + String(repeating: "]", count: count)
        let error = firstError(in: text)
        switch count {
        case 31: #expect(error == "1:1: key 'a': expected a known key, found an unknown one")
        case 33, 900: #expect(error.hasSuffix("expected values nested at most 32 deep, found deeper ones"))
        default: #expect(error.contains("Maximum nesting level reached"))
        }
    }

    @Test func notInUTF8() {
        #expect(firstError(in: "threads: \u{0}").contains("control characters are not allowed"))
    }

    /// An operator may share values: aliases and `<<` work, also beside texts that look like odd keys.
    @Test func aliasesOfUse() throws {
        let text = """
            services:
              web: &usual
                threads: 3 # *not :
                flavor: stealing
              api: *usual
              admin:
                <<: *usual
                threads: 1
            admin: { listen: "[::1]:80" }
            error_log: |-
              a *text : with
              ? all sorts
            user: 'it''s *a : b'
            """
        let configuration = try ServerConfiguration(text: text)
        #expect(configuration.services["api"] == configuration.services["web"])
        #expect(configuration.services["admin"]?.threadCount == 1)
        #expect(configuration.services["admin"]?.flavor == .stealing)
        #expect(configuration.adminAddress?.description == "[::1]:80")
        #expect(configuration.process.errorLog == "a *text : with\n? all sorts")
        #expect(configuration.process.user == "it's *a : b")
    }
}
