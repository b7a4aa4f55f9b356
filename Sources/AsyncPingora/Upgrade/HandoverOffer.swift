internal import AsyncTransport

/// The old process's side of a hand-over.
package struct HandoverOffer: Sendable {
    private let path: String
    private let timeout: Duration
    private let trust: HandoverConnection.Trust

    private let attempts: Int
    private let pause: Duration

    /// Makes an offer.
    ///
    /// - Parameters:
    ///   - path: where the new process waits.
    ///   - timeout: how long the whole of it may take: the new process prepares all of its services meanwhile.
    ///   - trust: whose process may have the sockets.
    ///   - attempts: how often the new process is looked for, which may not be waiting yet.
    ///   - pause: how long after each time that nobody waits there it looks again.
    package init(
        path: String,
        timeout: Duration,
        trust: HandoverConnection.Trust = .sameUser(),
        attempts: Int = 5,
        pause: Duration = .seconds(1)
    ) {
        self.attempts = attempts
        self.pause = pause
        self.path = path
        self.timeout = timeout
        self.trust = trust
    }

    /// Passes the sockets, and returns when the new process serves: from then on this one need not accept.
    ///
    /// Runs on a worker.
    /// - Throws: ``UpgradeError``, or `TransportError`, when there is no new process or it does not come up; nothing has changed then.
    package func pass(_ sockets: [ListenerTable.Open]) async throws {
        for open in sockets { open.socket.isShared = true }
        do {
            try await connectAndPass(sockets)
        } catch {
            for open in sockets { open.socket.isShared = open.staysShared }
            throw error
        }
    }

    private func connectAndPass(_ sockets: [ListenerTable.Open]) async throws {
        try await withParker { parker in
            let deadline = Deadline.after(timeout)
            let stream = try await connect(parker: parker, deadline: deadline)
            let channel = DescriptorChannel(stream, descriptorLimit: 0)
            defer { channel.close() }
            let connection = HandoverConnection(channel: channel)
            do {
                try connection.check(trust)
                try await pass(sockets, over: connection, deadline: deadline)
            } catch let error as TransportError where error.isTimeout {
                let error = UpgradeError("the new process was not ready within \(timeout)")
                try? await connection.send(.failed(error.description), deadline: .after(.seconds(1)))
                throw error
            } catch let error as TransportError where error.isClosedByPeer {
                throw UpgradeError("the new process has ended before it was ready")
            }
        }
    }

    private func connect(parker: Parker, deadline: Deadline) async throws -> SocketStream {
        guard let address = SocketAddress(unixPath: path) else {
            throw UpgradeError("'\(path)' is too long for the path of a socket")
        }
        var attempt = 1
        while true {
            do throws(TransportError) {
                return try await SocketStream.connect(
                    to: address,
                    options: SocketStream.ConnectOptions(),
                    deadline: deadline,
                    parker: parker
                )
            } catch {
                // A full queue, too: others visit it just now.
                guard error.isRefused || error.isQueueFull else { throw error }
                guard attempt < attempts else {
                    throw UpgradeError("no new process waits at \(path): start one with --upgrade first")
                }
            }
            attempt += 1
            let next = Deadline.after(pause)
            while !next.hasPassed {
                if parker.isCancelled { throw TransportError.cancelled(.connect) }
                await parker.park(until: next)
            }
        }
    }

    private func pass(
        _ sockets: [ListenerTable.Open],
        over connection: HandoverConnection,
        deadline: Deadline
    ) async throws {
        let manifest = HandoverManifest(
            entries: sockets.map {
                HandoverManifest.Entry(
                    service: $0.service,
                    requested: $0.requested.description,
                    address: $0.socket.address.description,
                    staysShared: $0.staysShared
                )
            }
        )
        let frame = HandoverFrame(.sockets, body: try manifest.encode(), descriptorCount: sockets.count)
        do {
            try await connection.send(frame, deadline: deadline) { batch in
                try sockets[batch].map { open in
                    guard let copy = try open.socket.duplicate() else {
                        throw UpgradeError("\(open.socket.address) was closed meanwhile")
                    }
                    return copy
                }
            }
        } catch let error as TransportError where error.isClosedByPeer {
            // It may have said why before it left.
        }
        guard let answer = try await connection.receive(deadline: deadline) else {
            throw UpgradeError("the new process has ended before it was ready")
        }
        guard answer.frame.kind == .ready else {
            throw UpgradeError("the new process answers with \(answer.frame.kind)")
        }
        // It serves already, so whether it hears this makes no difference here.
        try? await connection.send(HandoverFrame(.released), deadline: deadline)
    }
}
