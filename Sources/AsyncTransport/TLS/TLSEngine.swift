internal import COpenSSL

/// One side of a TLS connection as bytes in and bytes out: OpenSSL's state machine without a socket.
///
/// Ciphertext is read from a buffer that the caller fills, and written to a queue that the caller sends. Confined to one task.
@safe final class TLSEngine {
    // SAFETY: `ssl` and `wire` are this object's own, freed once, in deinit; the wire's pointers are set just before a call into OpenSSL
    // and cleared just after it, while the buffers they point into are held.
    private let ssl: OpaquePointer
    private let wire: UnsafeMutablePointer<copenssl_wire>
    /// What the callbacks of the SSL's context find by it; they run inside this object's methods.
    let exchange: TLSHandshakeState
    private let owner: AnyObject
    /// OpenSSL has given up on the connection and must not be asked to say goodbye.
    private var isBroken = false
    private var hasShakenHands = false
    private var hasSentNotice = false

    /// Most plaintext in one record.
    static let recordBytes = 16_384
    /// Header, explicit nonce, padding and tag of a record, generously.
    private static let recordOverhead = 320

    /// What came of a step.
    enum Step {
        /// So many bytes were moved; in a handshake, it is done.
        case done(Int)
        /// The next ciphertext is needed.
        case needsInput
        /// Too much ciphertext waits to be sent.
        case needsOutput
        /// The handshake waits for the certificate callback.
        case needsCertificate
        /// The peer has said that it will send no more.
        case ended
        case failed(TLSFailure)
    }

    /// Makes an engine of a context, for a server or a client; `owner` is what the context's callbacks find, and is kept alive.
    init(
        context: OpaquePointer,
        isServer: Bool,
        exchange: TLSHandshakeState,
        keeping owner: AnyObject
    ) throws(TransportError) {
        guard let ssl = unsafe SSL_new(context) else { throw .tls(.configuration, OpenSSLErrors.drain()) }
        unsafe self.ssl = ssl
        unsafe wire = .allocate(capacity: 1)
        unsafe wire.initialize(to: copenssl_wire())
        self.exchange = exchange
        self.owner = owner
        unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(exchange).toOpaque())
        guard unsafe copenssl_set_wire(ssl, wire) == 1 else { throw .tls(.configuration, OpenSSLErrors.drain()) }
        if isServer { unsafe SSL_set_accept_state(ssl) } else { unsafe SSL_set_connect_state(ssl) }
    }

    deinit {
        // A connection that was cut has not spoilt its session (RFC 8446, appendix C.4, asks only that keys be kept safe).
        unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        unsafe SSL_free(ssl)
        unsafe copenssl_clear_spill(wire)
        unsafe wire.deallocate()
    }

    /// Lets the caller set up the SSL before its handshake.
    func configure(_ body: (OpaquePointer) throws(TransportError) -> Void) throws(TransportError) {
        try unsafe body(ssl)
    }

    /// What was agreed on; once the handshake is done.
    func makeDigest() -> TLSDigest {
        unsafe TLSDigest(of: ssl, clientHello: exchange.clientHello, requestedName: exchange.serverName)
    }

    /// Whether bytes that have been decrypted wait to be read.
    var hasDecrypted: Bool { unsafe SSL_pending(ssl) > 0 }

    // MARK: - Steps

    func handshake(from input: IOBuffer?, into output: inout OutputQueue) -> Step {
        let result = step(from: input, into: &output) {
            let result = unsafe SSL_do_handshake(ssl)
            return (result, 0)
        }
        if case .done = result { hasShakenHands = true }
        return result
    }

    /// Decrypts into the free capacity of `buffer`, at most `limit` bytes.
    func read(into buffer: IOBuffer, limit: Int, from input: IOBuffer?, answersInto output: inout OutputQueue) -> Step {
        let result = step(from: input, into: &output) {
            var count = 0
            let result = unsafe SSL_read_ex(ssl, buffer.base + buffer.end, limit, &count)
            return (result, count)
        }
        if case .done(let count) = result { buffer.produced(count) }
        return result
    }

    /// Encrypts the first run of `plaintext` that has not been taken, one record's worth at most.
    func write(_ plaintext: inout OutputQueue, into output: inout OutputQueue) -> Step {
        collectSpill(into: &output)
        OpenSSLErrors.forget()
        var result: Int32 = 0
        var count = 0
        _ = unsafe plaintext.take(upTo: Self.recordBytes) { run in
            output.append(byteCount: run.count + Self.recordOverhead) { out in
                unsafe out.withUnsafeMutableBytes { target, initialized in
                    unsafe wire.pointee.output = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    unsafe wire.pointee.output_room = target.count
                    unsafe wire.pointee.output_length = initialized
                    unsafe result = SSL_write_ex(ssl, run.baseAddress, run.count, &count)
                    unsafe initialized = wire.pointee.output_length
                    unsafe wire.pointee.output = nil
                    unsafe wire.pointee.output_room = 0
                    unsafe wire.pointee.output_length = 0
                }
            }
            return result == 1 ? count : 0
        }
        let outcome = result == 1 ? Step.done(count) : failure(of: result)
        collectSpill(into: &output)
        return outcome
    }

    /// Says that nothing more will be sent, if that can still be said and has not been.
    func sayGoodbye(into output: inout OutputQueue) {
        guard hasShakenHands, !isBroken, !hasSentNotice else { return }
        hasSentNotice = true
        OpenSSLErrors.forget()
        _ = unsafe SSL_shutdown(ssl)
        OpenSSLErrors.forget()
        collectSpill(into: &output)
    }

    private func step(from input: IOBuffer?, into output: inout OutputQueue, _ body: () -> (Int32, Int)) -> Step {
        OpenSSLErrors.forget()
        let waiting = input?.count ?? 0
        if let input {
            unsafe wire.pointee.input = UnsafePointer((input.base + input.start).assumingMemoryBound(to: UInt8.self))
            unsafe wire.pointee.input_length = waiting
        }
        let (result, count) = body()
        let outcome = result == 1 ? Step.done(count) : failure(of: result)
        if let input { unsafe input.consume(waiting - wire.pointee.input_length) }
        unsafe wire.pointee.input = nil
        unsafe wire.pointee.input_length = 0
        collectSpill(into: &output)
        return outcome
    }

    private func failure(of result: Int32) -> Step {
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsInput
        case SSL_ERROR_WANT_WRITE: return .needsOutput
        case SSL_ERROR_WANT_X509_LOOKUP: return .needsCertificate
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: break
        }
        isBroken = true
        let verified = unsafe SSL_get_verify_result(ssl)
        let reason = OpenSSLErrors.drain()
        guard !hasShakenHands else { return .failed(TLSFailure(.brokenRecord, reason: reason)) }
        if let refusal = exchange.refusal { return .failed(refusal) }
        guard verified != Int(X509_V_OK), reason == "certificate verify failed" else {
            return .failed(TLSFailure(.handshakeFailed, reason: reason))
        }
        // SAFETY: the text is a constant of the library's.
        let words = unsafe String(cString: X509_verify_cert_error_string(verified))
        return .failed(TLSFailure(.certificateInvalid, verifyResult: verified, reason: words))
    }

    private func collectSpill(into output: inout OutputQueue) {
        let count = unsafe wire.pointee.spill_length
        guard count > 0 else { return }
        output.append(byteCount: count) { out in
            unsafe out.withUnsafeMutableBytes { target, initialized in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: target[initialized...])
                unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: wire.pointee.spill, count: count))
                initialized += count
            }
        }
        unsafe copenssl_clear_spill(wire)
    }
}

extension TransportError {
    static func tls(_ kind: TLSFailure.Kind, _ reason: String) -> TransportError {
        TransportError(.tls, errno: 0, tls: TLSFailure(kind, reason: reason))
    }

    init(_ operation: Operation, _ failure: TLSFailure) {
        self.init(operation, errno: 0, tls: failure)
    }
}
