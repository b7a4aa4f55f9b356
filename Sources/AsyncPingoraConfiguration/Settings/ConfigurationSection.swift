internal import Yams

/// A section of a configuration file that is the program's own: a key at the top, and the type that what is under it is decoded to.
///
///     struct Routes: Decodable, Sendable {
///         var upstreams: [String: SocketAddress]
///     }
///     let routes = ConfigurationSection("routes", as: Routes.self)
///     let configuration = try ServerConfiguration(file: "proxy.yaml", sections: ConfigurationSections(routes))
///     let upstreams = configuration[routes]?.upstreams ?? [:]
public struct ConfigurationSection<Value: Decodable & Sendable>: Sendable {
    /// The key at the top of the file.
    public let name: String
    let restart: @Sendable (Value?, Value?) -> [String]
    let verify: @Sendable (Value) -> [SectionProblem]

    /// Describes a section.
    ///
    /// A key that `type` does not ask for while it is decoded is an error, at whatever depth; a dictionary takes any.
    /// - Parameters:
    ///   - name: the key at the top of the file; not one of the framework's.
    ///   - type: what is under it.
    ///   - restart: which of its keys do not take effect before the program is started again, given the value that runs and the new one.
    ///   - verify: looks at what decoding cannot, such as files; for `--test`.
    public init(
        _ name: String,
        as type: Value.Type,
        restart: @escaping @Sendable (Value?, Value?) -> [String] = { _, _ in [] },
        verify: @escaping @Sendable (Value) -> [SectionProblem] = { _ in [] }
    ) {
        self.name = name
        self.restart = restart
        self.verify = verify
    }
}

/// Something that is wrong with a section of the program's own.
public struct SectionProblem: Hashable, Sendable {
    /// The keys that lead to it, from the section down: `["tls", "certificate"]`.
    public var path: [String]
    /// What is wrong.
    public var message: String

    /// Makes a problem.
    public init(at path: String..., message: String) {
        self.path = path
        self.message = message
    }
}

/// The sections that a program knows besides the framework's.
public struct ConfigurationSections: Sendable {
    let sections: [ErasedSection]

    /// Gathers the sections.
    public init<each Value>(_ section: repeat ConfigurationSection<each Value>) {
        var sections: [ErasedSection] = []
        for section in repeat each section { sections.append(ErasedSection(section)) }
        self.sections = sections
    }
}

/// A section whose type has been forgotten.
struct ErasedSection: Sendable {
    let name: String
    let decode: @Sendable (Node.Mapping.Entry, ProblemList, _ verifies: Bool) -> (any Sendable)?
    /// The keys that need a restart, with the section's name in front.
    let restart: @Sendable (_ running: (any Sendable)?, _ new: (any Sendable)?) -> [String]

    init<Value>(_ section: ConfigurationSection<Value>) {
        name = section.name
        decode = { entry, problems, verifies in
            let decoder = SectionDecoder(name: section.name, node: entry.value, problems: problems)
            guard let value = decoder.decode(Value.self) else { return nil }
            if verifies {
                for problem in section.verify(value) { decoder.add(problem) }
            }
            return value
        }
        restart = { section.restart($0 as? Value, $1 as? Value).map { "\(section.name).\($0)" } }
    }
}

extension ServerConfiguration {
    /// What the file says in a section of the program's own; nil when it does not have the section.
    public subscript<Value>(section: ConfigurationSection<Value>) -> Value? {
        get { sections[section.name] as? Value }
        set { sections[section.name] = newValue }
    }
}
