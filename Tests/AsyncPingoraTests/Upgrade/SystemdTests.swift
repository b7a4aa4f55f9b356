import AsyncPingora
import AsyncTransport
import Glibc
import Testing

@Suite("What systemd says and is told")
struct SystemdTests {
    private static let process: Int32 = 42

    @Test(
        arguments: [
            (["LISTEN_PID": "42", "LISTEN_FDS": "2"], 3..<5),
            (["LISTEN_PID": "42", "LISTEN_FDS": "1"], 3..<4),
            (["LISTEN_PID": "41", "LISTEN_FDS": "2"], 3..<3),
            (["LISTEN_FDS": "2"], 3..<3),
            (["LISTEN_PID": "42"], 3..<3),
            (["LISTEN_PID": "42", "LISTEN_FDS": "0"], 3..<3),
            (["LISTEN_PID": "42", "LISTEN_FDS": "-1"], 3..<3),
            (["LISTEN_PID": "42", "LISTEN_FDS": "two"], 3..<3),
            (["LISTEN_PID": "42", "LISTEN_FDS": "999999999"], 3..<3),
            (["LISTEN_PID": "99999999999999", "LISTEN_FDS": "2"], 3..<3),
            ([:], 3..<3),
        ] as [([String: String], Range<Int32>)]
    )
    func sockets(_ environment: [String: String], descriptors: Range<Int32>) {
        #expect(SystemdSockets.announced(by: { environment[$0] }, process: Self.process) == descriptors)
    }

    @Test func names() {
        #expect(SystemdSockets.names("http:tls", count: 3) == ["http", "tls", "?"])
        #expect(SystemdSockets.names("http:tls", count: 1) == ["http"])
        #expect(SystemdSockets.names("a::b", count: 3) == ["a", "", "b"])
        #expect(SystemdSockets.names(nil, count: 2) == ["?", "?"])
    }

    @Test(
        arguments: [
            (["WATCHDOG_USEC": "30000000"], .seconds(30)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"], .seconds(30)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"], nil),
            (["WATCHDOG_USEC": "0"], nil),
            (["WATCHDOG_USEC": "soon"], nil),
            ([:], nil),
        ] as [([String: String], Duration?)]
    )
    func watchdog(_ environment: [String: String], interval: Duration?) {
        #expect(SystemdNotifier.watchdogInterval({ environment[$0] }, process: Self.process) == interval)
    }

    /// Messages go to a path or to a name in the abstract namespace.
    @Test(arguments: ["/tmp/async-pingora-notify-", "@async-pingora-notify-"])
    func messages(_ prefix: String) throws {
        let address = "\(prefix)\(getpid())-\(UInt64.random(in: 0 ... .max))"
        defer { unsafe unlink(address) }
        let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var native = sockaddr_un()
        native.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(address.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        // SAFETY: the address fits, and its length is said.
        unsafe withUnsafeMutableBytes(of: &native.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = MemoryLayout<sa_family_t>.size + bytes.count
        let bound = unsafe withUnsafePointer(to: native) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(socket, $0, socklen_t(length))
            }
        }
        try #require(bound == 0)
        let environment = ["NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"]
        let notifier = SystemdNotifier(environment: { environment[$0] }, process: getpid())
        #expect(notifier.isEnabled)
        #expect(notifier.watchdogPause == .seconds(1))

        func received() -> String {
            var buffer = [UInt8](repeating: 0, count: 1_024)
            let count = unsafe recv(socket, &buffer, buffer.count, 0)
            return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        }
        notifier.ready(status: "all\nis well")
        #expect(received() == "READY=1\nMAINPID=\(getpid())\nSTATUS=all is well")
        notifier.reloading()
        let reloading = received().split(separator: "\n")
        #expect(reloading.first == "RELOADING=1")
        #expect(reloading.count > 1 && Int(reloading[1].dropFirst("MONOTONIC_USEC=".count)) != nil)
        notifier.stopping()
        #expect(received().hasPrefix("STOPPING=1\n"))
        notifier.watchdog()
        #expect(received() == "WATCHDOG=1")
    }

    @Test(arguments: [nil, "", "relative", "@", "/" + String(repeating: "x", count: 200)])
    func nobodyListens(_ address: String?) {
        let notifier = SystemdNotifier(environment: { $0 == "NOTIFY_SOCKET" ? address : nil }, process: getpid())
        #expect(!notifier.isEnabled)
        notifier.ready()
    }
}
