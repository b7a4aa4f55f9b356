internal import CNonBlockingIO
internal import Glibc
internal import Synchronization

/// A descriptor that is on its way from one owner to another.
///
/// Whoever has it last and does not take it closes it.
package final class PassedDescriptor: Sendable {
    /// Taken once; -1 thereafter.
    private let descriptor: Atomic<Int32>

    /// Takes over an open descriptor.
    package init(_ descriptor: Int32) {
        self.descriptor = Atomic(descriptor)
    }

    deinit {
        let left = descriptor.load(ordering: .relaxed)
        if left >= 0 { cnbio_close(left) }
    }

    /// Its number, for as long as this owns it.
    var number: Int32 { descriptor.load(ordering: .relaxed) }

    /// Its number, for the new owner; -1 when it was taken before.
    func take() -> Int32 { descriptor.exchange(-1, ordering: .acquiringAndReleasing) }

    /// Where the socket listens that it is; made non-blocking and close-on-exec on the way.
    ///
    /// - Throws: ``TransportError`` when it is not a listening stream socket of a family that is known.
    package func listeningAddress() throws(TransportError) -> SocketAddress {
        let result = cnbio_adopt_listener(number)
        guard result == 0 else {
            throw TransportError(.listen, errno: -result, detail: "descriptor \(number), not a listening socket")
        }
        // SAFETY: the call fills the storage and length it is lent.
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        guard unsafe cnbio_local_address(number, &storage, &length) == 0,
            let address = unsafe SocketAddress(native: &storage, length: length), address.unixPath != ""
        else {
            throw TransportError(.address, errno: EAFNOSUPPORT, detail: "descriptor \(number)")
        }
        return address
    }
}
