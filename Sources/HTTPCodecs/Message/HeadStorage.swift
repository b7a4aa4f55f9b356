internal import CHTTPScanner

/// The memory of a head: its bytes as they arrived, with added fields behind them, and a table of where each field is.
///
/// One object that is reused from message to message. Always uniquely referenced when it is changed.
@safe final class HeadStorage: @unchecked Sendable {
    // SAFETY: shared only by values that do not change it (copy-on-write), so no change overlaps another access. `bytes` holds `byteCount` of `byteCapacity` bytes, `fields`
    // holds `fieldCount` of `fieldCapacity` entries, and the offsets of those lie within the bytes: a table comes from the scanner only
    // together with the bytes that it describes (`adopt`), and otherwise `write` alone makes entries.
    @exclusivity(unchecked) private(set) var bytes: UnsafeMutablePointer<UInt8>
    @exclusivity(unchecked) private(set) var byteCount = 0
    @exclusivity(unchecked) private(set) var byteCapacity: Int
    @exclusivity(unchecked) private(set) var fields: UnsafeMutablePointer<chs_field>
    /// Entries in the table, removed ones included.
    @exclusivity(unchecked) private(set) var fieldCount = 0
    @exclusivity(unchecked) private(set) var fieldCapacity: Int
    /// Entries that are not removed.
    @exclusivity(unchecked) private(set) var liveCount = 0
    /// A bit for each well-known name that occurs.
    @exclusivity(unchecked) private var present = HeaderNameSet()
    /// A bit for each well-known name that may occur more than once; may stay set when one of two was removed.
    @exclusivity(unchecked) private var repeated = HeaderNameSet()
    /// Where the fields begin, if all that follows goes out as it came: every field in wire form, and then the empty line.
    @exclusivity(unchecked) private var pristineStart: Int?
    /// Bytes of fields that have been removed or replaced.
    @exclusivity(unchecked) private var deadByteCount = 0

    /// What every empty map shares until something is put into it: a head that is not in use costs no memory.
    static let empty = HeadStorage(byteCapacity: 1, fieldCapacity: 1)

    init(byteCapacity: Int = 512, fieldCapacity: Int = 16) {
        unsafe self.byteCapacity = byteCapacity
        unsafe self.fieldCapacity = fieldCapacity
        unsafe bytes = unsafe PlainMemory.allocate(capacity: byteCapacity)
        unsafe fields = unsafe PlainMemory.allocate(capacity: fieldCapacity)
    }

    convenience init(copying other: HeadStorage) {
        unsafe self.init(byteCapacity: max(other.byteCount + 128, 256), fieldCapacity: max(other.fieldCount + 4, 8))
        copy(from: other)
    }

    deinit {
        unsafe PlainMemory.free(bytes)
        unsafe PlainMemory.free(fields)
    }

    func removeAll() {
        unsafe byteCount = 0
        unsafe fieldCount = 0
        unsafe liveCount = 0
        unsafe present = HeaderNameSet()
        unsafe repeated = HeaderNameSet()
        unsafe pristineStart = nil
        unsafe deadByteCount = 0
    }

    func copy(from other: HeadStorage) {
        if self === other { return }
        unsafe reserve(bytes: other.byteCount, fields: other.fieldCount, keeping: false)
        unsafe bytes.update(from: other.bytes, count: other.byteCount)
        unsafe fields.update(from: other.fields, count: other.fieldCount)
        unsafe byteCount = unsafe other.byteCount
        unsafe fieldCount = unsafe other.fieldCount
        unsafe liveCount = unsafe other.liveCount
        unsafe present = unsafe other.present
        unsafe repeated = unsafe other.repeated
        unsafe pristineStart = unsafe other.pristineStart
        unsafe deadByteCount = unsafe other.deadByteCount
    }

    /// Takes over a scanned head: its bytes, and the scanner's table in exchange for the one it had.
    ///
    /// The scanner never writes into the table of a head, so a head is whole at all times, even if what follows it is malformed.
    func adopt(_ source: UnsafePointer<UInt8>, count: Int, state: chs_state, table: inout ScannerTable) {
        reserve(bytes: count, fields: 0, keeping: false)
        unsafe bytes.update(from: source, count: count)
        unsafe byteCount = count
        unsafe swap(&fields, &table.entries)
        unsafe swap(&fieldCapacity, &table.capacity)
        unsafe fieldCount = Int(state.field_count)
        unsafe liveCount = unsafe fieldCount
        unsafe present = HeaderNameSet(low: state.present.0, high: state.present.1)
        unsafe repeated = HeaderNameSet(low: state.repeated.0, high: state.repeated.1)
        unsafe deadByteCount = 0
        if state.canonical & UInt32(CHS_CANONICAL) == 0 {
            unsafe pristineStart = nil
        } else {
            unsafe pristineStart = unsafe fieldCount > 0 ? Int(fields[0].name_start) : count - 2
        }
    }

    private func reserve(bytes neededBytes: Int, fields neededFields: Int, keeping: Bool) {
        if unsafe neededBytes > byteCapacity {
            let capacity = unsafe max(neededBytes, byteCapacity * 2)
            let larger: UnsafeMutablePointer<UInt8> = unsafe PlainMemory.allocate(capacity: capacity)
            if keeping { unsafe larger.update(from: bytes, count: byteCount) }
            unsafe PlainMemory.free(bytes)
            unsafe bytes = larger
            unsafe byteCapacity = capacity
        }
        if unsafe neededFields > fieldCapacity {
            let capacity = unsafe max(neededFields, fieldCapacity * 2)
            let larger: UnsafeMutablePointer<chs_field> = unsafe PlainMemory.allocate(capacity: capacity)
            if keeping { unsafe larger.update(from: fields, count: fieldCount) }
            unsafe PlainMemory.free(fields)
            unsafe fields = larger
            unsafe fieldCapacity = capacity
        }
    }

    // MARK: - Looking up

    func mayContain(_ name: HeaderName) -> Bool {
        let id = name.id
        if id == 0 { return true }
        return unsafe present.contains(id)
    }

    /// The table index of the first field of this name at `start` or later; nil when there is none.
    func index(of name: HeaderName, from start: Int = 0) -> Int? {
        guard mayContain(name) else { return nil }
        let id = name.id
        if id != 0 {
            if start > 0, unsafe !repeated.contains(id) { return nil }
            let fields = unsafe fields
            for index in unsafe start..<max(fieldCount, start) {
                if unsafe fields[index].id == id, unsafe fields[index].flags & UInt8(CHS_REMOVED) == 0 { return index }
            }
            return nil
        }
        var text = name.text
        return text.withUTF8 { utf8 in
            guard let base = utf8.baseAddress else { return nil }
            for index in unsafe start..<max(fieldCount, start) {
                let field = unsafe fields[index]
                guard field.id == 0, Int(field.name_length) == utf8.count, field.flags & UInt8(CHS_REMOVED) == 0 else {
                    continue
                }
                if unsafe chs_equal_ignoring_case(bytes + Int(field.name_start), base, utf8.count) != 0 { return index }
            }
            return nil
        }
    }

    func isLive(_ index: Int) -> Bool { unsafe fields[index].flags & UInt8(CHS_REMOVED) == 0 }

    func value(at index: Int) -> UnsafeRawBufferPointer {
        let field = unsafe fields[index]
        return unsafe UnsafeRawBufferPointer(start: bytes + Int(field.value_start), count: Int(field.value_length))
    }

    func name(at index: Int) -> UnsafeRawBufferPointer {
        let field = unsafe fields[index]
        return unsafe UnsafeRawBufferPointer(start: bytes + Int(field.name_start), count: Int(field.name_length))
    }

    func id(at index: Int) -> UInt8 { unsafe fields[index].id }

    func isSensitive(_ index: Int) -> Bool { unsafe fields[index].flags & UInt8(CHS_SENSITIVE) != 0 }

    func markSensitive(_ index: Int) { unsafe fields[index].flags |= UInt8(CHS_SENSITIVE) }

    // MARK: - Changing

    func remove(at index: Int) {
        guard isLive(index) else { return }
        unsafe fields[index].flags |= UInt8(CHS_REMOVED)
        unsafe liveCount -= 1
        unsafe deadByteCount += wireByteCount(at: index)
        unsafe pristineStart = nil
        let id = unsafe fields[index].id
        guard id != 0 else { return }
        for other in unsafe 0..<fieldCount where unsafe fields[other].id == id && isLive(other) { return }
        unsafe present.remove(id)
    }

    /// Removes every field whose name is in `names`, in one pass.
    func removeAll(in names: HeaderNameSet) {
        for index in unsafe 0..<fieldCount {
            let id = unsafe fields[index].id
            guard id != 0, names.contains(id), isLive(index) else { continue }
            unsafe fields[index].flags |= UInt8(CHS_REMOVED)
            unsafe liveCount -= 1
            unsafe deadByteCount += wireByteCount(at: index)
        }
        unsafe pristineStart = nil
        unsafe present.subtract(names)
    }

    func containsAny(of names: HeaderNameSet) -> Bool { unsafe present.intersects(names) }

    private func wireByteCount(at index: Int) -> Int {
        unsafe Int(fields[index].name_length) + Int(fields[index].value_length) + 4
    }

    /// Drops what no field uses any more once it is most of the memory, so that a head that is changed for ever does not grow for ever.
    ///
    /// Indices stay as they are.
    private func compact() {
        guard unsafe deadByteCount > 1_024, unsafe deadByteCount > byteCount / 2 else { return }
        // Every live field takes at most four bytes more in wire form than the bytes it has now.
        let capacity = unsafe byteCapacity + 4 * fieldCount
        let larger: UnsafeMutablePointer<UInt8> = unsafe PlainMemory.allocate(capacity: capacity)
        var end = 0
        for index in unsafe 0..<fieldCount {
            let field = unsafe fields[index]
            guard field.flags & UInt8(CHS_REMOVED) == 0 else {
                unsafe fields[index] = chs_field()
                unsafe fields[index].flags = UInt8(CHS_REMOVED)
                continue
            }
            unsafe fields[index].name_start = UInt32(end)
            var at = unsafe UnsafeMutableRawPointer(larger + end)
            unsafe at.put(UnsafeRawBufferPointer(start: bytes + Int(field.name_start), count: Int(field.name_length)))
            unsafe at.put(": ")
            unsafe fields[index].value_start = unsafe UInt32(at - UnsafeMutableRawPointer(larger))
            unsafe at.put(UnsafeRawBufferPointer(start: bytes + Int(field.value_start), count: Int(field.value_length)))
            unsafe at.put("\r\n")
            unsafe fields[index].flags = UInt8(CHS_CANONICAL) | field.flags & UInt8(CHS_SENSITIVE)
            end = unsafe at - UnsafeMutableRawPointer(larger)
        }
        unsafe PlainMemory.free(bytes)
        unsafe bytes = larger
        unsafe byteCapacity = capacity
        unsafe byteCount = end
        unsafe deadByteCount = 0
    }

    /// Writes a field behind the bytes and enters it at `index`, or as a new entry at the table's end.
    ///
    /// `value` must not lie in this storage.
    func write(name: HeaderName, value: UnsafeRawBufferPointer, at index: Int?) {
        var text = name.text
        text.withUTF8 { utf8 in
            unsafe write(name: UnsafeRawBufferPointer(utf8), id: name.id, value: value, at: index)
        }
    }

    /// Writes a field as ``write(name:value:at:)`` does; `id` must be the name's number, and the name a token of at most 65,535 bytes.
    func write(
        name: UnsafeRawBufferPointer,
        id: UInt8,
        value: UnsafeRawBufferPointer,
        at index: Int?,
        isSensitive: Bool = false
    ) {
        let needed = name.count + value.count + 4
        if let index { unsafe deadByteCount += wireByteCount(at: index) }
        if unsafe byteCount + needed > byteCapacity { compact() }
        unsafe reserve(bytes: byteCount + needed, fields: fieldCount + 1, keeping: true)
        var field = chs_field()
        field.id = id
        field.flags = UInt8(CHS_CANONICAL) | (isSensitive ? UInt8(CHS_SENSITIVE) : 0)
        field.name_start = unsafe UInt32(byteCount)
        field.name_length = UInt16(name.count)
        unsafe put(name)
        put(0x3A)
        put(0x20)
        field.value_start = unsafe UInt32(byteCount)
        field.value_length = UInt32(value.count)
        unsafe put(value)
        put(0x0D)
        put(0x0A)
        unsafe fields[index ?? fieldCount] = field
        unsafe pristineStart = nil
        if index == nil {
            unsafe fieldCount += 1
            unsafe liveCount += 1
            if id != 0, unsafe present.contains(id) { unsafe repeated.insert(id) }
        }
        unsafe present.insert(id)
    }

    private func put(_ byte: UInt8) {
        unsafe bytes[byteCount] = byte
        unsafe byteCount += 1
    }

    private func put(_ source: UnsafeRawBufferPointer) {
        guard let base = source.baseAddress else { return }
        unsafe UnsafeMutableRawPointer(bytes + byteCount).copyMemory(from: base, byteCount: source.count)
        unsafe byteCount += source.count
    }

    // MARK: - Writing out

    /// An upper bound of the bytes that ``serialize(into:)`` writes.
    var serializedBound: Int { unsafe byteCount + 4 * fieldCount + 4 }

    /// Copies the fields, neighbours that are in wire form in one go, and the empty line.
    ///
    /// Returns the bytes written.
    func serialize(to target: UnsafeMutableRawPointer) -> Int {
        if let start = unsafe pristineStart {
            unsafe target.copyMemory(from: bytes + start, byteCount: byteCount - start)
            return unsafe byteCount - start
        }
        var written = 0
        var runStart = 0
        var runEnd = 0
        for index in unsafe 0..<fieldCount {
            let field = unsafe fields[index]
            if field.flags & UInt8(CHS_REMOVED) != 0 { continue }
            let start = Int(field.name_start)
            let end = Int(field.value_start) + Int(field.value_length) + 2
            if field.flags & UInt8(CHS_CANONICAL) != 0 {
                if start == runEnd {
                    runEnd = end
                    continue
                }
                unsafe (target + written).copyMemory(from: bytes + runStart, byteCount: runEnd - runStart)
                written += runEnd - runStart
                runStart = start
                runEnd = end
                continue
            }
            unsafe (target + written).copyMemory(from: bytes + runStart, byteCount: runEnd - runStart)
            written += runEnd - runStart
            runStart = 0
            runEnd = 0
            unsafe (target + written).copyMemory(from: bytes + start, byteCount: Int(field.name_length))
            written += Int(field.name_length)
            unsafe target.storeBytes(of: 0x203A, toByteOffset: written, as: UInt16.self)
            written += 2
            unsafe (target + written).copyMemory(
                from: bytes + Int(field.value_start),
                byteCount: Int(field.value_length)
            )
            written += Int(field.value_length)
            unsafe target.storeBytes(of: 0x0A0D, toByteOffset: written, as: UInt16.self)
            written += 2
        }
        unsafe (target + written).copyMemory(from: bytes + runStart, byteCount: runEnd - runStart)
        written += runEnd - runStart
        unsafe target.storeBytes(of: 0x0A0D, toByteOffset: written, as: UInt16.self)
        return written + 2
    }
}

/// The table that the scanner fills while a head is incomplete.
@unsafe struct ScannerTable {
    // SAFETY: `entries` has room for `capacity`; whoever holds the table frees it, and `HeadStorage.adopt` exchanges it for another.
    var entries: UnsafeMutablePointer<chs_field>
    var capacity: Int
}
