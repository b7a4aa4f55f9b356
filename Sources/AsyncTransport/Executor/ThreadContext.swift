internal import CNonBlockingIO
internal import Synchronization

/// What belongs to one worker thread: found through a thread-local, touched by that thread alone.
package final class ThreadContext {
    /// Which executor's job queue this thread feeds.
    let executor: ObjectIdentifier
    /// The executor itself, to give tasks a preference for where their connection is; nil where there is none to prefer.
    package unowned var taskExecutor: (any TaskExecutor)?
    let reactor: Reactor
    /// The thread's number within its executor, counted from 0.
    package let index: Int
    /// The thread's number among all workers that the process has had.
    private let number = ThreadContext.count.add(1, ordering: .relaxed).oldValue
    private static let count = Atomic<Int>(1)
    let buffers = BufferPool()
    private var attachment: AnyObject?

    package convenience init(executor: any TaskExecutor, reactor: Reactor, index: Int) {
        self.init(executor: ObjectIdentifier(executor), reactor: reactor, index: index)
        taskExecutor = executor
    }

    package init(executor: ObjectIdentifier, reactor: Reactor, index: Int) {
        self.executor = executor
        self.reactor = reactor
        self.index = index
    }

    /// Calls `body` with the calling thread's context; nil on a thread that is no worker.
    @inline(__always)
    package static func withCurrent<Result>(_ body: (ThreadContext?) -> Result) -> Result {
        guard let raw = unsafe cnbio_get_thread_context() else { return body(nil) }
        // SAFETY: the pointer was set by this very thread in `enter`, which keeps the object alive until it is unset.
        return unsafe Unmanaged<ThreadContext>.fromOpaque(raw)._withUnsafeGuaranteedRef { body($0) }
    }

    /// Makes this the calling thread's context while `body` runs.
    package func enter<Result>(_ body: () -> Result) -> Result {
        let previous = unsafe cnbio_get_thread_context()
        // SAFETY: self outlives `body`, and the former context is put back before it ends.
        unsafe cnbio_set_thread_context(Unmanaged.passUnretained(self).toOpaque())
        defer { unsafe cnbio_set_thread_context(previous) }
        return withExtendedLifetime(self) { body() }
    }

    /// What the layer above keeps per worker, for the calling one, if it is of exactly this class.
    ///
    /// Always nil on a thread that is no worker.
    @inline(__always)
    package static func attachment<Object: AnyObject>(_: Object.Type) -> Object? {
        withCurrent { context in
            guard let object = context?.attachment, type(of: object) == Object.self else { return nil }
            // SAFETY: its class has just been compared, which costs less than a cast.
            return unsafe unsafeDowncast(object, to: Object.self)
        }
    }

    /// Keeps an object with the calling worker, if it is one, in the place of the last.
    package static func attach(_ object: AnyObject) {
        withCurrent { $0?.attachment = object }
    }

    /// The calling worker's number within its executor; nil elsewhere.
    package static var currentIndex: Int? { withCurrent { $0?.index } }

    /// The calling worker's number among all workers that the process has had, from 1; 0 elsewhere.
    package static var currentNumber: Int { withCurrent { $0?.number ?? 0 } }

    /// The executor that the calling worker belongs to; nil elsewhere.
    package static var currentExecutor: (any TaskExecutor)? { withCurrent { $0?.taskExecutor } }
}
