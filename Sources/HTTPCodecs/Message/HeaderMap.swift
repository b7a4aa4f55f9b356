internal import CHTTPScanner

/// The fields of a message, in order and letter case as they came.
///
/// A value with copy-on-write storage: one block of bytes and one table. Asking for a name that the framework knows is a bit test and a
/// short scan of the table; nothing allocates but what returns a `String`.
public struct HeaderMap: Sendable {
    // SAFETY: indices come from the storage's own table and are not kept across a change; spans over its bytes cannot outlive the call
    // they are lent to, during which the map cannot be changed; what is written comes from elsewhere than the storage.
    private var storage: HeadStorage

    /// Makes an empty map.
    public init() {
        storage = .empty
    }

    /// How many fields there are; a name that occurs twice counts twice.
    public var count: Int { unsafe storage.liveCount }
    /// Whether there are no fields.
    public var isEmpty: Bool { unsafe storage.liveCount == 0 }

    /// Bytes of memory that it holds for itself, in use or not.
    package var capacity: Int { unsafe storage.byteCapacity + storage.fieldCapacity * MemoryLayout<chs_field>.stride }

    // MARK: - Looking up

    /// Whether a field of this name occurs.
    public func contains(_ name: HeaderName) -> Bool {
        name.id != 0 ? storage.mayContain(name) : storage.index(of: name) != nil
    }

    /// How often fields of this name occur.
    public func count(of name: HeaderName) -> Int {
        var count = 0
        forEachValue(name) { _ in count += 1 }
        return count
    }

    /// The value of the first field of this name; nil when there is none.
    ///
    /// Bytes that are not UTF-8 are replaced.
    public subscript(_ name: HeaderName) -> String? {
        withValue(name) { $0.utf8String }
    }

    /// The values of all fields of this name, in order.
    public func values(_ name: HeaderName) -> [String] {
        var values: [String] = []
        forEachValue(name) { values.append($0.utf8String) }
        return values
    }

    /// Calls `body` with the first value of this name; returns nil without calling it when there is none.
    public func withValue<Result>(_ name: HeaderName, _ body: (RawSpan) -> Result) -> Result? {
        guard let index = storage.index(of: name) else { return nil }
        return unsafe body(RawSpan(_unsafeBytes: storage.value(at: index)))
    }

    /// Calls `body` with each value of this name, in order.
    public func forEachValue(_ name: HeaderName, _ body: (RawSpan) -> Void) {
        var next = storage.index(of: name)
        while let index = next {
            unsafe body(RawSpan(_unsafeBytes: storage.value(at: index)))
            next = storage.index(of: name, from: index + 1)
        }
    }

    /// Whether a list field names `token`, in whatever case and in whichever of its occurrences (RFC 9110 5.6.1).
    public func hasToken(_ token: StaticString, in name: HeaderName) -> Bool {
        var isFound = false
        forEachValue(name) { value in
            value.forEachListElement { element in
                if element.equalsIgnoringCase(token) { isFound = true }
            }
        }
        return isFound
    }

    /// Whether the field occurs once and is `value`, in whatever case: what most messages say, told without taking a list apart.
    func hasOnly(_ value: StaticString, in name: HeaderName) -> Bool {
        guard let index = storage.index(of: name), storage.index(of: name, from: index + 1) == nil else { return false }
        return unsafe RawSpan(_unsafeBytes: storage.value(at: index)).equalsIgnoringCase(value)
    }

    // MARK: - Changing

    /// Adds a field behind the others.
    ///
    /// White space around the value is dropped.
    public mutating func append(_ name: HeaderName, _ value: String) throws(HeaderError) {
        try write(name, value, replacing: false)
    }

    /// Makes this the only field of its name: it takes the place of the first one, or comes last.
    public mutating func set(_ name: HeaderName, _ value: String) throws(HeaderError) {
        try write(name, value, replacing: true)
    }

    /// Adds a field whose value is a literal, which must hold no control bytes; does not allocate.
    public mutating func append(_ name: HeaderName, staticBytes value: StaticString) {
        makeUnique()
        unsafe storage.write(name: name, value: Self.checked(value), at: nil)
    }

    /// Makes this the only field of its name, its value a literal, which must hold no control bytes; does not allocate.
    public mutating func set(_ name: HeaderName, staticBytes value: StaticString) {
        let place = placeForOnly(name)
        unsafe storage.write(name: name, value: Self.checked(value), at: place)
    }

    /// Adds a field whose value is a number, which must not be negative; does not allocate.
    public mutating func append(_ name: HeaderName, integer value: Int) {
        makeUnique()
        let storage = storage
        unsafe withDecimal(value) { digits in unsafe storage.write(name: name, value: digits, at: nil) }
    }

    /// Makes this the only field of its name, its value a number, which must not be negative; does not allocate.
    public mutating func set(_ name: HeaderName, integer value: Int) {
        let place = placeForOnly(name)
        let storage = storage
        unsafe withDecimal(value) { digits in unsafe storage.write(name: name, value: digits, at: place) }
    }

    // A literal with a line break would be a programmer's error, but one that splits messages.
    private static func checked(_ value: StaticString) -> UnsafeRawBufferPointer {
        let bytes = unsafe UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount).trimmingOWS()
        precondition(unsafe isFieldValue(bytes), "the field value holds a control byte")
        return unsafe bytes
    }

    private static func isFieldValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return true }
        return unsafe chs_value_span(base, bytes.count) == bytes.count
    }

    /// Removes every field of this name.
    public mutating func remove(_ name: HeaderName) {
        guard storage.index(of: name) != nil else { return }
        makeUnique()
        var next = storage.index(of: name)
        while let index = next {
            storage.remove(at: index)
            next = storage.index(of: name, from: index + 1)
        }
    }

    /// Removes the fields for which `predicate` says so.
    public mutating func removeAll(where predicate: (Field) throws -> Bool) rethrows {
        makeUnique()
        for index in unsafe 0..<storage.fieldCount where storage.isLive(index) {
            if try predicate(field(at: index)) { storage.remove(at: index) }
        }
    }

    /// Removes all fields.
    ///
    /// Memory is kept for the next ones unless it is shared with another map.
    public mutating func removeAll(keepingCapacity: Bool = true) {
        if keepingCapacity, isKnownUniquelyReferenced(&storage) { storage.removeAll() } else { storage = HeadStorage() }
    }

    private mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&storage) { storage = HeadStorage(copying: storage) }
    }

    private mutating func write(_ name: HeaderName, _ value: String, replacing: Bool) throws(HeaderError) {
        var value = value
        let error = value.withUTF8 { unsafe write(name, bytes: UnsafeRawBufferPointer($0), replacing: replacing) }
        if let error { throw error }
    }

    /// Writes a field unless its value may not be one; says why then.
    ///
    /// `value` must not lie in this map.
    mutating func write(_ name: HeaderName, bytes value: UnsafeRawBufferPointer, replacing: Bool) -> HeaderError? {
        guard value.count < 1 << 30, unsafe storage.byteCount < 1 << 30 else { return .tooLarge }
        let trimmed = unsafe value.trimmingOWS()
        guard unsafe Self.isFieldValue(trimmed) else { return .invalidValue }
        let place = replacing ? placeForOnly(name) : nil
        makeUnique()
        unsafe storage.write(name: name, value: trimmed, at: place)
        return nil
    }

    /// Removes all fields of this name but the first and returns that one's place; nil when there is none.
    private mutating func placeForOnly(_ name: HeaderName) -> Int? {
        makeUnique()
        guard let first = storage.index(of: name) else { return nil }
        var next = storage.index(of: name, from: first + 1)
        while let index = next {
            storage.remove(at: index)
            next = storage.index(of: name, from: index + 1)
        }
        return first
    }

    private func field(at index: Int) -> Field {
        unsafe Field(
            name: RawSpan(_unsafeBytes: storage.name(at: index)).utf8String,
            value: RawSpan(_unsafeBytes: storage.value(at: index)).utf8String
        )
    }
}

extension HeaderMap: Sequence {
    /// A field: its name as it is written, and its value.
    public struct Field: Sendable, Equatable {
        /// The name as it is written on the wire.
        public let name: String
        /// The value, without white space around it.
        public let value: String
    }

    /// Walks the fields in order.
    public struct Iterator: IteratorProtocol {
        private let map: HeaderMap
        private var index = 0

        fileprivate init(_ map: HeaderMap) {
            self.map = map
        }

        /// Returns the next field; nil at the end.
        public mutating func next() -> Field? {
            while unsafe index < map.storage.fieldCount {
                defer { index += 1 }
                if map.storage.isLive(index) { return map.field(at: index) }
            }
            return nil
        }
    }

    /// Returns an iterator at the first field.
    public func makeIterator() -> Iterator { Iterator(self) }
    /// How many fields an array of them needs.
    public var underestimatedCount: Int { count }
}

extension HeaderMap: Equatable {
    /// Whether both have the same fields, names compared without case, in the same order.
    public static func == (left: HeaderMap, right: HeaderMap) -> Bool {
        left.count == right.count
            && zip(left, right).allSatisfy { $0.name.lowercased() == $1.name.lowercased() && $0.value == $1.value }
    }
}

extension HeaderMap: CustomStringConvertible {
    /// The fields as lines, control characters escaped.
    public var description: String { map { "\($0.name): \($0.value.escapingControls)" }.joined(separator: "\n") }
}

// MARK: - For the codec

extension HeaderMap {
    /// Makes a map of fields that the codec has gathered; nobody else may hold the storage.
    init(adopting storage: HeadStorage) {
        self.storage = storage
    }

    /// The first value of this name, which stays where it is as long as the map is neither changed nor let go.
    func rawValue(_ name: HeaderName) -> UnsafeRawBufferPointer? {
        guard let index = storage.index(of: name) else { return nil }
        return unsafe storage.value(at: index)
    }

    /// A field as it lies in memory, where it stays as long as the map is neither changed nor let go.
    @unsafe struct RawField {
        let id: UInt8
        let name: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer
        /// Whether no compression table may remember it.
        let isSensitive: Bool
    }

    /// Calls `body` with each field.
    func forEachRaw(_ body: (RawField) -> Void) {
        for index in unsafe 0..<storage.fieldCount where storage.isLive(index) {
            let field = unsafe RawField(
                id: storage.id(at: index),
                name: storage.name(at: index),
                value: storage.value(at: index),
                isSensitive: storage.isSensitive(index)
            )
            unsafe body(field)
        }
    }

    /// Overwrites self with another map's fields, reusing memory: nothing is allocated once it is large enough.
    mutating func copy(from other: borrowing HeaderMap) {
        if isKnownUniquelyReferenced(&storage) {
            storage.copy(from: other.storage)
        } else {
            storage = HeadStorage(copying: other.storage)
        }
    }

    /// Whether no other map shares the memory.
    package var isUnshared: Bool {
        mutating get { isKnownUniquelyReferenced(&storage) }
    }

    /// Gives up the memory; nil when another map shares it.
    mutating func releaseStorage() -> HeadStorage? {
        guard isKnownUniquelyReferenced(&storage) else { return nil }
        defer { storage = .empty }
        return storage
    }

    /// Memory that is not shared, for a head to be put into; the fields in it are lost.
    mutating func storageToOverwrite() -> HeadStorage {
        if !isKnownUniquelyReferenced(&storage) { storage = HeadStorage() }
        return storage
    }

    /// Whether the scanner saw this well-known name at all: false is certain.
    @inline(__always)
    func mayContain(_ name: HeaderName) -> Bool { storage.mayContain(name) }

    func containsAny(of names: HeaderNameSet) -> Bool { storage.containsAny(of: names) }

    /// Removes every field whose name is in `names`.
    mutating func removeAll(in names: HeaderNameSet) {
        makeUnique()
        storage.removeAll(in: names)
    }

    var serializedBound: Int { storage.serializedBound }

    func serialize(to target: UnsafeMutableRawPointer) -> Int { unsafe storage.serialize(to: target) }

    /// Calls `body` with the bytes of each field's name and value.
    func forEachField(_ body: (_ name: RawSpan, _ value: RawSpan) -> Void) {
        for index in unsafe 0..<storage.fieldCount where storage.isLive(index) {
            unsafe body(RawSpan(_unsafeBytes: storage.name(at: index)), RawSpan(_unsafeBytes: storage.value(at: index)))
        }
    }

    /// Removes the fields whose name is `name`, in whatever case.
    mutating func remove(named name: RawSpan) {
        unsafe name.withUnsafeBytes { wanted in
            guard let wantedBase = unsafe wanted.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            for index in unsafe 0..<storage.fieldCount where storage.isLive(index) {
                let candidate = unsafe storage.name(at: index)
                guard candidate.count == wanted.count,
                    let base = unsafe candidate.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    unsafe chs_equal_ignoring_case(base, wantedBase, wanted.count) != 0
                else { continue }
                makeUnique()
                storage.remove(at: index)
            }
        }
    }

    /// Sets a field whose value the codec has made itself.
    mutating func set(_ name: HeaderName, trusted value: UnsafeRawBufferPointer) {
        let place = placeForOnly(name)
        unsafe storage.write(name: name, value: value, at: place)
    }
}
