internal import Yams

/// Reads the keys of one section, notes what is wrong with their values, and at the end which keys nobody asked for.
final class SectionReader {
    private let path: String
    private let entries: [Node.Mapping.Entry]
    private let problems: ProblemList
    private var known: Set<String> = []
    /// Nil when a file is read; else there is none, and it is noted what would be asked for.
    private let survey: KeySurvey?

    /// The keys that readers ask for.
    final class KeySurvey {
        fileprivate(set) var keys: [String] = []
    }

    init(_ mapping: Node.Mapping?, path: String, problems: ProblemList, survey: KeySurvey? = nil) {
        self.path = path
        self.survey = survey
        self.problems = problems
        entries = mapping?.flattened ?? []
        for case (let key, _) in mapping ?? Node.Mapping([]) where key.scalar == nil {
            problems.add("expected a word as a key, found \(key.summary)", at: key.position)
        }
    }

    /// Sets `target` to a key's value, if the key is there and its value is one of `kind`.
    func set<Value>(_ target: inout Value, _ key: String, _ kind: ValueKind<Value>) {
        if let value = value(key, kind) { target = value }
    }

    /// Does the same for a setting that may be absent.
    func set<Value>(_ target: inout Value?, _ key: String, _ kind: ValueKind<Value>) {
        if let value = value(key, kind) { target = value }
    }

    /// Sets `target` to the values of a list.
    func setList<Value>(_ target: inout [Value], _ key: String, _ kind: ValueKind<Value>) {
        guard let entry = take(key) else { return }
        guard case .sequence(let sequence) = entry.value else {
            return wrong(key, expected: "a list", found: entry.value)
        }
        var values: [Value] = []
        for (index, element) in sequence.enumerated() {
            if case .scalar(let scalar) = element, let value = kind.parse(scalar) {
                values.append(value)
            } else {
                wrong("\(key)[\(index)]", expected: kind.expected, found: element)
            }
        }
        target = values
    }

    /// Reads a section in this one; one without a single key counts as absent.
    func section(_ key: String, _ read: (SectionReader) -> Void) {
        if let survey { read(SectionReader(nil, path: full(key), problems: problems, survey: survey)) }
        guard let entry = take(key) else { return }
        if let reader = reader(for: entry) {
            read(reader)
            reader.finish()
        }
    }

    /// Reads a section whose keys are names that the user gives, and whose values are sections.
    func sections(_ key: String, _ read: (_ name: String, SectionReader) -> Void) {
        if let survey { read("NAME", SectionReader(nil, path: full(key), problems: problems, survey: survey)) }
        guard let entry = take(key), let names = reader(for: entry) else { return }
        for each in names.entries {
            names.known.insert(each.name)
            guard let reader = names.reader(for: each) else { continue }
            read(each.name, reader)
            reader.finish()
        }
    }

    /// Returns the key's entry and counts the key as known.
    func take(_ key: String) -> Node.Mapping.Entry? {
        known.insert(key)
        survey?.keys.append(full(key))
        return entries.first { $0.name == key }
    }

    /// Notes that a key contradicts another.
    func conflict(_ key: String, with other: String) {
        guard let entry = entries.first(where: { $0.name == key }), take(other) != nil else { return }
        problems.add("key '\(full(key))': expected it or '\(other)', found both", at: entry.key.position)
    }

    /// Notes the keys that nobody asked for.
    ///
    /// - Parameter foreign: keys that are known and mean nothing here, and why.
    func finish(foreign: [String: String] = [:]) {
        for entry in entries where !known.contains(entry.name) {
            let name = "key '\(full(entry.name))'"
            if let reason = foreign[entry.name] {
                problems.add("\(name): expected no such key, for \(reason)", at: entry.key.position)
            } else if let near = NearestName.find(entry.name, among: known) {
                problems.add("\(name): expected '\(near)', found an unknown key", at: entry.key.position)
            } else {
                problems.add("\(name): expected a known key, found an unknown one", at: entry.key.position)
            }
        }
    }

    private func value<Value>(_ key: String, _ kind: ValueKind<Value>) -> Value? {
        guard let entry = take(key) else { return nil }
        if case .scalar(let scalar) = entry.value, let value = kind.parse(scalar) { return value }
        wrong(key, expected: kind.expected, found: entry.value)
        return nil
    }

    private func reader(for entry: Node.Mapping.Entry) -> SectionReader? {
        if case .mapping(let mapping) = entry.value {
            return SectionReader(mapping, path: full(entry.name), problems: problems)
        }
        if entry.value.scalar?.isNothing == true {
            return SectionReader(nil, path: full(entry.name), problems: problems)
        }
        wrong(entry.name, expected: "a section", found: entry.value)
        return nil
    }

    private func wrong(_ key: String, expected: String, found: Node) {
        problems.add("key '\(full(key))': expected \(expected), found \(found.summary)", at: found.position)
    }

    private func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}
