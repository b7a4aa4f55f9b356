import HTTPCodecs

/// What libFuzzer calls with each input: a chunked body, perhaps with more behind it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunkedDecoder(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let whole = decode(input, [input.bytes.count])
    for cuts in input.deliveries {
        let other = decode(input, cuts)
        check(other == whole, "delivered at once: \(whole); in parts: \(other)")
    }
    check(whole.data.count <= input.bytes.count, "more data than bytes")
    if case .complete(let byteCount) = whole.end {
        check(byteCount >= 5 + whole.data.count, "a body shorter than its framing")
        checkRoundTrip(whole, seed: input.seed)
    }
    checkOtherFramings(input)
    return 0
}

/// What a decoder made of some bytes.
private struct Decoded: Equatable {
    enum End: Equatable {
        case complete(byteCount: Int)
        case incomplete
        case refused(HTTP1.ParseError)
    }

    var data: [UInt8] = []
    var trailers: HeaderMap?
    var end = End.incomplete
}

/// Decodes the bytes as they come in: `cuts` are the lengths of the growing prefixes.
private func decode(
    _ input: FuzzInput,
    _ cuts: [Int],
    as framing: HTTP1.BodyFraming = .chunked,
    limits: HTTP1.Limits = fuzzLimits
) -> Decoded {
    var decoder = HTTP1.BodyDecoder(framing: framing, limits: limits)
    var result = Decoded()
    var at = 0
    do throws(HTTP1.ParseError) {
        for cut in cuts {
            while true {
                // A copy of just what has come and was not dropped: the address sanitizer then sees reads beyond it.
                let rest = Array(input.bytes[at..<cut])
                switch unsafe try decoder.next(rest.span.bytes) {
                case .needMore(let consumed):
                    check(consumed >= 0 && consumed <= rest.count, "dropped more than there was")
                    at += consumed
                case .data(let skip, let count):
                    check(skip >= 0 && count > 0 && skip + count <= rest.count, "data where there is none")
                    result.data += rest[skip..<(skip + count)]
                    at += skip + count
                    continue
                case .end(let consumed):
                    check(consumed >= 0 && consumed <= rest.count, "dropped more than there was")
                    check(decoder.isComplete, "the end before the body is complete")
                    at += consumed
                    result.trailers = decoder.trailers
                    result.end = .complete(byteCount: at)
                    return result
                }
                break
            }
        }
        check(!decoder.isComplete || framing != .chunked, "complete without an end")
    } catch {
        result.end = .refused(error)
    }
    return result
}

/// Encodes the data anew, in other chunks: it must decode to the same.
private func checkRoundTrip(_ whole: Decoded, seed: UInt64) {
    var random = SplitMix(state: seed)
    var wire: [UInt8] = []
    var at = 0
    while at < whole.data.count {
        let count = min(1 + Int(random.next() % 40), whole.data.count - at)
        wire += written(capacity: HTTP1.ChunkedEncoder.maximumChunkHeadByteCount) {
            HTTP1.ChunkedEncoder.chunkHead(count: count, into: &$0)
        }
        wire += whole.data[at..<(at + count)] + [0x0D, 0x0A]
        at += count
    }
    wire += written(capacity: HTTP1.ChunkedEncoder.lastChunkByteCount(trailers: whole.trailers)) {
        HTTP1.ChunkedEncoder.lastChunk(trailers: whole.trailers, into: &$0)
    }
    var limits = fuzzLimits
    // White space that was left out of a trailer comes back, a space each.
    limits.maximumTrailerBytes *= 2
    let again = decode(FuzzInput(wire), [wire.count], limits: limits)
    check(
        again.data == whole.data && again.end == .complete(byteCount: wire.count),
        "encoding and decoding differ: \(again)"
    )
    check(again.trailers == whole.trailers, "the trailers changed")
}

/// The framings that need no grammar: the data are the bytes.
private func checkOtherFramings(_ input: FuzzInput) {
    let length = input.bytes.count * 2 / 3
    for cuts in input.deliveries {
        let byLength = decode(input, cuts, as: .length(UInt64(length)))
        check(byLength.data == Array(input.bytes[..<length]), "a body by length has other bytes")
        check(decode(input, cuts, as: .untilClose).data == input.bytes, "a body until close has other bytes")
        check(decode(input, cuts, as: .none).data.isEmpty, "no body has bytes")
    }
}
