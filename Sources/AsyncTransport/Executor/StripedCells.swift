internal import CNonBlockingIO
internal import Synchronization

/// A few sums that many threads add to at the same time, without a lock and mostly without meeting.
///
/// Every thread adds to its own stripe, which shares no cache line with the others; there are fewer stripes than there may be
/// threads, so the additions are atomic all the same. A sum is added up over the stripes when it is read. Each cell is used either
/// for integers or for floating-point numbers.
@safe package struct StripedCells: ~Copyable, @unchecked Sendable {
    // SAFETY: the memory is touched by atomic operations only, and lives as long as this value; cell numbers are checked.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let cellCount: Int
    /// From one stripe to the next, in cells: whole cache lines.
    private let stride: Int
    /// The number of stripes, a power of two, less one.
    private let stripeMask: Int

    private static let cacheLine = 64
    /// Twice the cores, so that the threads of a few services rarely share one.
    private static let stripeCount: Int = {
        var count = 8
        while count < 64, count < 2 * ServiceExecutor.availableCoreCount { count *= 2 }
        return count
    }()

    /// Makes `cellCount` sums, all zero.
    package init(cellCount: Int) {
        let perLine = Self.cacheLine / MemoryLayout<Atomic<UInt64>>.stride
        self.cellCount = cellCount
        stride = (max(cellCount, 1) + perLine - 1) / perLine * perLine
        stripeMask = Self.stripeCount - 1
        let count = stride * Self.stripeCount
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Atomic<UInt64>>.stride,
            alignment: Self.cacheLine
        )
        unsafe cells = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe cells.deallocate()
    }

    /// Adds to a sum of integers; it wraps around.
    @inline(__always)
    package func add(_ amount: UInt64, to cell: Int) {
        precondition(cell >= 0 && cell < cellCount)
        unsafe cells[own + cell].wrappingAdd(amount, ordering: .relaxed)
    }

    /// Adds one to a sum of integers and an amount to another.
    @inline(__always)
    package func addOne(to cell: Int, and amount: UInt64, to other: Int) {
        precondition(cell >= 0 && cell < cellCount && other >= 0 && other < cellCount)
        let own = own
        unsafe cells[own + cell].wrappingAdd(1, ordering: .relaxed)
        unsafe cells[own + other].wrappingAdd(amount, ordering: .relaxed)
    }

    /// Adds to a sum of floating-point numbers.
    @inline(__always)
    package func add(_ amount: Double, to cell: Int) {
        precondition(cell >= 0 && cell < cellCount)
        let index = own + cell
        var bits = unsafe cells[index].load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: bits) + amount).bitPattern
            let (exchanged, original) = unsafe cells[index].weakCompareExchange(
                expected: bits,
                desired: sum,
                ordering: .relaxed
            )
            if exchanged { return }
            bits = original
        }
    }

    /// The sum of a cell of integers.
    package func integer(_ cell: Int) -> UInt64 {
        var sum: UInt64 = 0
        for stripe in 0...stripeMask { sum &+= load(cell, stripe: stripe) }
        return sum
    }

    /// The sum of a cell of floating-point numbers.
    package func number(_ cell: Int) -> Double {
        var sum = 0.0
        for stripe in 0...stripeMask { sum += Double(bitPattern: load(cell, stripe: stripe)) }
        return sum
    }

    /// Makes all sums zero; what others add meanwhile is counted from before or from after.
    package func clear() {
        for cell in 0..<cellCount {
            for stripe in 0...stripeMask { unsafe cells[stripe * stride + cell].store(0, ordering: .relaxed) }
        }
    }

    /// Where the calling thread's stripe begins.
    @inline(__always)
    private var own: Int { (Int(cnbio_get_thread_number()) & stripeMask) * stride }

    private func load(_ cell: Int, stripe: Int) -> UInt64 {
        precondition(cell >= 0 && cell < cellCount)
        return unsafe cells[stripe * stride + cell].load(ordering: .relaxed)
    }
}
