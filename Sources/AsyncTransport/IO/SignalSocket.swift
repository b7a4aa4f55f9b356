internal import CNonBlockingIO
internal import Glibc

/// The process's SIGINT, SIGTERM and SIGQUIT as a stream of numbers.
///
/// There can be one at a time; it ends with its last reference.
package final class SignalSocket: Sendable {
    private let descriptor: Int32

    /// The number of SIGINT.
    package static let interrupt = UInt8(SIGINT)

    /// Catches the signals.
    ///
    /// - Throws: ``TransportError`` when another socket catches them already.
    package init() throws(TransportError) {
        descriptor = cnbio_signals_open()
        guard descriptor >= 0 else { throw TransportError(.socket, errno: -descriptor, detail: "signals") }
    }

    deinit {
        cnbio_signals_close(descriptor)
    }

    /// Waits for the next signal; nil when the task is cancelled.
    package func next(parker: Parker) async -> UInt8? {
        let copy = dup(descriptor)
        guard copy >= 0, let stream = try? SocketStream(adopting: copy) else { return nil }
        defer { stream.close(reset: false) }
        stream.attach(to: parker)
        let buffer = IOBuffer(capacity: 1)
        guard (try? await stream.read(into: buffer, deadline: .never)) == true else { return nil }
        // SAFETY: a read that returns true has left a byte, and any byte is a valid UInt8.
        return buffer.withBytes { unsafe $0.unsafeLoad(as: UInt8.self) }
    }
}
