/// Bytes that the fuzzer made up, held in memory of exactly their size, so that a read beyond them is found.
struct FuzzInput {
    let bytes: [UInt8]

    init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Calls `body` with the first `count` bytes.
    func withPrefix<Result, Failure: Error>(
        _ count: Int,
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // A copy of just that prefix: the address sanitizer then sees reads beyond it.
        let prefix = Array(bytes[..<count])
        return unsafe try body(prefix.span.bytes)
    }

    /// A number that depends on the bytes alone, so that a finding can be replayed.
    var seed: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    /// Lengths of growing prefixes that end with all the bytes: in one go, byte by byte, and a few random ways.
    var deliveries: [[Int]] {
        var random = SplitMix(state: seed)
        var result = [[bytes.count], Array(1...max(bytes.count, 1)).filter { $0 <= bytes.count }]
        for _ in 0..<3 {
            var cuts: [Int] = []
            var at = 0
            while at < bytes.count {
                at += 1 + Int(random.next() % UInt64(bytes.count))
                cuts.append(min(at, bytes.count))
            }
            result.append(cuts)
        }
        return result
    }
}

/// A small generator of numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Ends the run with a finding unless the property holds.
func check(_ holds: Bool, _ property: @autoclosure () -> String, line: UInt = #line) {
    if !holds { fatalError("property broken: \(property())", line: line) }
}

/// What a writer that fills an output span wrote.
func written(capacity: Int, _ write: (inout OutputRawSpan) -> Void) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
        var output = unsafe OutputRawSpan(buffer: UnsafeMutableRawBufferPointer(buffer), initializedCount: 0)
        write(&output)
        count = output.byteCount
        _ = unsafe output.finalize(for: UnsafeMutableRawBufferPointer(buffer))
    }
}
