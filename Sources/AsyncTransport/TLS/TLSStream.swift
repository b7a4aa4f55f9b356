internal import Glibc

/// TLS over another stream, on either side.
///
/// OpenSSL sees neither the socket nor the task: ciphertext is read a buffer at a time and sent a queue at a time, so that 64 KiB of
/// body are four records and one `send`. While nothing is in flight it holds no buffer.
package final class TLSStream: ByteStream {
    let inner: any ByteStream
    private var engine: TLSEngine?
    /// Ciphertext that has arrived and is not decrypted; nil while there is none.
    private var received: IOBuffer?
    /// Ciphertext that the inner stream has not taken.
    private var outgoing = OutputQueue()
    /// What the ciphertext in `outgoing` is made of, oldest first.
    private var records: [Record] = []
    /// Bytes of the caller's queue that are in `records`.
    private var pendingPlaintext = 0
    private var state = State.open
    private var closesWriteWhenFlushed = false
    package private(set) var tls: TLSDigest?

    private enum State {
        case open
        /// The peer has ended its side in good order.
        case ended
        case failed(TransportError)
    }

    /// A run of ciphertext on its way, and the plaintext that leaves the caller's queue with its last byte.
    private struct Record {
        var ciphertext: Int
        var plaintext: Int
    }

    /// Ciphertext that waits beyond what the socket has taken; the record that reaches it is the last.
    private static let highWaterMark = 65_536

    init(over inner: any ByteStream, engine: TLSEngine) {
        self.inner = inner
        self.engine = engine
    }

    deinit {
        close(reset: false)
    }

    package func attach(to parker: Parker?) { inner.attach(to: parker) }
    package var parker: Parker? { inner.parker }
    package var peerAddress: SocketAddress? { inner.peerAddress }
    package var localAddress: SocketAddress? { inner.localAddress }

    // MARK: - Reading

    package func tryRead(into buffer: IOBuffer, limit: Int) throws(TransportError) -> IOResult {
        guard let engine else { throw TransportError(.read, errno: EBADF) }
        switch state {
        case .open: break
        case .ended: return .endOfStream
        case .failed(let error): throw error
        }
        // An answer to a key update that the socket did not take: if it cannot now, the next write tells why.
        if !outgoing.isEmpty { _ = try? flushMessages() }
        let room = min(limit, buffer.freeCapacity)
        guard room > 0 else { return .moved(0) }
        var total = 0
        while total < room {
            // OpenSSL is asked when there is something to decrypt: to learn that there is nothing costs it as much.
            if received?.isEmpty != false, !engine.hasDecrypted {
                guard total == 0 else { break }
                guard try receive() else {
                    // An answer, to a key update or a renegotiation, does not wait for news that may never come.
                    if !outgoing.isEmpty { _ = try? flushMessages() }
                    return .wouldBlock
                }
            }
            let before = outgoing.byteCount
            let step = engine.read(into: buffer, limit: room - total, from: received, answersInto: &outgoing)
            note(ciphertext: outgoing.byteCount - before)
            switch step {
            case .done(let count):
                total += count
            case .needsInput:
                // What there was is part of a record, or a message to OpenSSL itself.
                continue
            case .ended:
                state = .ended
                releaseReceived()
                return total > 0 ? .moved(total) : .endOfStream
            case .needsOutput, .needsCertificate:
                // A peer that asks for answers and takes none: they go first.
                if try !flushMessages() { return total > 0 ? .moved(total) : .wouldBlock }
            case .failed(let failure):
                let error = fail(TransportError(.read, failure))
                guard total > 0 else { throw error }
                return .moved(total)
            }
        }
        releaseReceived()
        return .moved(total)
    }

    /// Reads ciphertext, once; false when none is there.
    private func receive() throws(TransportError) -> Bool {
        let buffer = received ?? BufferPool.take()
        received = buffer
        buffer.compact()
        let result: IOResult
        do throws(TransportError) {
            result = try inner.tryRead(into: buffer, limit: buffer.freeCapacity)
        } catch {
            throw fail(error)
        }
        switch result {
        case .moved:
            return true
        case .wouldBlock:
            releaseReceived()
            return false
        case .endOfStream:
            let failure = TLSFailure(.cutOff, reason: "the connection ended without a close_notify")
            throw fail(TransportError(.read, errno: ECONNRESET, tls: failure))
        }
    }

    private func fail(_ error: TransportError) -> TransportError {
        state = .failed(error)
        // What OpenSSL had to say about it, an alert, is worth one try.
        if !outgoing.isEmpty { _ = try? flush() }
        releaseReceived()
        return error
    }

    private func releaseReceived() {
        guard received?.isEmpty == true else { return }
        BufferPool.give(from: &received)
    }

    private var hasPending: Bool {
        guard let engine, case .open = state else { return true }
        return received?.isEmpty == false || engine.hasDecrypted
    }

    package var mayBeReadable: Bool { hasPending || inner.mayBeReadable }

    package var isHungUp: Bool {
        if case .open = state { return inner.isHungUp }
        return true
    }

    package func awaitsInput() -> Bool { !hasPending && inner.awaitsInput() }

    package func askAgain() { inner.askAgain() }

    package func awakenOnInput() {
        if hasPending { parker?.unpark() } else { inner.awakenOnInput() }
    }

    package func moveToCurrentThread() throws(TransportError) { try inner.moveToCurrentThread() }

    // MARK: - Writing

    package func tryWrite(_ queue: inout OutputQueue) throws(TransportError) -> IOResult {
        guard let engine else {
            queue.removeAll()
            throw TransportError(.write, errno: EBADF)
        }
        if case .failed(let error) = state, error.tls?.kind != .cutOff { throw error }
        forgetRecords(ofOtherThan: queue.takenCount)
        while true {
            while queue.takenCount < queue.byteCount, outgoing.byteCount < Self.highWaterMark {
                let before = outgoing.byteCount
                switch engine.write(&queue, into: &outgoing) {
                case .done(let count):
                    note(ciphertext: outgoing.byteCount - before, plaintext: count)
                case .failed(let failure):
                    throw fail(TransportError(.write, failure))
                case .needsInput, .needsOutput, .needsCertificate, .ended:
                    note(ciphertext: outgoing.byteCount - before)
                    guard try flush(&queue) else { return .wouldBlock }
                }
            }
            guard try flush(&queue) else { return .wouldBlock }
            if queue.isEmpty { return .moved(0) }
        }
    }

    /// Sends ciphertext and takes from `queue` what has left with it; true when none is left.
    private func flush(_ queue: inout OutputQueue) throws(TransportError) -> Bool {
        let before = outgoing.byteCount
        do throws(TransportError) {
            let isDone = try flush()
            queue.consume(departed(before - outgoing.byteCount))
            return isDone
        } catch {
            queue.consume(departed(before - outgoing.byteCount))
            throw error
        }
    }

    /// Sends ciphertext of which no plaintext waits in a queue of the caller's, if that is all there is.
    ///
    /// The caller's queue empties only when it is written: it would be left waiting for a wake-up that has come.
    func flushMessages() throws(TransportError) -> Bool {
        guard pendingPlaintext == 0 else { return false }
        let before = outgoing.byteCount
        defer { _ = departed(before - outgoing.byteCount) }
        return try flush()
    }

    private func flush() throws(TransportError) -> Bool {
        let isDone = if outgoing.isEmpty { true } else { try inner.tryWrite(&outgoing).hasMoved }
        if isDone, closesWriteWhenFlushed {
            closesWriteWhenFlushed = false
            inner.closeWrite()
        }
        return isDone
    }

    private func note(ciphertext: Int, plaintext: Int = 0) {
        guard ciphertext > 0 else { return }
        records.append(Record(ciphertext: ciphertext, plaintext: plaintext))
        pendingPlaintext += plaintext
    }

    /// Takes note that so much ciphertext has left; returns how much plaintext left with it, in whole records.
    private func departed(_ count: Int) -> Int {
        var left = count
        var plaintext = 0
        var gone = 0
        while gone < records.count, left >= records[gone].ciphertext {
            left -= records[gone].ciphertext
            plaintext += records[gone].plaintext
            gone += 1
        }
        if gone == records.count {
            records.removeAll(keepingCapacity: true)
        } else {
            records.removeFirst(gone)
            records[0].ciphertext -= left
        }
        pendingPlaintext -= plaintext
        return plaintext
    }

    /// Records of a queue that was given up are nobody's any more: the present one has taken only `count` bytes.
    private func forgetRecords(ofOtherThan count: Int) {
        var index = 0
        while pendingPlaintext > count, index < records.count {
            pendingPlaintext -= records[index].plaintext
            records[index].plaintext = 0
            index += 1
        }
    }

    // MARK: - Closing

    package func closeWrite() {
        sayGoodbye()
        closesWriteWhenFlushed = true
        _ = try? flush()
    }

    package func close(reset: Bool) {
        guard engine != nil else { return }
        if !reset {
            sayGoodbye()
            _ = try? flush()
        }
        inner.close(reset: reset)
        engine = nil
        received?.removeAll()
        releaseReceived()
        outgoing.removeAll()
        records = []
        pendingPlaintext = 0
    }

    private func sayGoodbye() {
        let before = outgoing.byteCount
        engine?.sayGoodbye(into: &outgoing)
        note(ciphertext: outgoing.byteCount - before)
    }
}

// MARK: - Handshake

extension TLSStream {
    /// Goes through the handshake, waiting for the peer and for what decides about it.
    ///
    /// - Throws: ``TransportError`` with the operation `tls`: timed out at `deadline`, cancelled, or why there is no agreement.
    func shakeHands(
        until deadline: Deadline,
        isWantedUntil: () -> Deadline,
        chooseCertificate: (ClientHello?) async throws -> TLSCertificate?,
        complete: (TLSDigest) async throws -> (any Sendable)?
    ) async throws(TransportError) {
        while true {
            switch try stepHandshake() {
            case .isDone:
                let digest = try digest()
                tls = digest.attaching(try await ask(until: deadline) { try await complete(digest) })
                return
            case .wouldBlock:
                try await wait(until: deadline, isWantedUntil: isWantedUntil)
            case .needsCertificate:
                let exchange = try handshakeState()
                let hello = exchange.clientHello
                exchange.certificate = .chosen(try await ask(until: deadline) { try await chooseCertificate(hello) })
            }
        }
    }

    private enum Progress {
        case isDone
        case wouldBlock
        case needsCertificate
    }

    /// Goes on with the handshake as far as what has arrived allows.
    private func stepHandshake() throws(TransportError) -> Progress {
        guard let engine else { throw TransportError(.tls, errno: EBADF) }
        var isDone = false
        while true {
            if !isDone {
                let before = outgoing.byteCount
                let step = engine.handshake(from: received, into: &outgoing)
                note(ciphertext: outgoing.byteCount - before)
                switch step {
                case .done: isDone = true
                case .needsCertificate: return .needsCertificate
                case .failed(let failure): throw fail(TransportError(.tls, failure))
                case .needsInput:
                    guard try flushHandshake() else { return .wouldBlock }
                    guard try receiveHandshake() else { return .wouldBlock }
                    continue
                case .needsOutput, .ended: break
                }
            }
            guard try flushHandshake() else { return .wouldBlock }
            if isDone {
                releaseReceived()
                return .isDone
            }
        }
    }

    private func flushHandshake() throws(TransportError) -> Bool {
        do throws(TransportError) {
            return try flushMessages()
        } catch {
            throw TransportError(.tls, errno: error.errno, tls: TLSFailure(.handshakeFailed, reason: error.description))
        }
    }

    private func receiveHandshake() throws(TransportError) -> Bool {
        do throws(TransportError) {
            return try receive()
        } catch {
            let reason = error.tls == nil ? error.description : "the peer left during the handshake"
            throw TransportError(.tls, errno: error.errno, tls: TLSFailure(.handshakeFailed, reason: reason))
        }
    }

    private func wait(until deadline: Deadline, isWantedUntil: () -> Deadline) async throws(TransportError) {
        guard let parker else { throw TransportError(.tls, errno: 0, detail: "the stream belongs to no task") }
        try parker.check(.tls, deadline: deadline)
        await parker.park(until: min(deadline, isWantedUntil()))
        if parker.isCancelled || isWantedUntil().hasPassed { throw .cancelled(.tls) }
    }

    /// Runs a callback; what it throws ends the handshake.
    private func ask<Answer>(
        until deadline: Deadline,
        _ callback: () async throws -> Answer
    ) async throws(TransportError) -> Answer {
        let answer: Answer
        do {
            answer = try await callback()
        } catch {
            throw fail(.tls(.refused, "\(error)"))
        }
        try parker?.check(.tls, deadline: deadline)
        return answer
    }

    private func handshakeState() throws(TransportError) -> TLSHandshakeState {
        guard let engine else { throw TransportError(.tls, errno: EBADF) }
        return engine.exchange
    }

    private func digest() throws(TransportError) -> TLSDigest {
        guard let engine else { throw TransportError(.tls, errno: EBADF) }
        return engine.makeDigest()
    }
}
