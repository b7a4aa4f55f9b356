internal import AsyncTransport

/// A service that was added to a ``Server``: what its dependencies are stated with.
public struct ServiceHandle: Sendable {
    /// What the service is called.
    public let name: String
    fileprivate let graph: ServiceGraph
    fileprivate let index: Int

    /// Lets this service run only once `other` is ready, and lets `other` live until this one has ended.
    ///
    /// Before ``Server/run(signals:)``. Services that depend on each other in a circle stop the start
    /// (``ServerError/dependencyCycle(_:)``).
    public func addDependency(_ other: ServiceHandle) {
        precondition(graph === other.graph, "a service depends on services of its own server")
        graph.add(dependency: other.index, of: index)
    }

    /// Lets this service depend on each of `others`; see ``addDependency(_:)``.
    public func addDependencies(_ others: [ServiceHandle]) {
        for other in others { addDependency(other) }
    }
}

/// Which of a server's services depend on which.
final class ServiceGraph: Sendable {
    private struct State {
        var names: [String] = []
        /// By service, those it depends on.
        var dependencies: [[Int]] = []
        var isComplete = false
    }

    /// The services in an order in which each comes after those it depends on, else in the order they were added.
    struct Order {
        let indices: [Int]
        /// By service, those it depends on.
        let dependencies: [[Int]]
        /// By service, those that depend on it.
        let dependents: [[Int]]

        /// These services and all that they depend on, be it by way of others.
        func closure(of services: [Int]) -> Set<Int> {
            var found = Set(services)
            var left = services
            while let next = left.popLast() { left += dependencies[next].filter { found.insert($0).inserted } }
            return found
        }
    }

    private let state = Lock(State())

    func add(_ name: String) -> ServiceHandle {
        let index = state.withLock { (state: inout State) in
            state.names.append(name)
            state.dependencies.append([])
            return state.names.count - 1
        }
        return ServiceHandle(name: name, graph: self, index: index)
    }

    fileprivate func add(dependency: Int, of service: Int) {
        state.withLock { (state: inout State) in
            precondition(!state.isComplete, "dependencies are added before the server runs")
            if !state.dependencies[service].contains(dependency) { state.dependencies[service].append(dependency) }
        }
    }

    /// The names of those that a service depends on.
    func dependencies(of service: Int) -> [String] {
        state.withLock { state in state.dependencies[service].map { state.names[$0] } }
    }

    /// Takes no more dependencies, and puts the services in order.
    func complete() throws(ServerError) -> Order {
        let (names, dependencies) = state.withLock { (state: inout State) in
            state.isComplete = true
            return (state.names, state.dependencies)
        }
        var search = Search(dependencies: dependencies)
        for index in names.indices { search.visit(index) }
        if let cycle = search.cycle { throw .dependencyCycle(cycle.map { names[$0] }) }
        var dependents = Array(repeating: [Int](), count: names.count)
        for index in names.indices { for other in dependencies[index] { dependents[other].append(index) } }
        return Order(indices: search.order, dependencies: dependencies, dependents: dependents)
    }

    /// Goes to what a service depends on before it goes to the service itself.
    private struct Search {
        let dependencies: [[Int]]
        private(set) var order: [Int] = []
        /// The first circle that was met, from a service to itself.
        private(set) var cycle: [Int]?
        private var isDone: Set<Int> = []
        private var path: [Int] = []

        init(dependencies: [[Int]]) {
            self.dependencies = dependencies
        }

        mutating func visit(_ index: Int) {
            guard cycle == nil, !isDone.contains(index) else { return }
            if let start = path.firstIndex(of: index) {
                cycle = path[start...] + [index]
                return
            }
            path.append(index)
            for other in dependencies[index] { visit(other) }
            path.removeLast()
            isDone.insert(index)
            order.append(index)
        }
    }
}
