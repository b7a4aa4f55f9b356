internal import CNGHTTP2

// SAFETY: as said of `Session`. The lists point into the head that is lent for the call, and nghttp2 copies what they point to before it
// returns; each has room for the head's fields and five more.
extension HTTP2.Session {
    /// Opens a stream with a request; for a client.
    ///
    /// `Host`, or the authority of an absolute target, becomes `:authority`; fields that concern an HTTP/1 connection are left out. A
    /// request to upgrade to a WebSocket becomes an extended CONNECT (RFC 8441).
    ///
    /// - Parameters:
    ///   - head: The request.
    ///   - scheme: What becomes `:scheme`.
    ///   - endStream: Whether there is no body; else ``endBody(_:trailers:)`` ends it.
    /// - Returns: The new stream. It waits its turn if the peer allows no more at the time.
    /// - Throws: `goingAway`, `upgradeNotSupported`, `invalidHead`.
    public func submitRequest(
        _ head: borrowing RequestHeader,
        scheme: RequestHeader.Scheme,
        endStream: Bool
    ) throws(HTTP2.SubmissionError) -> HTTP2.StreamID {
        guard acceptsRequests else { throw .goingAway }
        let isUpgrade = head.isWebSocketUpgrade
        if isUpgrade, !peerAllowsConnectProtocol { throw .upgradeNotSupported }
        guard let target = unsafe HTTP2.Target(head) else { throw .invalidHead }
        let id = unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: head.headers.count + 6) { buffer in
            var list = unsafe HTTP2.FieldList(buffer)
            return unsafe head.withMethod { method in
                if isUpgrade {
                    unsafe list.append(":method", "CONNECT")
                    unsafe list.append(":protocol", "websocket")
                } else {
                    unsafe list.append(":method", method)
                }
                unsafe target.append(to: &list, scheme: scheme)
                unsafe list.append(fieldsOf: head.headers, except: HTTP2.inPseudoFields)
                let hasBody = isUpgrade || !endStream
                var provider = unsafe HTTP2.bodyProvider
                let count = unsafe list.count
                return unsafe hasBody
                    ? nghttp2_submit_request(handle, nil, list.start, count, &provider, nil)
                    : nghttp2_submit_request(handle, nil, list.start, count, nil, nil)
            }
        }
        guard id > 0 else { throw .goingAway }
        var state = HTTP2.StreamState(id: id)
        if isUpgrade { state.flags.insert(.isExtendedConnect) }
        if head.methodKind == .connect { state.flags.insert(.isConnect) }
        streams.insert(state, for: id)
        return id
    }

    /// Answers a request; for a server.
    ///
    /// To an extended CONNECT, 101 becomes 200.
    ///
    /// - Parameters:
    ///   - stream: The stream of the request.
    ///   - head: The final response, or 101.
    ///   - endStream: Whether there is no body; else ``endBody(_:trailers:)`` ends it.
    /// - Throws: `streamGone`, `alreadyAnswered`, `invalidHead`.
    public func submitResponse(
        _ stream: HTTP2.StreamID,
        _ head: borrowing ResponseHeader,
        endStream: Bool
    ) throws(HTTP2.SubmissionError) {
        guard let index = streams.index(of: stream) else { throw .streamGone }
        let flags = streams[index].flags
        if flags.contains(.hasFinalHead) { throw .alreadyAnswered }
        var statusCode = head.statusCode
        if statusCode == 101, flags.contains(.isExtendedConnect) { statusCode = 200 }
        guard (200...999).contains(statusCode) else { throw .invalidHead }
        let opensTunnel = statusCode / 100 == 2 && !flags.isDisjoint(with: [.isConnect, .isExtendedConnect])
        streams[index].flags.insert(.hasFinalHead)
        let hasNoLength = opensTunnel || statusCode == 204
        let result = unsafe withList(statusCode, head.headers, hasNoLength: hasNoLength) { list in
            var provider = unsafe HTTP2.bodyProvider
            let count = unsafe list.count
            return unsafe endStream
                ? nghttp2_submit_response(handle, stream, list.start, count, nil)
                : nghttp2_submit_response(handle, stream, list.start, count, &provider)
        }
        guard result == 0 else { throw .streamGone }
    }

    /// Sends an informational response, such as 103; for a server.
    ///
    /// - Parameters:
    ///   - stream: The stream of the request.
    ///   - head: A response of status 1xx, but not 101, which HTTP/2 does not have.
    /// - Throws: `streamGone`, `alreadyAnswered`, `invalidHead`.
    public func submitInformational(
        _ stream: HTTP2.StreamID,
        _ head: borrowing ResponseHeader
    ) throws(HTTP2.SubmissionError) {
        guard let index = streams.index(of: stream) else { throw .streamGone }
        if streams[index].flags.contains(.hasFinalHead) { throw .alreadyAnswered }
        guard (100...199).contains(head.statusCode), head.statusCode != 101 else { throw .invalidHead }
        let result = unsafe withList(head.statusCode, head.headers, hasNoLength: true) { list in
            let count = unsafe list.count
            let none = UInt8(NGHTTP2_FLAG_NONE.rawValue)
            return unsafe nghttp2_submit_headers(handle, none, stream, nil, list.start, count, nil)
        }
        guard result == 0 else { throw .streamGone }
    }

    private func withList(
        _ statusCode: Int,
        _ headers: borrowing HeaderMap,
        hasNoLength: Bool,
        _ body: (borrowing HTTP2.FieldList) -> Int32
    ) -> Int32 {
        unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: headers.count + 6) { buffer in
            unsafe withDecimal(statusCode) { digits in
                var list = unsafe HTTP2.FieldList(buffer)
                unsafe list.append(":status", digits)
                unsafe list.append(fieldsOf: headers, except: hasNoLength ? HTTP2.contentLength : HeaderNameSet())
                return unsafe body(list)
            }
        }
    }
}

extension HTTP2 {
    /// What nghttp2 asks for a body.
    static var bodyProvider: nghttp2_data_provider {
        // SAFETY: as said of the callbacks.
        let source = unsafe nghttp2_data_source()
        return unsafe nghttp2_data_provider(source: source) { _, id, _, length, flags, _, user in
            guard let user = unsafe user, let flags = unsafe flags else {
                return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
            }
            return unsafe withSession(user) { unsafe $0.bodyCount(id, length, flags) }
        }
    }
}
