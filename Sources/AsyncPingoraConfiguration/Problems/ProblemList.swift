/// Gathers what is wrong with one file, so that all of it can be told at once.
final class ProblemList {
    let file: String
    private var problems: [ConfigurationProblem] = []

    /// More lines than that help nobody.
    private static let limit = 100

    init(file: String) {
        self.file = file
    }

    func add(_ message: String, at position: ConfigurationProblem.Position? = nil) {
        guard problems.count < Self.limit else { return }
        problems.append(ConfigurationProblem(file: file, position: position, message: message))
    }

    /// - Throws: ``ConfigurationError`` when there is something wrong.
    func throwIfAny() throws(ConfigurationError) {
        guard !problems.isEmpty else { return }
        let first = ConfigurationProblem.Position(line: 0, column: 0)
        throw ConfigurationError(problems: problems.sorted { ($0.position ?? first) < ($1.position ?? first) })
    }
}
