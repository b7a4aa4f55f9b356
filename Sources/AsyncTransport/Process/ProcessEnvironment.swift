internal import CNonBlockingIO
internal import Glibc

/// What a process is told when it is started.
package enum ProcessEnvironment {
    /// The value of a variable; nil when it is not set, or is not UTF-8.
    package static func value(_ name: String) -> String? {
        // SAFETY: the text is copied at once; nothing in this package changes the environment while others may read it.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(validatingCString: text)
    }

    /// This process's number.
    package static var processIdentifier: Int32 { getpid() }
}
