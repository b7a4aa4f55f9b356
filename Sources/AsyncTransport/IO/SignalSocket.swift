internal import CNonBlockingIO
internal import Glibc

/// The process's signals, as a stream.
///
/// There can be one at a time; it ends with its last reference.
package final class SignalSocket: Sendable {
    /// The signals that are caught.
    package enum Signal: Sendable, CaseIterable {
        case interrupt, terminate, quit, hangUp, user1

        private var number: Int32 {
            switch self {
            case .interrupt: SIGINT
            case .terminate: SIGTERM
            case .quit: SIGQUIT
            case .hangUp: SIGHUP
            case .user1: SIGUSR1
            }
        }

        fileprivate init?(number: UInt8) {
            guard let signal = Self.allCases.first(where: { $0.number == number }) else { return nil }
            self = signal
        }
    }

    private let descriptor: Int32
    /// A copy of the descriptor, registered with the worker that waited last.
    private let stream = Lock<SocketStream?>(nil)

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

    /// Waits for the next signal; nil when the task is cancelled, or descriptors have run out.
    ///
    /// For one task at a time.
    package func next(parker: Parker) async -> Signal? {
        guard let stream = takeStream() else { return nil }
        defer {
            stream.attach(to: nil)
            self.stream.withLock { $0 = stream }
        }
        stream.attach(to: parker)
        let buffer = IOBuffer(capacity: 1)
        guard (try? await stream.read(into: buffer, deadline: .never)) == true else { return nil }
        // SAFETY: a read that returns true has left a byte, and any byte is a valid UInt8.
        return Signal(number: buffer.withBytes { unsafe $0.unsafeLoad(as: UInt8.self) })
    }

    /// The stream is kept from call to call: epoll remembers a copy of a descriptor, closed or not, until the original is closed.
    private func takeStream() -> SocketStream? {
        if let kept = stream.withLock({ $0.take() }) {
            try? kept.moveToCurrentThread()
            return kept
        }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        return copy < 0 ? nil : try? SocketStream(adopting: copy)
    }
}
