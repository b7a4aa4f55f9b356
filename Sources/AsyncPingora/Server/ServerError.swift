/// Why a server could not start, or did not end well.
///
/// Each is described in one line.
public enum ServerError: Error, CustomStringConvertible {
    /// What a service was doing when it failed.
    public enum Stage: String, Sendable {
        /// It was acquiring what it cannot run without, or was not ready yet.
        case start
        /// It ran.
        case run
    }

    /// A service threw an error.
    case service(name: String, stage: Stage, reason: any Error)
    /// A service returned before it was ready, so that those that depend on it can never run.
    case endedBeforeReady(service: String)
    /// The process could not take over from another one, write its pid file, or become another user.
    case process(any Error)
    /// Services depend on each other in a circle, which is named from one of them to itself.
    case dependencyCycle([String])

    /// The service's name and what was wrong.
    public var description: String {
        switch self {
        case .service(let name, .start, let reason): "service '\(name)' cannot start: \(reason)"
        case .service(let name, .run, let reason): "service '\(name)' failed: \(reason)"
        case .endedBeforeReady(let service): "service '\(service)' ended before it was ready"
        case .process(let reason): "\(reason)"
        case .dependencyCycle(let names):
            "services depend on each other in a circle: \(names.joined(separator: " -> "))"
        }
    }
}
