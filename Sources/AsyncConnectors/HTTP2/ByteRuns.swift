package import AsyncTransport

/// Bytes that wait, in order, in the pieces they came in.
package struct ByteRuns: ~Copyable {
    // Most bodies are one piece: that costs no array.
    private var head: Bytes?
    private var rest: [Bytes] = []
    private var first = 0
    package private(set) var byteCount = 0

    package init() {}

    package var isEmpty: Bool { byteCount == 0 }

    package mutating func append(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        if head == nil { head = bytes } else { rest.append(bytes) }
        byteCount += bytes.count
    }

    /// Moves all of `other` behind what is there.
    mutating func append(allOf other: inout ByteRuns) {
        if isEmpty {
            swap(&self, &other)
            return
        }
        while let run = other.popFirst() { append(run) }
    }

    /// The oldest piece, or its first `limit` bytes.
    mutating func popFirst(upTo limit: Int = .max) -> Bytes? {
        guard let run = head else { return nil }
        if run.count > limit {
            head = run.dropFirst(limit)
            byteCount -= limit
            return run.prefix(limit)
        }
        byteCount -= run.count
        guard first < rest.count else {
            head = nil
            return run
        }
        head = rest[first]
        rest[first] = Bytes()
        first += 1
        // A queue that never runs quite empty must not collect what it has handed out.
        if first == rest.count || first == 64 {
            rest.removeFirst(first)
            first = 0
        }
        return run
    }

    mutating func removeAll() {
        self = ByteRuns()
    }
}
