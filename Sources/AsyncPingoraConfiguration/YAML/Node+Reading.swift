internal import Yams

extension Node.Scalar {
    /// Whether it is written as it is, and not in quotes or as a block: only then can it be a number or a word of YAML's.
    var isPlain: Bool { style == .plain || style == .any }

    /// What a key without a value has.
    var isNothing: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(string) }
}

extension ConfigurationProblem.Position {
    init(_ mark: Mark) {
        self.init(line: mark.line, column: mark.column)
    }
}

extension Node {
    var position: ConfigurationProblem.Position? { mark.map(ConfigurationProblem.Position.init) }

    /// What was found, for an error's text.
    var summary: String {
        switch self {
        case .mapping: return "a section"
        case .sequence: return "a list"
        case .alias: return "an alias"
        case .scalar(let scalar):
            if scalar.isNothing { return "nothing" }
            let line = scalar.string.prefix { !$0.isNewline }.prefix(60)
            let text = line.endIndex == scalar.string.endIndex ? "\(line)" : "\(line)…"
            return scalar.isPlain ? "'\(text)'" : "the text '\(text)'"
        }
    }

    /// Follows a path of keys and positions in lists; ends at the last node that there is.
    func descend(_ path: [any CodingKey]) -> (node: Node, isWhole: Bool) {
        var node = self
        for step in path {
            switch node {
            case .mapping(let mapping):
                guard let entry = mapping.flattened.last(where: { $0.name == step.stringValue }) else {
                    return (node, false)
                }
                node = entry.value
            case .sequence(let sequence):
                guard let index = step.intValue, sequence.indices.contains(index) else { return (node, false) }
                node = sequence[index]
            case .scalar, .alias:
                return (node, false)
            }
        }
        return (node, true)
    }
}

extension Node.Mapping {
    /// A key and its value.
    struct Entry {
        var name: String
        var key: Node
        var value: Node
    }

    /// The entries, with those that `<<` brings in, unless the mapping has them itself.
    var flattened: [Entry] {
        var own: [Entry] = []
        var merged: [Entry] = []
        for (key, value) in self {
            guard case .scalar(let scalar) = key else { continue }
            if scalar.isPlain, scalar.string == "<<" {
                merged += value.mergeSources.flatMap(\.flattened)
            } else {
                own.append(Entry(name: scalar.string, key: key, value: value))
            }
        }
        var names = Set(own.map(\.name))
        return own + merged.filter { names.insert($0.name).inserted }
    }
}

extension Node {
    fileprivate var mergeSources: [Node.Mapping] {
        switch self {
        case .mapping(let mapping): [mapping]
        case .sequence(let sequence): sequence.compactMap(\.mapping)
        case .scalar, .alias: []
        }
    }
}
