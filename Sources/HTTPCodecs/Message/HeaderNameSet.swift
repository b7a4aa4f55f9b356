/// A set of well-known field names, as a bit for each of their numbers.
struct HeaderNameSet: Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init() {}

    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    init(_ names: [HeaderName]) {
        for name in names { insert(name.id) }
    }

    @inline(__always)
    func contains(_ id: UInt8) -> Bool { (id < 64 ? low : high) & (1 << UInt64(id & 63)) != 0 }

    @inline(__always)
    func intersects(_ other: HeaderNameSet) -> Bool { (low & other.low) | (high & other.high) != 0 }

    mutating func insert(_ id: UInt8) {
        if id < 64 { low |= 1 << UInt64(id & 63) } else { high |= 1 << UInt64(id & 63) }
    }

    mutating func remove(_ id: UInt8) {
        if id < 64 { low &= ~(1 << UInt64(id & 63)) } else { high &= ~(1 << UInt64(id & 63)) }
    }

    mutating func subtract(_ other: HeaderNameSet) {
        low &= ~other.low
        high &= ~other.high
    }
}
