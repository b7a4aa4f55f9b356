package import AsyncTransport
internal import Synchronization

/// Where the streams of one HTTP/2 connection leave word for the task that owns it.
///
/// Streams may be served by other workers than the connection's (work stealing, or an upstream connection that several workers
/// share), so what passes between them goes through mailboxes: this one says which streams have news, each stream's own says what.
package final class HTTP2Mailbox: Sendable {
    private struct State {
        var posted: [HTTP2Stream] = []
        var owner: Parker?
        var isClosed = false
    }

    private let state = Lock(State())
    private let credit = Atomic<Int>(0)

    package init() {}

    /// Leaves credit for the peer: bytes that were read of streams that are gone.
    ///
    /// The owner is woken when there is much of it: little can wait until it looks for another reason.
    func leave(credit count: Int) {
        guard count > 0 else { return }
        let before = credit.add(count, ordering: .relaxed).oldValue
        if before < HTTP2Stream.creditStep, before + count >= HTTP2Stream.creditStep { wake() }
    }

    /// The credit that has been left since this was called last.
    func takeCredit() -> Int {
        credit.load(ordering: .relaxed) == 0 ? 0 : credit.exchange(0, ordering: .relaxed)
    }

    /// Makes `parker` the one to wake when a stream has news.
    package func attach(owner parker: Parker) {
        let hasNews = state.withLock { (state: inout State) in
            state.owner = parker
            return !state.posted.isEmpty
        }
        if hasNews { parker.unpark() }
    }

    /// Tells the owner that `stream` has news; false when the connection has ended.
    func post(_ stream: HTTP2Stream) -> Bool {
        let (isOpen, owner) = state.withLock { (state: inout State) -> (Bool, Parker?) in
            guard !state.isClosed else { return (false, nil) }
            state.posted.append(stream)
            return (true, state.owner)
        }
        owner?.unpark()
        return isOpen
    }

    /// Lets the owner look again, for a reason that no stream has.
    package func wake() {
        state.withLock { $0.owner }?.unpark()
    }

    /// Moves the streams that have news, each once, in the order they posted, to `streams`, which is empty.
    func take(into streams: inout [HTTP2Stream]) {
        state.withLock { (state: inout State) in
            // Both arrays keep their memory.
            if !state.posted.isEmpty { swap(&state.posted, &streams) }
        }
    }

    /// Takes no more, for the connection has ended; returns the streams whose news nobody will read.
    func close() -> [HTTP2Stream] {
        state.withLock { (state: inout State) in
            state.isClosed = true
            state.owner = nil
            defer { state.posted = [] }
            return state.posted
        }
    }
}
