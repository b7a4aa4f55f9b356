internal import CHTTPScanner

/// Fields that concern one connection and must not be passed on (RFC 9110 7.6.1).
public enum HopByHop {
    /// Connection may name so many fields; a request with more is refused.
    private static let maximumConnectionOptions = 9

    /// Removes them from a request.
    ///
    /// Allocates nothing unless Connection names a field that the framework does not know.
    ///
    /// - Parameters:
    ///   - headers: the request's fields.
    ///   - keepsTrailersTE: leaves `TE: trailers` if the request said that.
    /// - Throws: when Connection names ten fields or more, or one that must reach the next hop, such as Host: a way to
    ///   make a proxy drop what its upstream decides by.
    public static func strip(request headers: inout HeaderMap, keepsTrailersTE: Bool = false) throws(HTTP1.ParseError) {
        guard headers.containsAny(of: hopByHopInRequests) else { return }
        // Connection must name TE, which would be gone afterwards.
        let wantsTrailers = keepsTrailersTE && headers.mayContain(.te) && headers.hasToken("trailers", in: .te)
        if headers.mayContain(.connection) {
            let nominations = Nominations(in: headers)
            if nominations.count > maximumConnectionOptions { throw .tooManyConnectionOptions }
            if nominations.hasProtected { throw .protectedConnectionOption }
            nominations.remove(from: &headers)
        }
        headers.removeAll(in: hopByHopInRequests)
        if wantsTrailers { headers.set(.te, staticBytes: "trailers") }
    }

    /// Removes them from a response.
    ///
    /// What Connection names is removed, unless the message cannot do without it.
    public static func strip(response headers: inout HeaderMap) {
        guard headers.containsAny(of: hopByHop) else { return }
        if headers.mayContain(.connection), !headers.hasOnly("keep-alive", in: .connection) {
            Nominations(in: headers).remove(from: &headers)
        }
        headers.removeAll(in: hopByHop)
    }

    private static let hopByHopNames: [HeaderName] = [
        .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade, .http2Settings,
    ]
    private static let hopByHop = HeaderNameSet(hopByHopNames)
    /// Proxy-Authenticate in a response is for the client of this proxy to see; in a request it has no meaning.
    private static let hopByHopInRequests = HeaderNameSet(hopByHopNames + [.proxyAuthorization, .proxyAuthenticate])
}

/// What the Connection fields name.
struct Nominations {
    /// How many options there are; empty elements of the list do not count (RFC 9110 5.6.1).
    private(set) var count = 0
    /// Whether a field is among them that must reach the next hop.
    private(set) var hasProtected = false
    /// The names that the framework knows.
    private var known = HeaderNameSet()
    /// The other names, as many of them as a head has fields.
    private var others: [String] = []
    /// More only cost time: each is looked for in all fields.
    private static let maximumOthers = 128

    init(in headers: borrowing HeaderMap) {
        headers.forEachValue(.connection) { value in
            value.forEachListElement { option in
                if option.byteCount > 0 { add(option) }
            }
        }
    }

    private mutating func add(_ option: RawSpan) {
        count += 1
        if option.equalsIgnoringCase("close") || option.equalsIgnoringCase("keep-alive") { return }
        if Self.isProtected(option) {
            hasProtected = true
            return
        }
        let id = option.wellKnownID
        if id != 0 {
            known.insert(id)
        } else if others.count < Self.maximumOthers {
            others.append(option.utf8String)
        }
    }

    /// Whether the field of this name and number is among them, and not a protected one.
    func names(_ name: RawSpan, id: UInt8) -> Bool {
        if id != 0 { return known.contains(id) }
        return others.contains { other in
            // SAFETY: the array outlives the comparison.
            unsafe name.equalsIgnoringCase(Array(other.utf8).span.bytes)
        }
    }

    /// Removes the named fields, but not the protected ones.
    func remove(from headers: inout HeaderMap) {
        if headers.containsAny(of: known) { headers.removeAll(in: known) }
        // SAFETY: the array outlives the call and is not the map's memory.
        for name in others { unsafe headers.remove(named: Array(name.utf8).span.bytes) }
    }

    /// Without these a message means something else, or what a proxy before this one vouched for is lost.
    private static func isProtected(_ option: RawSpan) -> Bool {
        option[0] == 0x3A || option.hasPrefixIgnoringCase("x-forwarded-") || option.equalsIgnoringCase("host")
            || option.equalsIgnoringCase("forwarded") || option.equalsIgnoringCase("via")
            || option.equalsIgnoringCase("content-length") || option.equalsIgnoringCase("content-type")
            || option.equalsIgnoringCase("authorization") || option.equalsIgnoringCase("cookie")
            || option.equalsIgnoringCase("date")
    }
}

extension RawSpan {
    /// The scanner's number of the field with this name; 0 when it has none.
    fileprivate var wellKnownID: UInt8 {
        // SAFETY: the scanner reads `count` bytes from `base`, which are there while the closure runs.
        unsafe withUnsafeBytes { bytes in
            guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
            return unsafe chs_name_id(base, bytes.count)
        }
    }
}
