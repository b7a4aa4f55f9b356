internal import CNGHTTP2

extension HTTP2 {
    /// Gathers what goes into a HEADERS frame, as pointers to where it is; nghttp2 copies it, names in lower case.
    @unsafe struct FieldList {
        // SAFETY: there is room for `capacity` entries, which whoever makes a list computes from the head; entries point into the head and
        // into literals, and are used only while the head is lent.
        private let base: UnsafeMutablePointer<nghttp2_nv>
        private let capacity: Int
        private(set) var count = 0

        init(_ buffer: UnsafeMutableBufferPointer<nghttp2_nv>) {
            guard let base = buffer.baseAddress else { preconditionFailure("no room for fields") }
            unsafe self.base = unsafe base
            unsafe capacity = buffer.count
        }

        var start: UnsafeMutablePointer<nghttp2_nv> { unsafe base }

        mutating func append(
            _ name: UnsafeRawBufferPointer,
            _ value: UnsafeRawBufferPointer,
            isSensitive: Bool = false
        ) {
            precondition(unsafe count < capacity)
            unsafe base[count] = nghttp2_nv(
                name: UnsafeMutablePointer(mutating: name.baseAddress?.assumingMemoryBound(to: UInt8.self)),
                value: UnsafeMutablePointer(mutating: value.baseAddress?.assumingMemoryBound(to: UInt8.self)),
                namelen: name.count,
                valuelen: value.count,
                flags: UInt8(isSensitive ? NGHTTP2_NV_FLAG_NO_INDEX.rawValue : NGHTTP2_NV_FLAG_NONE.rawValue)
            )
            unsafe count += 1
        }

        mutating func append(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
            unsafe append(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
        }

        mutating func append(_ name: StaticString, _ value: StaticString) {
            unsafe append(name, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
        }

        /// Adds the fields that may go to the next hop (RFC 9113 8.2.2).
        ///
        /// - Parameters:
        ///   - headers: The fields; they must stay while the list is used.
        ///   - left: Fields to leave out besides.
        mutating func append(fieldsOf headers: borrowing HeaderMap, except left: HeaderNameSet = HeaderNameSet()) {
            let nominations = headers.mayContain(.connection) ? Nominations(in: headers) : nil
            let wantsTrailers = headers.mayContain(.te) && headers.hasToken("trailers", in: .te)
            unsafe headers.forEachRaw { field in
                let id = unsafe field.id
                if id != 0, connectionSpecific.contains(id) || left.contains(id) { return }
                if let nominations, unsafe nominations.names(RawSpan(_unsafeBytes: field.name), id: id) { return }
                // nghttp2 knows by itself of Authorization and of short cookies.
                let isSensitive = unsafe field.isSensitive || id == HeaderName.proxyAuthorization.id
                unsafe append(field.name, field.value, isSensitive: isSensitive)
            }
            if wantsTrailers { unsafe append("te", "trailers") }
        }

        /// Adds the fields that may stand behind a body.
        mutating func append(trailers: borrowing HeaderMap) {
            unsafe trailers.forEachRaw { field in
                let name = unsafe RawSpan(_unsafeBytes: field.name)
                if unsafe HTTP1.TrailerSection.isForbidden(name, id: field.id) { return }
                unsafe append(field.name, field.value, isSensitive: field.isSensitive)
            }
        }
    }

    /// What HTTP/2 has no use for; TE is added again when it may be.
    private static let connectionSpecific = HeaderNameSet([
        .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings, .te,
    ])

    /// The fields of a request that go into pseudo fields.
    static let inPseudoFields = HeaderNameSet([.host])
    /// What a message without content must not have (RFC 9110 8.6).
    static let contentLength = HeaderNameSet([.contentLength])
}
