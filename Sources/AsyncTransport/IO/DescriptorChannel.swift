internal import CNonBlockingIO
internal import Glibc

/// A Unix-domain connection that carries descriptors beside its bytes.
///
/// Belongs to one task at a time, on one worker; see ``SocketStream``.
package final class DescriptorChannel: @unchecked Sendable {
    // SAFETY: it passes from task to task, and no two use it at once: its owner hands it on when it is done with it.
    private let stream: SocketStream
    /// What has come and was not taken, in the order it was sent.
    private var received: [PassedDescriptor] = []
    private let descriptorLimit: Int

    /// How many descriptors one message can carry.
    package static let descriptorsPerMessage = Int(CNBIO_DESCRIPTORS_PER_MESSAGE)
    /// How long to wait when too many descriptors are under way between processes.
    private static let pause: Duration = .milliseconds(10)

    /// Takes over a connection that is attached to the calling task's parker.
    ///
    /// - Parameters:
    ///   - stream: the connection.
    ///   - limit: how many descriptors may wait to be taken; more end the connection.
    package init(_ stream: SocketStream, descriptorLimit limit: Int) {
        self.stream = stream
        descriptorLimit = limit
    }

    /// Has `parker` woken from now on: the channel passes to another task of the same worker.
    package func attach(to parker: Parker?) {
        stream.attach(to: parker)
    }

    /// Who is at the other end: its user, and its process as its own namespace numbers it.
    package func peer() throws(TransportError) -> (user: UInt32, process: Int32) {
        var user: uid_t = 0
        var process: pid_t = 0
        // SAFETY: the call fills what it is lent.
        let result = unsafe cnbio_peer_credentials(stream.descriptor, &process, &user)
        guard result == 0 else { throw TransportError(.read, errno: -result, detail: "credentials of the other end") }
        return (user, process)
    }

    /// Sends all of `bytes`, and the descriptors with the first of them.
    ///
    /// - Throws: ``TransportError``: timed out at `deadline`, cancelled with the task, or the other end is gone.
    package func send(
        _ bytes: [UInt8],
        descriptors: [PassedDescriptor] = [],
        deadline: Deadline
    ) async throws(TransportError) {
        precondition(!bytes.isEmpty && descriptors.count <= Self.descriptorsPerMessage)
        var rest = bytes[...]
        var numbers = descriptors.map(\.number)
        var hasAsked = false
        while !rest.isEmpty {
            // SAFETY: both buffers last for the call, and the kernel copies.
            let sent = unsafe rest.withUnsafeBytes { bytes in
                unsafe numbers.withUnsafeBufferPointer { numbers in
                    unsafe cnbio_send_descriptors(
                        stream.descriptor,
                        bytes.baseAddress,
                        bytes.count,
                        numbers.baseAddress,
                        numbers.count
                    )
                }
            }
            switch sent {
            case 1...:
                rest = rest.dropFirst(sent)
                numbers = []
                hasAsked = false
            case -Int(EAGAIN) where !hasAsked:
                // Ask for the edge, then try once more, for it may have come before the question.
                unsafe stream.slot.pointee.awaitWritable()
                hasAsked = true
            case -Int(EAGAIN):
                try await wait(.write, until: deadline)
            case -Int(ETOOMANYREFS):
                try await wait(.write, until: min(deadline, .after(Self.pause)), givesUpAt: deadline)
            default:
                throw TransportError(.write, errno: Int32(-sent))
            }
        }
    }

    /// Receives exactly `count` bytes, and keeps the descriptors that come with them.
    ///
    /// - Returns: the bytes; nil when the other end has closed before the first of them.
    /// - Throws: ``TransportError``: timed out at `deadline`, cancelled with the task, or the other end has closed in between.
    package func receive(_ count: Int, deadline: Deadline) async throws(TransportError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            guard unsafe stream.slot.pointee.beginRead() else {
                if unsafe !stream.slot.pointee.awaitReadable() { try await wait(.read, until: deadline) }
                continue
            }
            let got = receiveOnce(into: &bytes, from: filled)
            switch got {
            case 1...:
                unsafe stream.slot.pointee.keepReadable()
                filled += got
                guard received.count <= descriptorLimit else {
                    throw TransportError(.read, errno: ETOOMANYREFS, detail: "more than \(descriptorLimit) descriptors")
                }
            case 0 where filled == 0:
                return nil
            case 0:
                throw TransportError(.read, errno: ECONNRESET)
            case -Int(EAGAIN):
                if unsafe stream.slot.pointee.isHungUp { throw TransportError(.read, errno: ECONNRESET) }
            default:
                throw TransportError(.read, errno: Int32(-got))
            }
        }
        return bytes
    }

    private func receiveOnce(into bytes: inout [UInt8], from offset: Int) -> Int {
        var numbers = [Int32](repeating: -1, count: Self.descriptorsPerMessage)
        var count = 0
        // SAFETY: the offset is within the bytes, and `numbers` has room for one message's descriptors, as the call asks.
        let got = unsafe bytes.withUnsafeMutableBytes { bytes in
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            return unsafe cnbio_receive_descriptors(stream.descriptor, room.baseAddress, room.count, &numbers, &count)
        }
        for number in numbers.prefix(count) { received.append(PassedDescriptor(number)) }
        return got
    }

    /// How many descriptors have come and were not taken.
    package var receivedCount: Int { received.count }

    /// The descriptors that have come.
    package func takeReceived() -> [PassedDescriptor] {
        defer { received = [] }
        return received
    }

    /// Closes the connection, and the descriptors that nobody has taken.
    package func close() {
        received = []
        stream.close(reset: false)
    }

    private func wait(
        _ operation: TransportError.Operation,
        until wakeUp: Deadline,
        givesUpAt deadline: Deadline? = nil
    ) async throws(TransportError) {
        guard let parker = stream.parker else { throw TransportError(operation, errno: EBADF) }
        try parker.check(operation, deadline: deadline ?? wakeUp)
        await parker.park(until: wakeUp)
        if parker.isCancelled { throw .cancelled(operation) }
    }
}
