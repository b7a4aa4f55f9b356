public import HTTPTypes

// Off the hot path: each field becomes an object of its own.

extension RequestHeader {
    /// Makes a head of a swift-http-types request: `authority` becomes `Host`, or the target of CONNECT.
    ///
    /// - Parameter request: The request; it must have a path, or an authority with CONNECT.
    /// - Throws: ``HeaderError`` when it has none, or one that does not go on a request line.
    public init(_ request: HTTPRequest) throws(HeaderError) {
        let target = request.method == .connect ? request.authority : request.path
        try self.init(method: request.method, target: target ?? "")
        if let authority = request.authority { try headers.set(.host, authority) }
        try headers.append(contentsOf: request.headerFields)
    }
}

extension ResponseHeader {
    /// Makes a head of a swift-http-types response.
    ///
    /// - Parameter response: The response.
    /// - Throws: ``HeaderError`` when a field is too large.
    public init(_ response: HTTPResponse) throws(HeaderError) {
        self.init(status: response.status)
        try headers.append(contentsOf: response.headerFields)
    }
}

extension HTTPRequest {
    /// Makes a swift-http-types request of a head: `Host`, or the authority of the target, becomes `authority`.
    ///
    /// - Parameters:
    ///   - header: The head.
    ///   - scheme: How the request came, `http` or `https`; the head does not say.
    public init(_ header: RequestHeader, scheme: String) {
        var fields = HTTPFields(header.headers)
        if let host = HTTPField.Name("Host") { fields[values: host] = [] }
        let isConnect = header.methodKind == .connect
        self.init(
            method: header.method,
            scheme: isConnect ? nil : scheme,
            authority: header.authority,
            path: isConnect ? nil : header.target,
            headerFields: fields
        )
    }
}

extension HTTPResponse {
    /// Makes a swift-http-types response of a head.
    ///
    /// - Parameter header: The head.
    public init(_ header: ResponseHeader) {
        self.init(status: header.status, headerFields: HTTPFields(header.headers))
    }
}

extension HTTPFields {
    /// Makes swift-http-types fields of a map, in its order.
    ///
    /// - Parameter headers: The map.
    public init(_ headers: HeaderMap) {
        self.init()
        reserveCapacity(headers.count)
        headers.forEachField { name, value in
            guard let name = HTTPField.Name(name.utf8String) else { return }
            // SAFETY: the field copies the bytes before the closure returns.
            unsafe value.withUnsafeBytes { unsafe append(HTTPField(name: name, value: $0)) }
        }
    }
}

extension HeaderMap {
    fileprivate mutating func append(contentsOf fields: HTTPFields) throws(HeaderError) {
        let hasHost = contains(.host)
        for field in fields {
            let name = HeaderName(field.name)
            if hasHost, name == .host { continue }
            // SAFETY: the map copies the bytes before the closure returns; they lie in the field, not in the map.
            let error = unsafe field.withUnsafeBytesOfValue {
                unsafe write(name, bytes: UnsafeRawBufferPointer($0), replacing: false)
            }
            if let error { throw error }
        }
    }
}
