internal import CNonBlockingIO
internal import Glibc

/// Memory from `malloc`, for what is made per request.
///
/// `UnsafeMutablePointer.allocate` asks for its memory by `posix_memalign` on Linux, which costs three times as much and leaves holes.
package enum Memory {
    /// Gives back to the system the pages that nothing uses, between those that something does.
    ///
    /// Takes some milliseconds, in which other threads may have to wait for memory: for calm moments.
    package static func giveBackUnused() {
        cnbio_trim_memory()
    }

    /// Returns `byteCount` bytes, aligned for any type up to 16 bytes.
    static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        // SAFETY: whoever gets the memory frees it by `free`.
        guard let memory = unsafe malloc(max(byteCount, 1)) else { fatalError("out of memory") }
        return unsafe memory
    }

    /// Frees what ``allocate(byteCount:)`` has returned.
    static func free(_ memory: UnsafeMutableRawPointer) {
        // SAFETY: the caller says that it came from `allocate` and is used no more.
        unsafe Glibc.free(memory)
    }
}
