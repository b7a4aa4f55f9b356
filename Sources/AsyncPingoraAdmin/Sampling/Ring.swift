/// The last so many of what was appended.
struct Ring<Element> {
    private var storage: [Element] = []
    private var start = 0
    private let capacity: Int

    /// Makes an empty ring for `capacity` elements, at least one.
    init(capacity: Int) {
        self.capacity = Swift.max(capacity, 1)
    }

    var count: Int { storage.count }
    var first: Element? { storage.isEmpty ? nil : self[0] }
    var last: Element? { storage.isEmpty ? nil : self[count - 1] }

    /// The element at `index`, counted from the oldest.
    subscript(index: Int) -> Element {
        precondition(storage.indices.contains(index))
        return storage[(start + index) % storage.count]
    }

    /// Appends an element, in place of the oldest when the ring is full.
    mutating func append(_ element: Element) {
        if storage.count < capacity {
            storage.append(element)
        } else {
            storage[start] = element
            start = (start + 1) % capacity
        }
    }
}

extension Ring: Sendable where Element: Sendable {}

extension Ring: RandomAccessCollection {
    var startIndex: Int { 0 }
    var endIndex: Int { count }
}
