internal import AsyncConnectors
internal import AsyncTransport
internal import CoreMetrics

/// A counter for each kind of error and each source that errors came from, made when the first one comes.
final class ErrorCounters: Sendable {
    private struct Key: Hashable {
        let type: String
        let source: PingoraError.Source
    }

    private let maker: InstrumentMaker
    private struct State {
        var counters: [Key: Counter] = [:]
        var customCount = 0
    }

    private let state = Lock(State())

    /// The most kinds of the users' own that get counters: their names are made up at run time, perhaps of a client's words.
    private static let customLimit = 32
    private static let nameLimit = 64

    init(_ maker: InstrumentMaker) {
        self.maker = maker
    }

    func count(_ error: PingoraError) {
        counter(for: error).increment(by: 1 as Int64)
    }

    private func counter(for error: PingoraError) -> Counter {
        let name = error.kind.name
        return state.withLock { (state: inout State) in
            var key = Key(type: name, source: error.source)
            if let counter = state.counters[key] { return counter }
            if error.kind.isCustom {
                if name.utf8.count <= Self.nameLimit, state.customCount < Self.customLimit {
                    state.customCount += 1
                } else {
                    key = Key(type: "other", source: error.source)
                    if let counter = state.counters[key] { return counter }
                }
            }
            let made = maker.counter(
                "pingora_errors_total",
                [("type", key.type), ("source", key.source.rawValue)]
            )
            state.counters[key] = made
            return made
        }
    }
}
