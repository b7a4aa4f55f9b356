import HTTPCodecs
import Testing

@Suite("A table of streams holds what a dictionary would")
struct HTTP2StreamTableTests {
    /// Something whose end is noticed.
    private final class Entry {
        let id: HTTP2.StreamID

        init(_ id: HTTP2.StreamID) {
            self.id = id
        }
    }

    @Test("streams that come in order and go in order, in reverse, or as chance has it", arguments: 0..<3)
    func comesAndGoes(order: Int) {
        var table = HTTP2.StreamTable<Entry>()
        var generator = Generator(state: 42)
        var present: [HTTP2.StreamID] = []
        for round in 0..<2_000 {
            let id = HTTP2.StreamID(2 * round + 1)
            table.insert(Entry(id), for: id)
            present.append(id)
            if present.count < 150 { continue }
            let index =
                switch order {
                case 0: 0
                case 1: present.count - 1
                default: Int(generator.next() % UInt64(present.count))
                }
            let gone = present.remove(at: index)
            #expect(table.remove(gone)?.id == gone)
            #expect(table.value(of: gone) == nil)
        }
        let count = table.count
        #expect(count == present.count)
        for id in present { #expect(table.value(of: id)?.id == id) }
        var visited: Set<HTTP2.StreamID> = []
        table.visit { id, _ in visited.insert(id) }
        #expect(visited == Set(present))
    }

    @Test("an entry lives as long as its stream is there, and no longer than the table")
    func ownsEntries() {
        weak var first: Entry?
        weak var second: Entry?
        do {
            var table = HTTP2.StreamTable<Entry>()
            for id in [HTTP2.StreamID(1), 3] { table.insert(Entry(id), for: id) }
            first = table.value(of: 1)
            second = table.value(of: 3)
            table.remove(1)
            #expect(first == nil)
            #expect(second != nil)
        }
        #expect(second == nil)
    }

    @Test("there is nothing of a stream that was never entered, and no stream 0")
    func missing() {
        var table = HTTP2.StreamTable<Int>()
        let isEmpty = table.isEmpty
        #expect(isEmpty)
        #expect(table.value(of: 0) == nil)
        #expect(table.remove(5) == nil)
        table.insert(7, for: 5)
        #expect(table.value(of: 0) == nil)
        if let index = table.index(of: 5) { table[index] += 1 }
        #expect(table.value(of: 5) == 8)
    }

    private struct Generator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }
}
