internal import Yams

/// Notes which keys a type asks for while it is decoded: what it never asks for is unknown to it.
final class AskedKeys {
    /// A mapping that was looked into, and what for.
    struct Mapping {
        var path: [any CodingKey]
        var names: Set<String> = []
        /// Whether the type wanted to know which keys there are, as a dictionary does: then it takes any.
        var takesAny = false
    }

    private var indices: [[String]: Int] = [:]
    /// In the order in which they were first looked into.
    private(set) var mappings: [Mapping] = []

    /// Decodes a value, and takes note of the keys that it asks for.
    func decode<Value: Decodable>(_ type: Value.Type, from node: Node) throws -> Value {
        try decode(type, from: YAMLDecoder().decode(DecoderItself.self, from: node).decoder)
    }

    fileprivate func decode<Value: Decodable>(_ type: Value.Type, from decoder: any Decoder) throws -> Value {
        // The types that Yams reads as a single value, whatever they would do themselves.
        if type is any ScalarConstructible.Type { return try decoder.singleValueContainer().decode(type) }
        return try Value(from: AskedKeysDecoder(base: decoder, asked: self))
    }

    /// The number of the mapping at a path.
    fileprivate func index(of path: [any CodingKey]) -> Int {
        let steps = path.map { $0.intValue.map(String.init) ?? ".\($0.stringValue)" }
        if let index = indices[steps] { return index }
        indices[steps] = mappings.count
        mappings.append(Mapping(path: path))
        return mappings.count - 1
    }

    fileprivate func note(_ key: any CodingKey, in index: Int) {
        mappings[index].names.insert(key.stringValue)
    }

    fileprivate func noteAny(in index: Int) {
        mappings[index].takesAny = true
    }
}

/// The way to a decoder that is nobody's but Yams's.
private struct DecoderItself: Decodable {
    let decoder: any Decoder

    init(from decoder: any Decoder) {
        self.decoder = decoder
    }
}

private struct AskedKeysDecoder: Decoder {
    let base: any Decoder
    let asked: AskedKeys

    var codingPath: [any CodingKey] { base.codingPath }
    var userInfo: [CodingUserInfoKey: Any] { base.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(AskedKeysKeyed(base: try base.container(keyedBy: type), asked: asked))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        AskedKeysUnkeyed(base: try base.unkeyedContainer(), asked: asked)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        AskedKeysSingle(base: base, value: try base.singleValueContainer(), asked: asked)
    }
}

private struct AskedKeysSingle: SingleValueDecodingContainer {
    let base: any Decoder
    let value: any SingleValueDecodingContainer
    let asked: AskedKeys

    var codingPath: [any CodingKey] { base.codingPath }

    func decodeNil() -> Bool { value.decodeNil() }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try asked.decode(type, from: base) }
}

private struct AskedKeysKeyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let base: KeyedDecodingContainer<Key>
    let asked: AskedKeys
    private let index: Int

    init(base: KeyedDecodingContainer<Key>, asked: AskedKeys) {
        self.base = base
        self.asked = asked
        index = asked.index(of: base.codingPath)
    }

    var codingPath: [any CodingKey] { base.codingPath }

    var allKeys: [Key] {
        asked.noteAny(in: index)
        return base.allKeys
    }

    func contains(_ key: Key) -> Bool {
        asked.note(key, in: index)
        return base.contains(key)
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        asked.note(key, in: index)
        return try base.decodeNil(forKey: key)
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        asked.note(key, in: index)
        return try asked.decode(type, from: base.superDecoder(forKey: key))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type,
        forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder(forKey: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try superDecoder(forKey: key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        // Its key is the decoder's own choice.
        asked.noteAny(in: index)
        return AskedKeysDecoder(base: try base.superDecoder(), asked: asked)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        asked.note(key, in: index)
        return AskedKeysDecoder(base: try base.superDecoder(forKey: key), asked: asked)
    }
}

private struct AskedKeysUnkeyed: UnkeyedDecodingContainer {
    var base: any UnkeyedDecodingContainer
    let asked: AskedKeys

    var codingPath: [any CodingKey] { base.codingPath }
    var count: Int? { base.count }
    var isAtEnd: Bool { base.isAtEnd }
    var currentIndex: Int { base.currentIndex }

    mutating func decodeNil() throws -> Bool { try base.decodeNil() }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if isAtEnd { return try base.decode(type) }
        // An element that cannot be decoded is not passed over.
        var next = base
        let value = try asked.decode(type, from: next.superDecoder())
        base = next
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try superDecoder().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        AskedKeysDecoder(base: try base.superDecoder(), asked: asked)
    }
}
