internal import Glibc

/// Memory straight from `malloc`.
///
/// What pointers allocate by themselves comes from `posix_memalign`, which takes several times as long.
enum PlainMemory {
    static func allocate<Element>(capacity: Int) -> UnsafeMutablePointer<Element> {
        // SAFETY: `malloc` aligns for any type up to 16 bytes; whoever gets the memory frees it by `free`, once.
        precondition(MemoryLayout<Element>.alignment <= 16)
        guard let memory = unsafe malloc(max(capacity, 1) * MemoryLayout<Element>.stride) else {
            fatalError("out of memory")
        }
        return unsafe memory.bindMemory(to: Element.self, capacity: capacity)
    }

    static func free(_ memory: UnsafeMutableRawPointer) {
        // SAFETY: the caller says that it came from `allocate` and is used no more.
        unsafe Glibc.free(memory)
    }
}
