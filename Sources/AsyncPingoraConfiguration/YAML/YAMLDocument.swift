internal import AsyncTransport
internal import Yams

/// A configuration file as a tree of nodes that know their places, read within bounds.
struct YAMLDocument {
    /// The keys and values at the top; nil when the file has none.
    let root: Node.Mapping?
    /// Nodes refer to anchors weakly: their parser keeps them.
    private let parser: Parser?

    private typealias Position = ConfigurationProblem.Position

    /// A configuration is no database.
    static let maximumByteCount = 1 << 20
    /// How many values there may be, with what aliases stand for written out.
    static let maximumNodeCount = 100_000
    /// How deep they may be nested.
    static let maximumDepth = 32

    /// Reads a file; blocks.
    ///
    /// - Throws: ``ConfigurationError`` when it cannot be read or is not YAML.
    init(file: String) throws(ConfigurationError) {
        let bytes: [UInt8]
        do {
            bytes = try FileContents.read(file, limit: Self.maximumByteCount)
        } catch {
            throw Self.error(file, "cannot be read: \(error.reason)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            let line = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
            throw Self.error(file, "expected text in UTF-8, found other bytes", at: Position(line: line + 1, column: 1))
        }
        try self.init(text: text, file: file)
    }

    /// Parses a text, which errors call `file`.
    init(text: String, file: String) throws(ConfigurationError) {
        if let position = AliasScreen.find(in: text) {
            throw Self.error(
                file,
                "expected keys that are plain words, found an alias or a collection as a key",
                at: position
            )
        }
        do {
            // Of all rules only that for `<<`: what a text means is decided by what is expected in its place.
            let parser = try Parser(yaml: text, resolver: Resolver.basic.appending(.merge), encoding: .utf8)
            self.parser = parser
            guard let node = try parser.singleRoot() else {
                root = nil
                return
            }
            try Self.checkSize(of: node, file: file)
            if case .scalar(let scalar) = node, scalar.isNothing {
                root = nil
                return
            }
            guard case .mapping(let mapping) = node else {
                throw Self.error(file, "expected keys and values, found \(node.summary)", at: node.position)
            }
            root = mapping
        } catch let error as ConfigurationError {
            throw error
        } catch {
            throw Self.explain(error, text: text, file: file)
        }
    }

    private static func error(_ file: String, _ message: String, at position: Position? = nil) -> ConfigurationError {
        let problems = ProblemList(file: file)
        problems.add(message, at: position)
        do throws(ConfigurationError) { try problems.throwIfAny() } catch { return error }
        preconditionFailure("a list with a problem throws")
    }

    // MARK: - Bounds

    private static func checkSize(of root: Node, file: String) throws(ConfigurationError) {
        var left = [(node: root, depth: 1)]
        var count = 0
        while let (node, depth) = left.popLast() {
            count += 1
            if count > maximumNodeCount {
                let limit = "at most \(maximumNodeCount) values, what aliases stand for counted"
                throw error(file, "expected \(limit), found more")
            }
            if depth > maximumDepth {
                let limit = "values nested at most \(maximumDepth) deep"
                throw error(file, "expected \(limit), found deeper ones", at: node.position)
            }
            switch node {
            case .mapping(let mapping):
                for (key, value) in mapping { left += [(key, depth + 1), (value, depth + 1)] }
            case .sequence(let sequence):
                for element in sequence { left.append((element, depth + 1)) }
            case .scalar, .alias: break
            }
        }
    }

    // MARK: - What the parser says

    private static func explain(_ error: any Error, text: String, file: String) -> ConfigurationError {
        guard let error = error as? YamlError else { return self.error(file, "cannot be parsed: \(error)") }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            let activity = context.map { "\($0.text), " } ?? ""
            return self.error(file, "expected YAML: \(activity)\(problem)", at: Position(mark))
        case .composer(_, let problem, let mark, _):
            return self.error(file, "expected a single YAML document: \(problem)", at: Position(mark))
        case .duplicatedKeysInMapping(let duplicates, let context):
            let key = duplicates.first ?? ""
            return self.error(
                file,
                "key '\(key)': expected once, found again",
                at: secondPlace(of: key, first: Position(context.mark), text: text)
            )
        case .reader(let problem, let offset, _, _):
            let line = text.prefix(offset ?? 0).count { $0.isNewline } + 1
            return self.error(file, "expected YAML: \(problem)", at: Position(line: line, column: 1))
        default:
            return self.error(file, "cannot be parsed: \(error)")
        }
    }

    /// Finds the line that says a key again; the parser tells where it is first.
    ///
    /// In block style keys of one mapping stand in one column.
    private static func secondPlace(of key: String, first: Position, text: String) -> Position {
        let indent = String(repeating: " ", count: first.column - 1)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().dropFirst(first.line)
        for (number, line) in lines where line.hasPrefix(indent + key) {
            let rest = line.dropFirst(indent.count + key.count)
            guard rest.drop(while: { $0 == " " }).hasPrefix(":") else { continue }
            return Position(line: number + 1, column: first.column)
        }
        return first
    }
}
