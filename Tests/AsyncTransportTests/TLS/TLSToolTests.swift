import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

@Suite("The openssl command is understood, on either side", .serialized)
struct TLSToolTests {
    /// Accepts one connection, sends back the first line, and runs `openssl s_client` meanwhile; returns the tool's outcome.
    private static func clientOutcome(
        _ acceptor: TLSAcceptor,
        _ arguments: [String],
        input: String = "hello\n"
    ) async throws -> ChildProcess.Outcome {
        try await TestExecutor.withExecutor { _ in
            try await withParker { parker in
                let listener = try ListeningSocket(address: loopback(), options: ListenerOptions())
                defer { listener.close() }
                try listener.register(parker: parker)
                let port = listener.address.port ?? 0
                let child = try ChildProcess(
                    ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-ign_eof"] + arguments,
                    input: Array(input.utf8)
                )
                while true {
                    guard case .connection(let accepted) = try listener.tryAccept() else {
                        await parker.park(until: .after(patience))
                        continue
                    }
                    let socket = try #require(try accepted.open())
                    socket.attach(to: parker)
                    if let stream = try? await acceptor.accept(socket) {
                        if let line = try await stream.readText() { try await stream.write("echo " + line) }
                        stream.close(reset: false)
                    }
                    return await child.outcome()
                }
            }
        }
    }

    @Test("s_client", arguments: ["-tls1_2", "-tls1_3"])
    func client(_ version: String) async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        var source = TLSCertificateSource(chainFile: certificate.chainFile, keyFile: certificate.keyFile)
        source.ocspResponseFile = try await authority.ocspResponse(for: certificate)
        let acceptor = try TLSAcceptor(TLSServerSettings(certificates: [source]))
        let outcome = try await Self.clientOutcome(
            acceptor,
            [version, "-CAfile", authority.authorityFile, "-verify_return_error", "-alpn", "h2,http/1.1", "-status"]
                + ["-servername", "localhost"]
        )
        #expect(outcome.status == 0)
        #expect(outcome.text.contains("echo hello"))
        #expect(outcome.text.contains("ALPN protocol: http/1.1"))
        #expect(outcome.text.contains("OCSP Response Status: successful"))
        #expect(outcome.text.contains("Verify return code: 0 (ok)"))
    }

    @Test(
        "s_client is refused what the profile does not have",
        arguments: [
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA"],
        ]
    )
    func refusedClient(_ arguments: [String]) async throws {
        let authority = try await TestAuthority()
        let acceptor = try TLSAcceptor(TLSServerSettings(try await authority.issue()))
        let outcome = try await Self.clientOutcome(acceptor, arguments)
        #expect(outcome.status != 0)
        #expect(!outcome.text.contains("echo hello"))
    }

    @Test("s_server", arguments: TLSVersion.allCases)
    func server(_ version: TLSVersion) async throws {
        let authority = try await TestAuthority()
        let certificate = try await authority.issue()
        let child = try ChildProcess(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate.chainFile, "-www"]
                + ["-key", certificate.keyFile, "-alpn", "http/1.1", version == .tls12 ? "-tls1_2" : "-tls1_3"]
        )
        let output = await child.output(containing: "ACCEPT 127.0.0.1:")
        let port = try #require(
            output.split(separator: "ACCEPT 127.0.0.1:").last?.prefix { $0.isNumber }.description
        )
        let address = try #require(UInt16(port).flatMap { SocketAddress(host: "127.0.0.1", port: $0) })
        try await TestExecutor.withExecutor { _ in
            let connector = TLSConnector()
            for isResumed in [false, true] {
                try await withParker { parker in
                    let socket = try await SocketStream.connect(
                        to: address,
                        options: SocketStream.ConnectOptions(),
                        deadline: .after(patience),
                        parker: parker
                    )
                    let stream = try await connector.connect(
                        over: socket,
                        options: TLSClientOptions(serverName: "localhost", trusting: authority),
                        protocols: [.http11],
                        deadline: .after(patience)
                    )
                    defer { stream.close(reset: false) }
                    #expect(stream.tls?.version == version.rawValue)
                    #expect(stream.tls?.applicationProtocol == .http11)
                    #expect(stream.tls?.isResumed == isResumed)
                    try await stream.write("GET / HTTP/1.0\r\n\r\n")
                    #expect(try await stream.readText()?.hasPrefix("HTTP/1.0 200") == true)
                }
            }
        }
    }
}
