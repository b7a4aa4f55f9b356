import AsyncPingoraTesting
import AsyncTransport
import Foundation
import Glibc
import Testing

@Suite("A proxy that runs out of descriptors pauses accepting, goes on, and does not crash")
struct DescriptorExhaustionTests {
    @Test(.timeLimit(.minutes(5)), arguments: ["pinned", "stealing"]) func exhaustion(flavor: String) async throws {
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.ok()) { origin in
                let demo = try LimitedDemo(descriptors: 40, upstream: origin.address, flavor: flavor)
                defer { demo.kill() }
                let proxy = try #require(demo.address)
                var clients: [RawClient] = []
                for _ in 0..<80 {
                    let client = try await RawClient.connect(to: proxy)
                    client.timeout = .seconds(30)
                    try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    clients.append(client)
                }
                // Each that is answered makes room for one that waits: all are, as long as accepting resumes.
                for client in clients {
                    let response = try await client.receiveResponse()
                    #expect([200, 502].contains(response.status))
                    client.close()
                }
                let last = try await RawClient.withConnection(to: proxy) { client in
                    try await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                }
                #expect([200, 502].contains(last.status))
                #expect(demo.isRunning)
                #expect(demo.terminate() == 0)
            }
        }
    }
}

/// The demonstration's proxy in a process of its own that may have few descriptors.
private final class LimitedDemo {
    let address: SocketAddress?
    private let process = Process()
    /// Kept: writing to a pipe that nobody holds would end the process.
    private let log = Pipe()

    init(descriptors: Int, upstream: SocketAddress, flavor: String) throws {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("Demo").path
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c",
            "ulimit -n \(descriptors); exec \"$0\" proxy --listen 127.0.0.1:0 --upstream \(upstream) --threads 1 --flavor \(flavor)",
            program,
        ]
        process.standardError = log
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        address = Self.listeningAddress(in: log.fileHandleForReading)
        // What else it logs is read, so that it never waits for the pipe.
        log.fileHandleForReading.readabilityHandler = { handle in
            if handle.availableData.isEmpty { handle.readabilityHandler = nil }
        }
    }

    private static func listeningAddress(in log: FileHandle) -> SocketAddress? {
        var text = ""
        while true {
            let data = log.availableData
            if data.isEmpty { return nil }
            text += String(decoding: data, as: UTF8.self)
            guard let start = text.firstRange(of: "listens on ")?.upperBound else { continue }
            guard let end = text[start...].firstIndex(of: "\n") else { continue }
            return SocketAddress(String(text[start..<end]))
        }
    }

    var isRunning: Bool { process.isRunning }

    /// Asks it to end gracefully and returns its exit status, or the negative signal that ended it.
    func terminate() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    func kill() {
        if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) }
    }
}
