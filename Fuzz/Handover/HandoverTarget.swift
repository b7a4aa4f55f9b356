/// What libFuzzer calls with each input: what one process says to the other when it hands its sockets over.
///
/// The files under test import nothing: they are compiled with this one (`sources`).
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHandover(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    checkMessage(input.bytes)
    // A list of sockets by itself, so that it is reached without a header: how many, then the list.
    if let announced = input.bytes.first { checkManifest(Array(input.bytes.dropFirst()), count: Int(announced)) }
    checkReason(input.bytes)
    return 0
}

/// A message as it comes: a header, then what it announces.
private func checkMessage(_ bytes: [UInt8]) {
    let start = Array(bytes.prefix(HandoverFrame.headerLength))
    guard let header = try? HandoverFrame.parseHeader(start) else { return }
    check(start.count == HandoverFrame.headerLength, "half a header was understood")
    check(header.bodyLength <= HandoverFrame.maximumBodyLength, "a body of \(header.bodyLength) bytes was let through")
    check(header.descriptorCount <= HandoverFrame.maximumDescriptorCount, "too many descriptors were let through")
    let body = Array(bytes.dropFirst(start.count).prefix(header.bodyLength))
    if body.count == header.bodyLength {
        let again = HandoverFrame(header.kind, body: body, descriptorCount: header.descriptorCount)
        check(again.encoded == start + body, "a message does not come back as it was")
    }
    if header.kind == .sockets { checkManifest(body, count: header.descriptorCount) }
}

private func checkManifest(_ body: [UInt8], count: Int) {
    guard let manifest = try? HandoverManifest(parsing: body, count: count) else { return }
    check(manifest.entries.count == count, "\(manifest.entries.count) sockets were understood, \(count) announced")
    for text in manifest.entries.flatMap({ [$0.service, $0.requested, $0.address] }) {
        check(text.utf8.count <= HandoverManifest.maximumTextLength, "a text is too long")
        check(!text.utf8.contains(0), "a text has a NUL")
    }
    check((try? manifest.encode()) == body, "a list of sockets does not come back as it was")
    for length in 0..<body.count {
        let isRefused = (try? HandoverManifest(parsing: Array(body.prefix(length)), count: count)) == nil
        check(isRefused, "a list that was cut after \(length) bytes was understood")
    }
    check((try? HandoverManifest(parsing: body, count: count + 1)) == nil, "a list of one socket less is read")
    check((try? HandoverManifest(parsing: body + [0], count: count)) == nil, "a list with more behind it is read")
}

/// A process that gives up is understood, whatever its reason is.
private func checkReason(_ bytes: [UInt8]) {
    let frame = HandoverFrame.failed(String(decoding: bytes, as: UTF8.self))
    let header = try? HandoverFrame.parseHeader(Array(frame.encoded.prefix(HandoverFrame.headerLength)))
    check(header?.kind == .failed && header?.bodyLength == frame.body.count, "a reason is not understood")
}
