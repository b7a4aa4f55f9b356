internal import COpenSSL

/// Sessions that upstreams have given out, by whom they may be resumed with.
@safe final class TLSClientSessions: Sendable {
    /// Who may resume a session: options and address must be the same, so must the protocols offered.
    struct Key: Hashable, Sendable {
        var options: TLSClientOptions
        var address: SocketAddress?
        var protocols: [ApplicationProtocol]
    }

    // SAFETY: a session is in one place at a time, here or with whoever took it; the last holder frees it.
    @safe private struct Session: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private struct State {
        var sessions: [Key: [Session]] = [:]
    }

    // SAFETY: whoever takes a session out of the state, which is locked, holds the only reference that is this object's to give.
    private let state = Lock(State())
    /// Upstreams whose sessions are kept.
    private static let keyLimit = 1_024
    /// Sessions kept of one upstream: with TLS 1.3 each is good for one connection (RFC 8446, appendix C.4).
    private static let sessionLimit = 8

    init() {}

    deinit {
        for session in state.withLock({ Array($0.sessions.values.joined()) }) {
            unsafe SSL_SESSION_free(session.pointer)
        }
    }

    /// Keeps a session, which is this object's from now on.
    func insert(_ session: OpaquePointer, for key: Key) {
        let session = unsafe Session(pointer: session)
        let dropped = state.withLock { (state: inout State) -> [Session] in
            var dropped: [Session] = []
            if state.sessions[key] == nil, state.sessions.count >= Self.keyLimit, let other = state.sessions.keys.first
            {
                dropped = state.sessions.removeValue(forKey: other) ?? []
            }
            state.sessions[key, default: []].append(session)
            if let count = state.sessions[key]?.count, count > Self.sessionLimit {
                if let oldest = state.sessions[key]?.removeFirst() { dropped.append(oldest) }
            }
            return dropped
        }
        for session in dropped { unsafe SSL_SESSION_free(session.pointer) }
    }

    /// The newest session, which is the caller's from now on; nil when there is none.
    func take(for key: Key) -> OpaquePointer? {
        let session = state.withLock { (state: inout State) -> Session? in
            guard let newest = state.sessions[key]?.popLast() else { return nil }
            if state.sessions[key]?.isEmpty == true { state.sessions[key] = nil }
            return newest
        }
        guard let session else { return nil }
        // TLS 1.2 gives a session once, to be resumed again and again: a copy stays.
        if unsafe SSL_SESSION_get_protocol_version(session.pointer) == TLS1_2_VERSION,
            let copy = unsafe SSL_SESSION_dup(session.pointer)
        {
            unsafe insert(copy, for: key)
        }
        return unsafe session.pointer
    }
}
