import HTTPCodecs

/// What libFuzzer calls with each input: a request head, perhaps with more behind it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let whole = parse(input, [input.bytes.count])
    for cuts in input.deliveries {
        checkAgreement(whole, parse(input, cuts), areSame)
    }
    checkScannerWidths(input, isRequest: true)
    if case .head(let head, let byteCount) = whole {
        check(byteCount > 0 && byteCount <= input.bytes.count, "consumed more than there was")
        checkRoundTrip(head)
        checkReuse(head, input)
        checkMeaning(head)
        checkStripping(head)
    }
    return 0
}

/// Parses the bytes as they come in: `cuts` are the lengths of the growing prefixes.
private func parse(_ input: FuzzInput, _ cuts: [Int]) -> HeadOutcome<RequestHeader> {
    var parser = HTTP1.HeadParser(limits: fuzzLimits)
    var head = RequestHeader()
    do throws(HTTP1.ParseError) {
        for cut in cuts {
            let byteCount = try input.withPrefix(cut) { (bytes) throws(HTTP1.ParseError) in
                try parser.parseRequest(bytes, into: &head)
            }
            if let byteCount { return .head(head, byteCount: byteCount) }
        }
        return .incomplete
    } catch {
        check((400...505).contains(error.statusCode), "a defect without a status")
        return .refused(error)
    }
}

private func areSame(_ left: RequestHeader, _ right: RequestHeader) -> Bool {
    left.version == right.version && left.methodKind == right.methodKind && serialized(left) == serialized(right)
}

private func serialized(_ head: RequestHeader) -> [UInt8] {
    written(capacity: head.wireByteCount) { head.serialize(into: &$0) }
}

/// Parses what was serialised; it must be a head, and nothing more.
private func reparsed(_ bytes: [UInt8]) -> RequestHeader {
    var limits = fuzzLimits
    // White space that was left out of a field line comes back, a space each; and the checks add fields.
    limits.maximumHeadBytes *= 2
    limits.maximumFieldCount *= 2
    var parser = HTTP1.HeadParser(limits: limits)
    var head = RequestHeader()
    do throws(HTTP1.ParseError) {
        let byteCount = unsafe try parser.parseRequest(bytes.span.bytes, into: &head)
        check(
            byteCount == bytes.count,
            "a serialised head is \(bytes.count) bytes, of which were parsed: \(byteCount ?? 0)"
        )
    } catch {
        check(false, "a serialised head is refused: \(error)")
    }
    return head
}

private func checkRoundTrip(_ head: RequestHeader) {
    let bytes = serialized(head)
    let again = reparsed(bytes)
    check(serialized(again) == bytes, "serialising twice differs")
    check(again.method == head.method && again.target == head.target, "the request line changed")
    check(again.headers == head.headers && again.headers.count == head.headers.count, "the fields changed")
}

/// Memory that held another head must not show through.
private func checkReuse(_ head: RequestHeader, _ input: FuzzInput) {
    var used = reparsed(
        Array("BREW /pot?milk=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\nx-y: z\r\n\r\n".utf8)
    )
    var parser = HTTP1.HeadParser(limits: fuzzLimits)
    let byteCount = unsafe try? parser.parseRequest(input.bytes.span.bytes, into: &used)
    check(byteCount != nil && areSame(used, head), "a head that is used again differs")
    var copy = RequestHeader()
    copy.copy(from: head)
    check(areSame(copy, head), "a copied head differs")
    copy.headers.set(.host, staticBytes: "elsewhere")
    copy.headers.set(.contentLength, integer: 5)
    copy.headers.remove(.connection)
    check(areSame(used, head), "changing a copy changed the original")
    check(
        copy.headers[.host] == "elsewhere" && copy.headers.count(of: .host) == 1,
        "a field that was set is not the only one"
    )
    check(!copy.headers.contains(.connection), "a field that was removed is there")
    _ = reparsed(serialized(copy))
}

/// What is concluded from the head must hold for the head that is sent on.
private func checkMeaning(_ head: RequestHeader) {
    let again = reparsed(serialized(head))
    check(framing(head) == framing(again) || head.version != again.version, "the framing changed")
    check(isValid(head) == isValid(again) || head.version != again.version, "validity changed")
    _ = HTTP1.KeepAlive.isPersistent(request: head)
    _ = head.description
    _ = head.authority
    _ = head.path + (head.query ?? "")
    guard isValid(head), let host = head.headers[.host] else { return }
    check(
        !host.utf8.contains { [0x40, 0x2F, 0x5C, 0x20, 0x3F, 0x23].contains($0) },
        "a valid host holds a delimiter: \(host)"
    )
    check(head.headers.count(of: .host) == 1, "valid with several hosts")
}

private func framing(_ head: RequestHeader) -> HTTP1.BodyFraming? {
    do throws(HTTP1.ParseError) {
        let framing = try HTTP1.requestFraming(head)
        let hasLength = head.headers.contains(.contentLength)
        let hasCoding = head.headers.contains(.transferEncoding)
        check(!(hasLength && hasCoding), "both length and coding were accepted")
        switch framing {
        case .none: check(!hasLength && !hasCoding, "a body was overlooked")
        case .length(let length):
            // The standard library's arithmetic against ours, which once wrapped around.
            check(head.headers[.contentLength].flatMap(UInt64.init) == length, "another length than the field's")
            check(length <= UInt64(Int64.max), "a length of more than 63 bits")
        case .chunked: check(hasCoding, "chunked out of thin air")
        case .untilClose, .tunnel: check(false, "a request cannot be framed by the end of the connection")
        }
        return framing
    } catch {
        return nil
    }
}

private func isValid(_ head: RequestHeader) -> Bool {
    do throws(HTTP1.ParseError) {
        try HTTP1.validate(head)
        return true
    } catch {
        return false
    }
}

private func checkStripping(_ head: RequestHeader) {
    var fields = head.headers
    do throws(HTTP1.ParseError) {
        try HopByHop.strip(request: &fields, keepsTrailersTE: true)
    } catch {
        return
    }
    let once = fields
    for name in [HeaderName.connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings] {
        check(!fields.contains(name), "a hop-by-hop field is left: \(name)")
    }
    check(fields.count(of: .host) == head.headers.count(of: .host), "stripping took the host")
    check(
        (try? HopByHop.strip(request: &fields, keepsTrailersTE: true)) != nil && fields == once,
        "stripping twice differs"
    )
    var stripped = head
    stripped.headers = fields
    check(reparsed(serialized(stripped)).headers == fields, "a stripped head does not survive serialising")
}
