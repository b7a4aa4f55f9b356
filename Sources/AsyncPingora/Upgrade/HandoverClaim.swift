internal import AsyncTransport
package import Logging

/// The new process's side of a hand-over.
package struct HandoverClaim: Sendable {
    private let path: String
    private let timeout: Duration
    private let otherUser: UInt32?
    private let trust: HandoverConnection.Trust
    private let logger: Logger

    /// Makes a claim.
    ///
    /// - Parameters:
    ///   - path: where to wait for the old process.
    ///   - timeout: how long to wait, and how long it may take to hear that this process serves.
    ///   - otherUser: who the old process may run as, beside this one's user and root.
    ///   - trust: whose sockets are taken; nil takes those of the users named.
    ///   - logger: where visitors that are turned away are logged.
    package init(
        path: String,
        timeout: Duration,
        otherUser: UInt32? = nil,
        trust: HandoverConnection.Trust? = nil,
        logger: Logger
    ) {
        self.path = path
        self.timeout = timeout
        self.otherUser = otherUser
        self.trust = trust ?? .sameUser(or: otherUser)
        self.logger = logger
    }

    /// A claim whose sockets have come.
    package struct Granted {
        package let sockets: [ListenerTable.Inherited]
        package let release: HandoverRelease
    }

    /// Waits for the old process, and takes its sockets.
    ///
    /// Runs on a worker; the release must then be used on the same one.
    /// - Parameter waits: called when the old process can come.
    /// - Returns: the sockets.
    /// - Throws: ``UpgradeError``, or `TransportError`, when none comes or what it sends is of no use.
    package func wait(_ waits: () -> Void) async throws -> Granted {
        try await withParker { try await wait(parker: $0, waits) }
    }

    private func wait(parker: Parker, _ waits: () -> Void) async throws -> Granted {
        let listener = try listen()
        defer { listener.close() }
        waits()
        let deadline = Deadline.after(timeout)
        while true {
            let stream: SocketStream
            do throws(TransportError) {
                stream = try await listener.accept(parker: parker, deadline: deadline)
            } catch {
                guard error.isTimeout else { throw error }
                throw UpgradeError("no old process has come to \(path) within \(timeout): was it sent SIGQUIT?")
            }
            let limit = HandoverFrame.maximumDescriptorCount + DescriptorChannel.descriptorsPerMessage
            let connection = HandoverConnection(channel: DescriptorChannel(stream, descriptorLimit: limit))
            do {
                try connection.check(trust)
            } catch {
                logger.warning("upgrade: \(error)")
                connection.channel.close()
                continue
            }
            do {
                if let sockets = try await receive(over: connection, deadline: deadline) {
                    connection.channel.attach(to: nil)
                    return Granted(sockets: sockets, release: HandoverRelease(connection: connection, timeout: timeout))
                }
            } catch {
                try? await connection.send(.failed("\(error)"), deadline: .after(.seconds(1)))
                connection.channel.close()
                throw error
            }
            // Somebody who only looked whether this socket is in use.
            connection.channel.close()
        }
    }

    private func listen() throws -> PrivateListener {
        let listener: PrivateListener
        do throws(TransportError) {
            listener = try PrivateListener(path: path)
        } catch {
            guard error.isInUse else { throw error }
            throw UpgradeError("another process waits at \(path) already")
        }
        if let otherUser, otherUser != ProcessUser.effective { try listener.admit(user: otherUser) }
        return listener
    }

    private func receive(
        over connection: HandoverConnection,
        deadline: Deadline
    ) async throws -> [ListenerTable.Inherited]? {
        let message: (frame: HandoverFrame, descriptors: [PassedDescriptor])?
        do {
            message = try await connection.receive(deadline: deadline)
        } catch let error as TransportError where error.isClosedByPeer {
            throw UpgradeError("the old process has left in the middle of a message")
        }
        guard let message else { return nil }
        guard message.frame.kind == .sockets else {
            throw UpgradeError("the old process begins with \(message.frame.kind)")
        }
        let manifest = try HandoverManifest(parsing: message.frame.body, count: message.descriptors.count)
        return try zip(manifest.entries, message.descriptors).map { entry, descriptor in
            let address = try descriptor.listeningAddress()
            guard address.description == entry.address else {
                throw UpgradeError("a socket that was announced as \(entry.address) is \(address)")
            }
            return ListenerTable.Inherited(
                service: entry.service,
                requested: SocketAddress(entry.requested),
                address: address,
                descriptor: descriptor,
                staysShared: entry.staysShared
            )
        }
    }
}

/// What is left of a hand-over once the sockets are here: the old process accepts until it hears that this one does.
package struct HandoverRelease {
    fileprivate let connection: HandoverConnection
    fileprivate let timeout: Duration

    /// Tells the old process that this one serves, and returns when it knows.
    ///
    /// - Throws: ``UpgradeError`` when the old process goes on: then this one must not. When it has gone without a word, this one is all
    ///   there is, and goes on.
    package func ready() async throws {
        try await withParker { parker in
            defer { connection.channel.close() }
            connection.channel.attach(to: parker)
            let deadline = Deadline.after(timeout)
            do {
                try await connection.send(HandoverFrame(.ready), deadline: deadline)
                _ = try await connection.receive(deadline: deadline)
            } catch let error as TransportError where error.isClosedByPeer {
                return
            }
        }
    }

    /// Tells the old process that it is on its own again.
    package func failed(_ reason: String) async {
        await withParker { parker in
            connection.channel.attach(to: parker)
            try? await connection.send(.failed(reason), deadline: .after(.seconds(1)))
            connection.channel.close()
        }
    }
}
