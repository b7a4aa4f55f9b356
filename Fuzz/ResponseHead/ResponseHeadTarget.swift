import HTTPCodecs

/// What libFuzzer calls with each input: a response head, perhaps with more behind it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResponseHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let whole = parse(input, [input.bytes.count])
    for cuts in input.deliveries {
        checkAgreement(whole, parse(input, cuts), areSame)
    }
    checkScannerWidths(input, isRequest: false)
    if case .head(let head, let byteCount) = whole {
        check(byteCount > 0 && byteCount <= input.bytes.count, "consumed more than there was")
        check((100...999).contains(head.statusCode), "a status of \(head.statusCode)")
        checkRoundTrip(head)
        checkReuse(head, input)
        checkMeaning(head)
        checkStripping(head)
    }
    return 0
}

/// Parses the bytes as they come in: `cuts` are the lengths of the growing prefixes.
private func parse(_ input: FuzzInput, _ cuts: [Int]) -> HeadOutcome<ResponseHeader> {
    var parser = HTTP1.HeadParser(limits: fuzzLimits)
    var head = ResponseHeader(statusCode: 200)
    do throws(HTTP1.ParseError) {
        for cut in cuts {
            let byteCount = try input.withPrefix(cut) { (bytes) throws(HTTP1.ParseError) in
                try parser.parseResponse(bytes, into: &head)
            }
            if let byteCount { return .head(head, byteCount: byteCount) }
        }
        return .incomplete
    } catch {
        return .refused(error)
    }
}

private func areSame(_ left: ResponseHeader, _ right: ResponseHeader) -> Bool {
    left.version == right.version && serialized(left) == serialized(right)
}

private func serialized(_ head: ResponseHeader) -> [UInt8] {
    written(capacity: head.wireByteCount) { head.serialize(into: &$0) }
}

/// Parses what was serialised; it must be a head, and nothing more.
private func reparsed(_ bytes: [UInt8]) -> ResponseHeader {
    var limits = fuzzLimits
    // White space that was left out of a field line comes back, a space each; and the checks add fields.
    limits.maximumHeadBytes *= 2
    limits.maximumFieldCount *= 2
    var parser = HTTP1.HeadParser(limits: limits)
    var head = ResponseHeader(statusCode: 200)
    do throws(HTTP1.ParseError) {
        let byteCount = unsafe try parser.parseResponse(bytes.span.bytes, into: &head)
        check(
            byteCount == bytes.count,
            "a serialised head is \(bytes.count) bytes, of which were parsed: \(byteCount ?? 0)"
        )
    } catch {
        check(false, "a serialised head is refused: \(error)")
    }
    return head
}

private func checkRoundTrip(_ head: ResponseHeader) {
    let bytes = serialized(head)
    let again = reparsed(bytes)
    check(serialized(again) == bytes, "serialising twice differs")
    check(again.statusCode == head.statusCode && again.reason == head.reason, "the status line changed")
    check(again.headers == head.headers && again.headers.count == head.headers.count, "the fields changed")
}

/// Memory that held another head must not show through.
private func checkReuse(_ head: ResponseHeader, _ input: FuzzInput) {
    var used = reparsed(Array("HTTP/1.1 418 I'm a teapot\r\nServer: a\r\nConnection: close\r\nx-y: z\r\n\r\n".utf8))
    var parser = HTTP1.HeadParser(limits: fuzzLimits)
    let byteCount = unsafe try? parser.parseResponse(input.bytes.span.bytes, into: &used)
    check(byteCount != nil && areSame(used, head), "a head that is used again differs")
    var copy = ResponseHeader(statusCode: 500)
    copy.copy(from: head)
    check(areSame(copy, head), "a copied head differs")
    copy.headers.set(.server, staticBytes: "another")
    copy.headers.remove(.contentLength)
    check(areSame(used, head), "changing a copy changed the original")
    check(
        copy.headers[.server] == "another" && copy.headers.count(of: .server) == 1,
        "a field that was set is not the only one"
    )
    check(!copy.headers.contains(.contentLength), "a field that was removed is there")
    _ = reparsed(serialized(copy))
}

/// What is concluded from the head must hold for the head that is sent on.
private func checkMeaning(_ head: ResponseHeader) {
    let again = reparsed(serialized(head))
    for method in [RequestHeader.MethodKind.get, .head, .connect, .other] {
        let found = framing(head, method)
        check(found == framing(again, method) || head.version != again.version, "the framing changed")
        if method == .head, let found, !(200..<300).contains(head.statusCode) {
            check(found == .none || head.statusCode == 101, "a body behind the answer to HEAD")
        }
    }
    _ = HTTP1.KeepAlive.isPersistent(response: head)
    if let seconds = HTTP1.KeepAlive.timeout(of: head) { check(seconds >= 0, "a timeout of \(seconds)") }
    _ = head.description
}

private func framing(_ head: ResponseHeader, _ method: RequestHeader.MethodKind) -> HTTP1.BodyFraming? {
    do throws(HTTP1.ParseError) {
        let framing = try HTTP1.responseFraming(head, requestMethod: method, requestAsksForUpgrade: true)
        let hasLength = head.headers.contains(.contentLength)
        let hasCoding = head.headers.contains(.transferEncoding)
        switch framing {
        case .length(let length):
            check(head.headers[.contentLength].flatMap(UInt64.init) == length, "another length than the field's")
            check(!hasCoding, "a length against the fields")
        case .chunked: check(hasCoding && !hasLength, "chunked against the fields")
        case .untilClose: check(!hasLength && !hasCoding, "fields that frame the body were overlooked")
        case .tunnel: check(head.statusCode == 101 || method == .connect, "a tunnel that nobody asked for")
        case .none: break
        }
        return framing
    } catch {
        return nil
    }
}

private func checkStripping(_ head: ResponseHeader) {
    var fields = head.headers
    HopByHop.strip(response: &fields)
    let once = fields
    for name in [HeaderName.connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade] {
        check(!fields.contains(name), "a hop-by-hop field is left: \(name)")
    }
    HopByHop.strip(response: &fields)
    check(fields == once, "stripping twice differs")
    var stripped = head
    stripped.headers = fields
    check(reparsed(serialized(stripped)).headers == fields, "a stripped head does not survive serialising")
}
