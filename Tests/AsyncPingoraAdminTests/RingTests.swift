import Testing

@testable import AsyncPingoraAdmin

@Suite("A ring keeps the last of what was appended")
struct RingTests {
    @Test(arguments: [(1, 1), (3, 0), (3, 2), (3, 3), (3, 4), (3, 7), (5, 100)])
    func inOrder(capacity: Int, appended: Int) {
        var ring = Ring<Int>(capacity: capacity)
        for number in 0..<appended { ring.append(number) }
        #expect(Array(ring) == Array((0..<appended).suffix(capacity)))
        #expect(ring.first == (0..<appended).suffix(capacity).first)
        #expect(ring.last == (0..<appended).last)
    }
}
