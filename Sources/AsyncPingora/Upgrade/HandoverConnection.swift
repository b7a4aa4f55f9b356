package import AsyncTransport

/// A connection between the old process and the new one, as messages.
package struct HandoverConnection {
    package let channel: DescriptorChannel

    package init(channel: DescriptorChannel) {
        self.channel = channel
    }

    /// Which users' processes are trusted: one's own and root, and who one is about to become.
    package struct Trust: Sendable {
        package var isTrusted: @Sendable (UInt32) -> Bool

        package init(isTrusted: @escaping @Sendable (UInt32) -> Bool) {
            self.isTrusted = isTrusted
        }

        /// This process's user, root, and `other`.
        package static func sameUser(or other: UInt32? = nil) -> Trust {
            let own = ProcessUser.effective
            return Trust { $0 == own || $0 == 0 || $0 == other }
        }
    }

    /// - Throws: ``UpgradeError`` when the process at the other end is another user's.
    package func check(_ trust: Trust) throws {
        let peer = try channel.peer()
        guard trust.isTrusted(peer.user) else {
            throw UpgradeError("process \(peer.process) of user \(peer.user) is not trusted with the sockets")
        }
    }

    /// What the other end has to say, without what would break a log line.
    private static func oneLine(_ text: [UInt8]) -> String {
        String(decoding: text.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
    }

    /// Sends a message, and its descriptors in as many further ones as they need.
    package func send(
        _ frame: HandoverFrame,
        deadline: Deadline,
        descriptors: (Range<Int>) throws -> [PassedDescriptor] = { _ in [] }
    ) async throws {
        try await channel.send(frame.encoded, deadline: deadline)
        var next = 0
        while next < frame.descriptorCount {
            let batch = next..<min(next + DescriptorChannel.descriptorsPerMessage, frame.descriptorCount)
            try await channel.send([0], descriptors: descriptors(batch), deadline: deadline)
            next = batch.upperBound
        }
    }

    /// Receives a message with all of its descriptors.
    ///
    /// - Returns: the message and what came with it; nil when the other end has closed before.
    /// - Throws: ``UpgradeError`` for a message that is malformed, and the reason that a `failed` one gives; `TransportError` when the
    ///   connection breaks or `deadline` passes.
    package func receive(deadline: Deadline) async throws -> (frame: HandoverFrame, descriptors: [PassedDescriptor])? {
        guard let bytes = try await channel.receive(HandoverFrame.headerLength, deadline: deadline) else { return nil }
        let header = try HandoverFrame.parseHeader(bytes)
        let body = header.bodyLength == 0 ? [] : try await channel.receive(header.bodyLength, deadline: deadline)
        guard let body else { throw UpgradeError("the other process has left in the middle of a message") }
        var batches = 0
        let expected = header.descriptorCount
        let size = DescriptorChannel.descriptorsPerMessage
        while batches < (expected + size - 1) / size {
            guard try await channel.receive(1, deadline: deadline) != nil else {
                throw UpgradeError("the other process has left after \(channel.receivedCount) of \(expected) sockets")
            }
            batches += 1
        }
        guard channel.receivedCount == expected else {
            throw UpgradeError("\(channel.receivedCount) sockets came, and \(expected) were announced")
        }
        if header.kind == .failed {
            throw UpgradeError("the other process gives up: \(Self.oneLine(body))")
        }
        return (HandoverFrame(header.kind, body: body, descriptorCount: expected), channel.takeReceived())
    }
}
