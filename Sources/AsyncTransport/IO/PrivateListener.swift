internal import CNonBlockingIO
internal import Glibc

/// A Unix-domain socket that waits for one visitor of the same user: its file has mode 0600, and goes with it.
package final class PrivateListener: Sendable {
    private let socket: ListeningSocket
    private let path: String
    private let file: cnbio_file

    /// Listens at `path`.
    ///
    /// A socket that nobody listens on any more is removed first.
    /// - Throws: ``TransportError``: the address is in use when somebody listens, it exists when something else than a socket is there.
    package init(path: String) throws(TransportError) {
        var file = cnbio_file()
        // SAFETY: the path is passed NUL-terminated, and the call fills what it is lent.
        let descriptor = unsafe cnbio_private_listener(path, &file)
        guard descriptor >= 0 else { throw TransportError(.listen, errno: -descriptor, detail: "unix:\(path)") }
        self.path = path
        self.file = file
        var options = ListenerOptions()
        options.unixPermissions = 0o600
        options.backlog = 8
        socket = try ListeningSocket(adopting: PassedDescriptor(descriptor), options: options)
    }

    deinit {
        close()
    }

    /// Lets another user connect as well; takes the rights of root.
    package func admit(user: UInt32) throws(TransportError) {
        // SAFETY: the path is passed NUL-terminated.
        let result = unsafe cnbio_chown(path, user, gid_t.max)
        guard result == 0 else { throw TransportError(.option, errno: -result, detail: "owner of unix:\(path)") }
    }

    /// Waits for the next visitor.
    ///
    /// - Throws: ``TransportError``: timed out at `deadline`, or cancelled with the task.
    package func accept(parker: Parker, deadline: Deadline) async throws(TransportError) -> SocketStream {
        try socket.register(parker: parker)
        defer { socket.unregister() }
        while true {
            switch try socket.tryAccept() {
            case .connection(let accepted):
                guard let stream = try accepted.open() else { continue }
                stream.attach(to: parker)
                return stream
            case .wouldBlock:
                try parker.check(.accept, deadline: deadline)
                await parker.park(until: deadline)
                if parker.isCancelled { throw .cancelled(.accept) }
            }
        }
    }

    /// Stops listening and removes the file.
    package func close() {
        socket.close()
        // SAFETY: the path is passed NUL-terminated.
        unsafe cnbio_unlink_file(path, file)
    }
}
