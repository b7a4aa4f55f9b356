import AsyncPingora
import AsyncPingoraConfiguration
import Foundation
import Testing

/// A directory that goes with the test.
final class Workspace: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/configuration-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Writes a file as an editor does: in one go, so that nobody reads half of it.
    @discardableResult func write(_ text: String, to name: String = "proxy.yaml") throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
        return file
    }

    func contents(of name: String) throws -> String {
        try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
    }

    @discardableResult func copy(_ source: String, to name: String) throws -> String {
        try write(String(contentsOfFile: source, encoding: .utf8), to: name)
    }
}

@Suite("A configuration file is read into the framework's own settings")
struct ConfigurationFileTests {
    private static let example = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Examples/async-pingora.yaml")
        .path

    /// What is behind a `#` that is no sentence, switched on.
    private func uncommented() throws -> String {
        let text = try String(contentsOfFile: Self.example, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.replacing(/^( *)#( *[a-z_0-9]+:)/) { "\($0.1)\($0.2)" }
        }
        return lines.joined(separator: "\n")
    }

    @Test func exampleHasTheDefaults() throws {
        var configuration = try ServerConfiguration(file: Self.example)
        configuration.services = [:]
        #expect("\(configuration)" == "\(ServerConfiguration())")
    }

    @Test func exampleHasEveryKey() throws {
        let text = try uncommented()
        for key in ServerConfiguration.keys {
            let name = key.split(separator: ".").last ?? ""
            #expect(text.contains(try Regex("(?m)^ *\(name):")), "\(key) is not in the example")
        }
    }

    @Test func examplesOfValuesAreValid() throws {
        var text = try uncommented()
        // One of the two, and a service that has what the comment shows.
        text.replace(/\nwork_stealing:.*\n/, with: "\n")
        text.replace("  proxy: {}", with: "  proxy:")
        let demo = ConfigurationSection("demo", as: [String: Anything].self)
        let configuration = try ServerConfiguration(text: text, sections: ConfigurationSections(demo))
        #expect(configuration.services["proxy"]?.threadCount == 4)
        #expect(configuration.process.user == "www-data")
        #expect(configuration.listener.connection.keepAlive?.idleSeconds == 60)
        #expect(configuration.upstream.socket.keepAlive?.userTimeoutMilliseconds == 30_000)
        #expect(configuration.metricsAddress?.description == "127.0.0.1:6191")
        #expect(configuration[demo]?.count == 5)
    }

    private struct Anything: Decodable, Sendable {
        init(from decoder: any Decoder) {}
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n", "~"]) func empty(text: String) throws {
        let configuration = try ServerConfiguration(text: text)
        #expect("\(configuration)" == "\(ServerConfiguration())")
    }

    @Test(arguments: [
        ("30", Duration.seconds(30)), ("30s", .seconds(30)), ("1.5s", .milliseconds(1_500)),
        ("0.25", .milliseconds(250)),
        ("500ms", .milliseconds(500)), ("0.5ms", .microseconds(500)), ("2m", .seconds(120)), ("1h", .seconds(3_600)),
        ("2 m", .seconds(120)), ("never", nil),
    ])
    func durations(text: String, expected: Duration?) throws {
        let configuration = try ServerConfiguration(text: "server: {write_timeout: \(text)}")
        #expect(configuration.http.writeTimeout == expected)
    }

    @Test(arguments: ["-1", "1.s", ".5", "1.2345s", "1d", "s", "4000000000", "1e3", "٣s"])
    func noDurations(text: String) {
        #expect(throws: ConfigurationError.self) { try ServerConfiguration(text: "server: {write_timeout: '\(text)'}") }
    }

    @Test(arguments: [("65536", 65_536), ("65_536", 65_536), ("64KiB", 65_536), ("1 MiB", 1 << 20), ("1024B", 1_024)])
    func sizes(text: String, expected: Int) throws {
        let configuration = try ServerConfiguration(text: "server: {max_drain_bytes: \(text)}")
        #expect(configuration.http.maximumDrainBytes == expected)
    }

    @Test func theBackgroundAndUpgrades() throws {
        let text = """
            daemon: true
            daemon_wait_for_ready: false
            daemon_ready_timeout_seconds: 5
            upgrade_sock_connect_accept_max_retries: 9
            """
        let configuration = try ServerConfiguration(text: text)
        #expect(configuration.process.isDaemon && !configuration.process.waitsUntilReady)
        #expect(configuration.process.readyTimeout == .seconds(5))
        #expect(configuration.server.upgradeAttempts == 9)
    }

    @Test func threadsOfServices() throws {
        let configuration = try ServerConfiguration(
            text: "threads: 2\nwork_stealing: true\nservices: {api: {threads: 4}, web: {flavor: pinned}}"
        )
        let (api, web, other) = (
            configuration.threads(of: "api"), configuration.threads(of: "web"), configuration.threads(of: "other")
        )
        #expect(api.threadCount == 4 && api.flavor == .stealing)
        #expect(web.threadCount == 2 && web.flavor == .pinned)
        #expect(other.threadCount == 2 && other.flavor == .stealing)
    }

    @Test func sourceAddressesFitTheUpstream() throws {
        let configuration = try ServerConfiguration(
            text: "client_bind_to_ipv4: [127.0.0.2]\nclient_bind_to_ipv6: ['::1']\nupstream: {read_timeout: 7s}"
        )
        let ipv4 = try #require(SocketAddress("127.0.0.1:80"))
        let ipv6 = try #require(SocketAddress("[::1]:80"))
        let unix = try #require(SocketAddress("unix:/a"))
        #expect(configuration.peerOptions(for: ipv4).source?.address.host == "127.0.0.2")
        #expect(configuration.peerOptions(for: ipv6).source?.address.host == "::1")
        #expect(configuration.peerOptions(for: unix).source == nil)
        #expect(configuration.peerOptions(for: unix).readTimeout == .seconds(7))
        #expect(configuration.tlsOptions(serverName: "a").serverName == "a")
    }

    @Test func ownSection() throws {
        let text = "routing:\n  routes: [{path: /a, weight: 3, upstream: '127.0.0.1:80'}]"
        let sections = ConfigurationSections(Routes.section)
        let configuration = try ServerConfiguration(text: text, sections: sections)
        #expect(configuration[Routes.section]?.routes.first?.weight == 3)
        #expect(configuration[Routes.section]?.isOn == nil)
        #expect(try ServerConfiguration(text: "", sections: sections)[Routes.section] == nil)
    }

    @Test func filesThatCannotBeRead() throws {
        let workspace = try Workspace()
        let large = try workspace.write("a: " + String(repeating: "x", count: 1 << 20), to: "large.yaml")
        #expect(error(of: large) == "\(large): cannot be read: is larger than 1048576 bytes")
        #expect(error(of: "/nowhere.yaml") == "/nowhere.yaml: cannot be read: No such file or directory")
        #expect(error(of: workspace.path) == "\(workspace.path): cannot be read: Is a directory")
        let latin = "\(workspace.path)/latin.yaml"
        try Data([0x61, 0x3A, 0x20, 0x31, 0x0A, 0xE4]).write(to: URL(fileURLWithPath: latin))
        #expect(error(of: latin) == "\(latin):2:1: expected text in UTF-8, found other bytes")
    }

    private func error(of file: String) -> String? {
        do throws(ConfigurationError) {
            _ = try ServerConfiguration(file: file)
            return nil
        } catch {
            return error.description
        }
    }
}
