internal import COpenSSL

/// The keys that session tickets are encrypted with: the newest encrypts, those before it still decrypt.
final class TicketKeys: Sendable {
    /// Name, AES key, HMAC key.
    private struct Key {
        var name: [UInt8]
        var secrets: [UInt8]

        init() throws(TLSConfigurationError) {
            var bytes = [UInt8](repeating: 0, count: 80)
            // SAFETY: it writes as many bytes as the array has.
            guard unsafe RAND_bytes(&bytes, Int32(bytes.count)) == 1 else {
                throw OpenSSLErrors.configuration("session ticket keys")
            }
            name = Array(bytes[..<16])
            secrets = Array(bytes[16...])
        }
    }

    private struct State {
        /// The newest first.
        var keys: [Key]
        /// When the next is made, in seconds since 1970.
        var expiry: Int64
    }

    private static let keptCount = 3
    private let state: Lock<State>
    private let lifetime: Int64

    init(lifetime: Duration) throws(TLSConfigurationError) {
        self.lifetime = max(lifetime.components.seconds, 1)
        state = Lock(State(keys: [try Key()], expiry: SystemClock.secondsSinceEpoch + self.lifetime))
    }

    func rotate() throws(TLSConfigurationError) {
        let key = try Key()
        let expiry = SystemClock.secondsSinceEpoch + lifetime
        state.withLock { (state: inout State) in
            state.keys.insert(key, at: 0)
            if state.keys.count > Self.keptCount { state.keys.removeLast() }
            state.expiry = expiry
        }
    }

    /// Prepares to encrypt or decrypt one ticket, as OpenSSL's ticket callback asks: 0 for an unknown key, 2 for a ticket to be renewed.
    ///
    /// With `renews` every ticket is, for it is good for one connection only: so in TLS 1.3 (RFC 8446, appendix C.4).
    func begin(
        name: UnsafeMutablePointer<UInt8>,
        vector: UnsafeMutablePointer<UInt8>,
        cipher: OpaquePointer,
        mac: OpaquePointer,
        encrypts: Bool,
        renews: Bool
    ) -> Int32 {
        // SAFETY: OpenSSL gives 16 bytes each for name and vector.
        if encrypts {
            if SystemClock.secondsSinceEpoch >= state.withLock({ $0.expiry }) { try? rotate() }
            let key = state.withLock { $0.keys[0] }
            for index in 0..<16 { unsafe name[index] = key.name[index] }
            return unsafe copenssl_ticket_begin(cipher, mac, key.secrets, vector, 1) == 1 ? 1 : -1
        }
        let wanted = unsafe Array(UnsafeBufferPointer(start: name, count: 16))
        let keys = state.withLock { $0.keys }
        guard let index = keys.firstIndex(where: { $0.name == wanted }) else { return 0 }
        guard unsafe copenssl_ticket_begin(cipher, mac, keys[index].secrets, vector, 0) == 1 else { return -1 }
        return index == 0 && !renews ? 1 : 2
    }
}
