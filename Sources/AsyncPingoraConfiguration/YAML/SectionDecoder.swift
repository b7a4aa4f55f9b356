internal import Yams

/// Decodes a section of the program's own, and says of what is wrong where it is.
struct SectionDecoder {
    let name: String
    let node: Node
    let problems: ProblemList

    func decode<Value: Decodable>(_ type: Value.Type) -> Value? {
        let asked = AskedKeys()
        do {
            let value = try asked.decode(type, from: node)
            checkKeys(asked)
            return value
        } catch let error as DecodingError {
            add(error, asked)
        } catch {
            problems.add("key '\(name)': \(error)", at: node.position)
        }
        return nil
    }

    /// Notes the keys that nobody has asked for.
    private func checkKeys(_ asked: AskedKeys) {
        for asked in asked.mappings where !asked.takesAny {
            guard case .mapping(let mapping) = node.descend(asked.path).node else { continue }
            let reader = SectionReader(mapping, path: full(asked.path), problems: problems)
            for key in asked.names { _ = reader.take(key) }
            reader.finish()
        }
    }

    func add(_ problem: SectionProblem) {
        let path = problem.path.map(PathKey.init)
        problems.add("key '\(full(path))': \(problem.message)", at: node.descend(path).node.position)
    }

    private func add(_ error: DecodingError, _ asked: AskedKeys) {
        switch error {
        case .keyNotFound(let key, let context):
            let parent = node.descend(context.codingPath).node
            let name = "key '\(full(context.codingPath + [key]))'"
            // What has a similar name may be meant; the keys that would be asked for later are not known.
            let path = full(context.codingPath)
            let known = asked.mappings.first { full($0.path) == path }?.names ?? []
            let similar = parent.mapping?.flattened.first { entry in
                !known.contains(entry.name) && NearestName.find(entry.name, among: [key.stringValue]) != nil
            }
            if let similar {
                problems.add("\(name): expected it, found '\(similar.name)'", at: similar.key.position)
            } else {
                problems.add("\(name): expected it, found no such key", at: parent.position)
            }
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            let found = node.descend(context.codingPath).node
            let name = "key '\(full(context.codingPath))'"
            problems.add("\(name): expected \(Self.words(for: type)), found \(found.summary)", at: found.position)
        case .dataCorrupted(let context):
            let found = node.descend(context.codingPath).node
            let name = "key '\(full(context.codingPath))'"
            problems.add("\(name): \(context.debugDescription), found \(found.summary)", at: found.position)
        @unknown default:
            problems.add("key '\(name)': \(error)", at: node.position)
        }
    }

    private func full(_ path: [any CodingKey]) -> String {
        path.reduce(into: name) { text, step in
            text += step.intValue.map { "[\($0)]" } ?? ".\(step.stringValue)"
        }
    }

    /// What somebody who has never seen Swift would call a type.
    private static func words(for type: Any.Type) -> String {
        switch type {
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is String.Type: "a text"
        // What Yams says when it wanted to read one of these.
        case is Node.Mapping.Type: "a section"
        case is Node.Sequence.Type: "a list"
        case is Node.Scalar.Type: "a single value"
        case is any Collection.Type: "\(type)".hasPrefix("Dictionary") ? "a section" : "a list"
        default: "\(type)"
        }
    }
}

private struct PathKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ text: String) {
        stringValue = text
        intValue = Int(text)
    }

    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { self.init("\(intValue)") }
}
