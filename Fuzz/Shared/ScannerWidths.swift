import CHTTPScanner

/// Checks that the scanner finds the same in these bytes with wide instructions as without.
func checkScannerWidths(_ input: FuzzInput, isRequest: Bool) {
    let plain = scan(input, isRequest: isRequest, highest: CHS_PORTABLE)
    for highest in [CHS_SSE42, CHS_AVX2] {
        check(
            scan(input, isRequest: isRequest, highest: highest) == plain,
            "the scanner of level \(highest.rawValue) differs"
        )
    }
}

/// The result, and when it is a head, all that was found.
private func scan(_ input: FuzzInput, isRequest: Bool, highest: chs_level) -> [UInt64] {
    let scanner = chs_scanner_up_to(highest)
    var state = chs_state()
    var fields = [chs_field](repeating: chs_field(), count: 24)
    // SAFETY: the scanner reads `count` bytes and writes at most 24 entries.
    let result = unsafe input.bytes.withUnsafeBufferPointer { bytes in
        unsafe fields.withUnsafeMutableBufferPointer { table in
            let scan = unsafe isRequest ? scanner.request : scanner.response
            return unsafe scan?(bytes.baseAddress, bytes.count, &state, table.baseAddress, table.count) ?? 0
        }
    }
    guard result > 0 else { return [UInt64(bitPattern: Int64(result))] }
    let words = [
        UInt32(state.field_count), state.method_length, state.target_start, state.target_length, state.status,
        state.reason_start,
        state.reason_length, state.minor_version,
    ]
    var found = [UInt64(result), state.present.0, state.present.1] + words.map(UInt64.init)
    for field in fields.prefix(Int(state.field_count)) {
        found += [UInt64(field.name_start), UInt64(field.name_length), UInt64(field.id), UInt64(field.flags)]
        found += [UInt64(field.value_start), UInt64(field.value_length)]
    }
    return found
}
