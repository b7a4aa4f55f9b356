internal import AsyncTransport
internal import Synchronization
internal import Tracing

/// The tracer of a service: the one that it was given, else the program's, if there is any when the first request comes.
final class TracerSource: Sendable {
    private let given: (any Tracer)?
    private let resolved = Lock<(any Tracer)?>(nil)
    private let state = Atomic<UInt8>(TracerSource.unknown)

    private static let unknown: UInt8 = 0
    private static let off: UInt8 = 1
    private static let on: UInt8 = 2

    init(_ given: (any Tracer)?) {
        self.given = given
    }

    /// Nil when nothing is to be traced.
    var tracer: (any Tracer)? {
        state.load(ordering: .relaxed) == Self.off ? nil : look()
    }

    @inline(never)  // a service without a tracer looks once
    private func look() -> (any Tracer)? {
        resolved.withLock { (resolved: inout (any Tracer)?) in
            if state.load(ordering: .relaxed) == Self.unknown {
                let found = given ?? InstrumentationSystem.tracer
                if !(found is NoOpTracer) { resolved = found }
                state.store(resolved == nil ? Self.off : Self.on, ordering: .relaxed)
            }
            return resolved
        }
    }
}
