import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Testing

/// A process at either end of a hand-over that does not do as it should.
private struct Impostor: Sendable {
    let path: String

    /// Waits as a new process does, and calls `body` with the first visitor's connection.
    func wait(_ body: @Sendable (HandoverConnection) async throws -> Void) async throws {
        try await withParker { parker in
            let listener = try PrivateListener(path: path)
            defer { listener.close() }
            let stream = try await listener.accept(parker: parker, deadline: .after(longPatience))
            let connection = HandoverConnection(channel: DescriptorChannel(stream, descriptorLimit: 20_000))
            defer { connection.channel.close() }
            try await body(connection)
        }
    }

    /// Visits as an old process does, as soon as somebody waits.
    func visit(_ body: @Sendable (HandoverConnection) async throws -> Void) async throws {
        let address = try #require(SocketAddress(unixPath: path))
        try await withParker { parker in
            let deadline = Deadline.after(longPatience)
            while true {
                let stream = try? await SocketStream.connect(
                    to: address,
                    options: .init(),
                    deadline: deadline,
                    parker: parker
                )
                guard let stream else {
                    try #require(!deadline.hasPassed && !parker.isCancelled, "nobody waits")
                    await parker.park(until: .after(.milliseconds(10)))
                    continue
                }
                let connection = HandoverConnection(channel: DescriptorChannel(stream, descriptorLimit: 0))
                defer { connection.channel.close() }
                return try await body(connection)
            }
        }
    }
}

/// Fails a test instead of hanging it.
private let longPatience: Duration = .seconds(60)

@Suite("Listening sockets pass from an old process to a new one, whole or not at all", .timeLimit(.minutes(3)))
struct HandoverTests {
    private func withPath(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let path = "/tmp/async-pingora-handover-\(getpid())-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        defer { unsafe unlink(path) }
        try await TestExecutor.withExecutor { _ in try await body(path) }
    }

    private func claim(
        _ path: String,
        timeout: Duration = longPatience,
        trust: HandoverConnection.Trust? = nil
    ) -> HandoverClaim {
        HandoverClaim(path: path, timeout: timeout, trust: trust, logger: silentLogger)
    }

    private func listening(_ count: Int, service: String = "proxy") throws -> [ListenerTable.Open] {
        let loopback = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        return try (0..<count).map { _ in
            ListenerTable.Open(service: service, requested: loopback, socket: try ListeningSocket(address: loopback))
        }
    }

    /// More than one message can carry, and they all serve on.
    @Test(arguments: [0, 1, 253, 254, 300])
    func socketsPass(count: Int) async throws {
        try await withPath { path in
            let sockets = try listening(count)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await HandoverOffer(path: path, timeout: longPatience).pass(sockets) }
                let granted = try await claim(path).wait {}
                #expect(granted.sockets.map(\.address) == sockets.map(\.socket.address))
                #expect(granted.sockets.allSatisfy { $0.service == "proxy" && $0.requested?.port == 0 })
                try await granted.release.ready()
                try await group.waitForAll()
                for (passed, old) in zip(granted.sockets, sockets) {
                    old.socket.close()
                    let socket = try ListeningSocket(adopting: passed.descriptor)
                    #expect(socket.address == old.socket.address)
                    socket.close()
                }
            }
            #expect(unsafe access(path, F_OK) != 0, "nothing is left behind")
        }
    }

    @Test func theNewProcessWaitsForAPrivateVisitOnly() async throws {
        try await withPath { path in
            let listener = try PrivateListener(path: path)
            var status = stat()
            #expect(unsafe lstat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let error = await #expect(throws: UpgradeError.self) { try await claim(path).wait {} }
            #expect(error?.description.contains("another process waits") == true)
            listener.close()
        }
    }

    /// The file of a process that was killed is no obstacle; a file that is no socket is left alone.
    @Test func whatLiesAtThePath() async throws {
        try await withPath { path in
            let address = try #require(SocketAddress(unixPath: path))
            try ListeningSocket(address: address).close()
            #expect(unsafe access(path, F_OK) == 0)
            try PrivateListener(path: path).close()
            #expect(unsafe access(path, F_OK) != 0)
            let file = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
            close(file)
            #expect(throws: TransportError.self) { try PrivateListener(path: path) }
            #expect(unsafe access(path, F_OK) == 0)
        }
    }

    @Test func theNewProcessGivesUpWhenNoneComes() async throws {
        try await withPath { path in
            let error = await #expect(throws: UpgradeError.self) {
                try await claim(path, timeout: .milliseconds(50)).wait {}
            }
            #expect(error?.description.contains("no old process has come") == true)
        }
    }

    @Test func theNewProcessTurnsStrangersAway() async throws {
        try await withPath { path in
            let stranger = HandoverConnection.Trust { _ in false }
            try await withThrowingTaskGroup(of: Void.self) { group in
                // It goes on waiting, until the test ends that.
                group.addTask {
                    await #expect(throws: TransportError.self) { try await claim(path, trust: stranger).wait {} }
                }
                try await Impostor(path: path).visit { connection in
                    let message = try await connection.receive(deadline: .after(longPatience))
                    #expect(message == nil)
                }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test func theOldProcessTrustsNoStranger() async throws {
        try await withPath { path in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Impostor(path: path).wait { connection in
                        let message = try await connection.receive(deadline: .after(longPatience))
                        #expect(message == nil)
                    }
                }
                let offer = HandoverOffer(path: path, timeout: longPatience, trust: .init { _ in false })
                let error = await #expect(throws: UpgradeError.self) { try await offer.pass(listening(1)) }
                #expect(error?.description.contains("not trusted") == true)
                try await group.waitForAll()
            }
        }
    }

    @Test func theOldProcessGoesOnWhenNoneWaits() async throws {
        try await withPath { path in
            let offer = HandoverOffer(path: path, timeout: longPatience, pause: .milliseconds(1))
            let error = await #expect(throws: UpgradeError.self) { try await offer.pass(listening(1)) }
            #expect(error?.description.contains("--upgrade") == true)
        }
    }

    /// The new process may vanish at any point before it is ready.
    enum Vanishing: CaseIterable {
        case atOnce, afterTheSockets, afterAWrongAnswer, withAReason, inSilence
    }

    @Test(arguments: Vanishing.allCases)
    func theOldProcessGoesOnWhenTheNewOneVanishes(_ when: Vanishing) async throws {
        try await withPath { path in
            let sockets = try listening(300)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Impostor(path: path).wait { connection in
                        let deadline = Deadline.after(longPatience)
                        if when == .atOnce { return }
                        let message = try #require(try await connection.receive(deadline: deadline))
                        #expect(message.descriptors.count == 300)
                        switch when {
                        case .afterAWrongAnswer: try await connection.send(.init(.released), deadline: deadline)
                        case .withAReason: try await connection.send(.failed("no\ncertificate"), deadline: deadline)
                        // Until the other end has lost its patience.
                        case .inSilence: _ = try? await connection.receive(deadline: deadline)
                        case .atOnce, .afterTheSockets: break
                        }
                    }
                }
                let offer = HandoverOffer(path: path, timeout: when == .inSilence ? .seconds(2) : longPatience)
                let error = await #expect(throws: UpgradeError.self) { try await offer.pass(sockets) }
                if when == .withAReason { #expect(error?.description.contains("no certificate") == true) }
                if when == .inSilence { #expect(error?.description.contains("not ready within") == true) }
                try await group.waitForAll()
            }
            for socket in sockets { #expect(try socket.socket.duplicate() != nil, "it still has its sockets") }
        }
    }

    /// What an old process may send, and a word of the error that the new one ends with.
    @Test(
        arguments: [
            ("another version", "version 7"),
            ("another protocol", "does not speak"),
            ("half a list", "left in the middle"),
            ("no descriptors", "left after 0 of 2"),
            ("too few descriptors", "1 sockets came"),
            ("too many descriptors", "3 sockets came"),
            ("something that does not listen", "not a listening socket"),
            ("another socket than announced", "announced as"),
            ("a wrong beginning", "begins with ready"),
        ]
    )
    func theNewProcessRefuses(_ what: String, reason: String) async throws {
        try await withPath { path in
            let sockets = try listening(3)
            let error = await #expect(throws: (any Error).self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await Impostor(path: path).visit { try await misbehave(what, sockets, $0) } }
                    _ = try await claim(path).wait {}
                }
            }
            #expect(error.map { "\($0)" }?.contains(reason) == true, "\(error.map { "\($0)" } ?? "no error")")
        }
    }

    private func misbehave(_ what: String, _ sockets: [ListenerTable.Open], _ to: HandoverConnection) async throws {
        let deadline = Deadline.after(longPatience)
        func entry(_ address: String) -> HandoverManifest.Entry {
            .init(service: "a", requested: address, address: address)
        }
        func copies(_ count: Int) throws -> [PassedDescriptor] {
            try sockets.prefix(count).compactMap { try $0.socket.duplicate() }
        }
        let good = try HandoverManifest(entries: sockets.prefix(2).map { entry($0.socket.address.description) })
            .encode()
        let frame = HandoverFrame(.sockets, body: good, descriptorCount: 2).encoded
        switch what {
        case "another version":
            var bytes = frame
            bytes[5] = 7
            try await to.channel.send(bytes, deadline: deadline)
        case "another protocol":
            try await to.channel.send(Array("GET / HTTP/1.1\r\n\r\n".utf8), deadline: deadline)
        case "half a list":
            try await to.channel.send(Array(frame.dropLast(3)), deadline: deadline)
        case "no descriptors":
            try await to.channel.send(frame, deadline: deadline)
        case "too few descriptors":
            try await to.channel.send(frame, deadline: deadline)
            try await to.channel.send([0], descriptors: copies(1), deadline: deadline)
        case "too many descriptors":
            try await to.channel.send(frame, deadline: deadline)
            try await to.channel.send([0], descriptors: copies(3), deadline: deadline)
        case "something that does not listen":
            let body = try HandoverManifest(entries: [entry("127.0.0.1:80")]).encode()
            let file = PassedDescriptor(unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
            try await to.send(.init(.sockets, body: body, descriptorCount: 1), deadline: deadline) { _ in [file] }
        case "another socket than announced":
            let body = try HandoverManifest(entries: [entry("127.0.0.1:80")]).encode()
            try await to.send(.init(.sockets, body: body, descriptorCount: 1), deadline: deadline) { _ in try copies(1)
            }
        default:
            try await to.send(.init(.ready), deadline: deadline)
        }
        guard what != "half a list", what != "no descriptors" else { return }
        // The new process says why before it leaves, where it still can.
        await #expect(throws: (any Error).self) { _ = try await to.receive(deadline: deadline) }
    }

    /// A new process that ends before it serves, for whatever reason, says so: the old one need not wait for it to be silent.
    @Test(arguments: [ServerSignal.gracefulShutdown, .fastShutdown])
    func theNewProcessIsAskedToEnd(signal: ServerSignal) async throws {
        try await withPath { path in
            var configuration = Server.Configuration()
            configuration.upgradeSocket = path
            configuration.takesOver = true
            configuration.upgradeTimeout = longPatience
            let server = Server(configuration: configuration, logger: silentLogger)
            let diary = Diary()
            await server.add(
                BackgroundService(name: "never ready", notifiesReady: true) { context in
                    diary.note("runs")
                    await context.drainBegins()
                }
            )
            let signals = ManualSignals()
            let sockets = try listening(1)
            let error = await #expect(throws: UpgradeError.self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await server.run(signals: signals) }
                    group.addTask {
                        try await diary.wait(for: "runs")
                        signals.send(signal)
                    }
                    let pause = Duration.milliseconds(10)
                    try await HandoverOffer(path: path, timeout: longPatience, attempts: 6_000, pause: pause)
                        .pass(sockets)
                }
            }
            #expect(error?.description == "the other process gives up: it was asked to end")
            #expect(sockets.allSatisfy { !$0.socket.isShared })
        }
    }

    /// A new process whose old one has gone is all there is, and serves; one whose old process goes on must not.
    @Test(arguments: [true, false]) func whatTheOldProcessSaysLast(goesOn: Bool) async throws {
        try await withPath { path in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Impostor(path: path).visit { connection in
                        let deadline = Deadline.after(longPatience)
                        try await connection.send(HandoverFrame(.sockets), deadline: deadline)
                        let answer = try await connection.receive(deadline: deadline)
                        #expect(answer?.frame.kind == .ready)
                        if goesOn { try await connection.send(.failed("too late"), deadline: deadline) }
                    }
                }
                let granted = try await claim(path).wait {}
                if goesOn {
                    await #expect(throws: UpgradeError.self) { try await granted.release.ready() }
                } else {
                    try await granted.release.ready()
                }
                try await group.waitForAll()
            }
        }
    }
}
