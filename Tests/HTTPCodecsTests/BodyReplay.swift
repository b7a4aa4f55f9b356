import HTTPCodecs

/// What became of a body: all that must not depend on how its bytes came in.
struct BodyOutcome: Equatable, CustomStringConvertible {
    var data = ""
    var trailers: [String] = []
    /// What was not consumed: the next message.
    var rest = ""
    var isComplete = false
    var error: HTTP1.ParseError?

    var description: String {
        "data \(data.debugDescription), trailers \(trailers), rest \(rest.debugDescription), "
            + "\(isComplete ? "complete" : "incomplete"), error \(error?.description ?? "none")"
    }
}

/// Feeds a body to a decoder as a connection would: in pieces, each behind what the last step left.
func replay(
    _ pieces: [ArraySlice<UInt8>],
    framing: HTTP1.BodyFraming,
    limits: HTTP1.Limits = HTTP1.Limits()
) -> BodyOutcome {
    var decoder = HTTP1.BodyDecoder(framing: framing, limits: limits)
    var outcome = BodyOutcome()
    var data: [UInt8] = []
    var pending: [UInt8] = []
    do throws(HTTP1.ParseError) {
        for piece in pieces {
            pending += piece
            while let step = try advance(&decoder, over: &pending, into: &data) {
                if case .end = step { break }
            }
        }
    } catch {
        outcome.error = error
    }
    outcome.data = text(data)
    outcome.isComplete = decoder.isComplete
    outcome.trailers = (decoder.trailers ?? HeaderMap()).map { "\($0.name): \($0.value)" }
    if outcome.isComplete { outcome.rest = text(pending) }
    return outcome
}

/// One step; nil when the decoder wants more bytes.
private func advance(
    _ decoder: inout HTTP1.BodyDecoder,
    over pending: inout [UInt8],
    into data: inout [UInt8]
) throws(HTTP1.ParseError) -> HTTP1.BodyStep? {
    let step = unsafe try decoder.next(pending.span.bytes)
    switch step {
    case .needMore(let consumed):
        pending.removeFirst(consumed)
        return nil
    case .data(let skip, let count):
        precondition(count > 0, "a step with data has some")
        data += pending[skip..<skip + count]
        pending.removeFirst(skip + count)
    case .end(let consumed):
        pending.removeFirst(consumed)
    }
    return step
}

/// Every way of cutting the bytes in two, the whole, and one byte at a time.
func splits(of bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
    let halves = bytes.indices.map { [bytes[..<$0], bytes[$0...]] }
    return halves + [[bytes[...]], bytes.indices.map { bytes[$0...$0] }]
}

/// The bytes as text in which each byte is one scalar, so that none is lost.
func text(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// The reverse of `text`: one byte for each scalar.
func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8($0.value) }
}
