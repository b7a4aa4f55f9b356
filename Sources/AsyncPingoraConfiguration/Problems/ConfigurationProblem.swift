/// One thing that is wrong with a configuration, and where.
public struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    /// The file's path, as it was given.
    public var file: String
    /// Where in the file; nil when it is about the file as a whole.
    public var position: Position?
    /// What is wrong, in one line: `key 'threads': expected a whole number from 1 to 1024, found 'many'`.
    public var message: String

    /// A place in a file; both numbers count from 1.
    public struct Position: Hashable, Sendable, Comparable {
        /// The line.
        public var line: Int
        /// The character of the line.
        public var column: Int

        /// Whether the place comes first in the file.
        public static func < (left: Position, right: Position) -> Bool {
            (left.line, left.column) < (right.line, right.column)
        }
    }

    /// `FILE:LINE:COLUMN: MESSAGE`, as compilers write it.
    public var description: String {
        guard let position else { return "\(file): \(message)" }
        return "\(file):\(position.line):\(position.column): \(message)"
    }
}

/// Why a configuration cannot be used: everything that is wrong with it.
public struct ConfigurationError: Error, CustomStringConvertible {
    /// In the order of the file; never empty.
    public var problems: [ConfigurationProblem]

    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
