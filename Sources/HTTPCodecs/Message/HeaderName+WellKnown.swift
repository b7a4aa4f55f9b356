extension HeaderName {
    // The numbers are those of the scanner's table, chs_names.h; a test holds the two together.

    /// `Accept`.
    public static var accept: HeaderName { HeaderName(wellKnown: 1, "Accept") }
    /// `Accept-Charset`.
    public static var acceptCharset: HeaderName { HeaderName(wellKnown: 2, "Accept-Charset") }
    /// `Accept-Encoding`.
    public static var acceptEncoding: HeaderName { HeaderName(wellKnown: 3, "Accept-Encoding") }
    /// `Accept-Language`.
    public static var acceptLanguage: HeaderName { HeaderName(wellKnown: 4, "Accept-Language") }
    /// `Accept-Ranges`.
    public static var acceptRanges: HeaderName { HeaderName(wellKnown: 5, "Accept-Ranges") }
    /// `Access-Control-Allow-Credentials`.
    public static var accessControlAllowCredentials: HeaderName {
        HeaderName(wellKnown: 6, "Access-Control-Allow-Credentials")
    }
    /// `Access-Control-Allow-Headers`.
    public static var accessControlAllowHeaders: HeaderName { HeaderName(wellKnown: 7, "Access-Control-Allow-Headers") }
    /// `Access-Control-Allow-Methods`.
    public static var accessControlAllowMethods: HeaderName { HeaderName(wellKnown: 8, "Access-Control-Allow-Methods") }
    /// `Access-Control-Allow-Origin`.
    public static var accessControlAllowOrigin: HeaderName { HeaderName(wellKnown: 9, "Access-Control-Allow-Origin") }
    /// `Access-Control-Expose-Headers`.
    public static var accessControlExposeHeaders: HeaderName {
        HeaderName(wellKnown: 10, "Access-Control-Expose-Headers")
    }
    /// `Access-Control-Max-Age`.
    public static var accessControlMaxAge: HeaderName { HeaderName(wellKnown: 11, "Access-Control-Max-Age") }
    /// `Access-Control-Request-Headers`.
    public static var accessControlRequestHeaders: HeaderName {
        HeaderName(wellKnown: 12, "Access-Control-Request-Headers")
    }
    /// `Access-Control-Request-Method`.
    public static var accessControlRequestMethod: HeaderName {
        HeaderName(wellKnown: 13, "Access-Control-Request-Method")
    }
    /// `Age`.
    public static var age: HeaderName { HeaderName(wellKnown: 14, "Age") }
    /// `Allow`.
    public static var allow: HeaderName { HeaderName(wellKnown: 15, "Allow") }
    /// `Alt-Svc`.
    public static var altSvc: HeaderName { HeaderName(wellKnown: 16, "Alt-Svc") }
    /// `Authorization`.
    public static var authorization: HeaderName { HeaderName(wellKnown: 17, "Authorization") }
    /// `Cache-Control`.
    public static var cacheControl: HeaderName { HeaderName(wellKnown: 18, "Cache-Control") }
    /// `CDN-Cache-Control`.
    public static var cdnCacheControl: HeaderName { HeaderName(wellKnown: 19, "CDN-Cache-Control") }
    /// `Connection`.
    public static var connection: HeaderName { HeaderName(wellKnown: 20, "Connection") }
    /// `Content-Disposition`.
    public static var contentDisposition: HeaderName { HeaderName(wellKnown: 21, "Content-Disposition") }
    /// `Content-Encoding`.
    public static var contentEncoding: HeaderName { HeaderName(wellKnown: 22, "Content-Encoding") }
    /// `Content-Language`.
    public static var contentLanguage: HeaderName { HeaderName(wellKnown: 23, "Content-Language") }
    /// `Content-Length`.
    public static var contentLength: HeaderName { HeaderName(wellKnown: 24, "Content-Length") }
    /// `Content-Location`.
    public static var contentLocation: HeaderName { HeaderName(wellKnown: 25, "Content-Location") }
    /// `Content-Range`.
    public static var contentRange: HeaderName { HeaderName(wellKnown: 26, "Content-Range") }
    /// `Content-Security-Policy`.
    public static var contentSecurityPolicy: HeaderName { HeaderName(wellKnown: 27, "Content-Security-Policy") }
    /// `Content-Type`.
    public static var contentType: HeaderName { HeaderName(wellKnown: 28, "Content-Type") }
    /// `Cookie`.
    public static var cookie: HeaderName { HeaderName(wellKnown: 29, "Cookie") }
    /// `Date`.
    public static var date: HeaderName { HeaderName(wellKnown: 30, "Date") }
    /// `DNT`.
    public static var dnt: HeaderName { HeaderName(wellKnown: 31, "DNT") }
    /// `ETag`.
    public static var eTag: HeaderName { HeaderName(wellKnown: 32, "ETag") }
    /// `Expect`.
    public static var expect: HeaderName { HeaderName(wellKnown: 33, "Expect") }
    /// `Expires`.
    public static var expires: HeaderName { HeaderName(wellKnown: 34, "Expires") }
    /// `Forwarded`.
    public static var forwarded: HeaderName { HeaderName(wellKnown: 35, "Forwarded") }
    /// `From`.
    public static var from: HeaderName { HeaderName(wellKnown: 36, "From") }
    /// `Host`.
    public static var host: HeaderName { HeaderName(wellKnown: 37, "Host") }
    /// `HTTP2-Settings`.
    public static var http2Settings: HeaderName { HeaderName(wellKnown: 38, "HTTP2-Settings") }
    /// `If-Match`.
    public static var ifMatch: HeaderName { HeaderName(wellKnown: 39, "If-Match") }
    /// `If-Modified-Since`.
    public static var ifModifiedSince: HeaderName { HeaderName(wellKnown: 40, "If-Modified-Since") }
    /// `If-None-Match`.
    public static var ifNoneMatch: HeaderName { HeaderName(wellKnown: 41, "If-None-Match") }
    /// `If-Range`.
    public static var ifRange: HeaderName { HeaderName(wellKnown: 42, "If-Range") }
    /// `If-Unmodified-Since`.
    public static var ifUnmodifiedSince: HeaderName { HeaderName(wellKnown: 43, "If-Unmodified-Since") }
    /// `Keep-Alive`.
    public static var keepAlive: HeaderName { HeaderName(wellKnown: 44, "Keep-Alive") }
    /// `Last-Modified`.
    public static var lastModified: HeaderName { HeaderName(wellKnown: 45, "Last-Modified") }
    /// `Link`.
    public static var link: HeaderName { HeaderName(wellKnown: 46, "Link") }
    /// `Location`.
    public static var location: HeaderName { HeaderName(wellKnown: 47, "Location") }
    /// `Max-Forwards`.
    public static var maxForwards: HeaderName { HeaderName(wellKnown: 48, "Max-Forwards") }
    /// `Origin`.
    public static var origin: HeaderName { HeaderName(wellKnown: 49, "Origin") }
    /// `Pragma`.
    public static var pragma: HeaderName { HeaderName(wellKnown: 50, "Pragma") }
    /// `Priority`.
    public static var priority: HeaderName { HeaderName(wellKnown: 51, "Priority") }
    /// `Proxy-Authenticate`.
    public static var proxyAuthenticate: HeaderName { HeaderName(wellKnown: 52, "Proxy-Authenticate") }
    /// `Proxy-Authorization`.
    public static var proxyAuthorization: HeaderName { HeaderName(wellKnown: 53, "Proxy-Authorization") }
    /// `Proxy-Connection`.
    public static var proxyConnection: HeaderName { HeaderName(wellKnown: 54, "Proxy-Connection") }
    /// `Proxy-Status`.
    public static var proxyStatus: HeaderName { HeaderName(wellKnown: 55, "Proxy-Status") }
    /// `Range`.
    public static var range: HeaderName { HeaderName(wellKnown: 56, "Range") }
    /// `Referer`.
    public static var referer: HeaderName { HeaderName(wellKnown: 57, "Referer") }
    /// `Referrer-Policy`.
    public static var referrerPolicy: HeaderName { HeaderName(wellKnown: 58, "Referrer-Policy") }
    /// `Retry-After`.
    public static var retryAfter: HeaderName { HeaderName(wellKnown: 59, "Retry-After") }
    /// `Sec-Ch-Ua`.
    public static var secChUa: HeaderName { HeaderName(wellKnown: 60, "Sec-Ch-Ua") }
    /// `Sec-Ch-Ua-Mobile`.
    public static var secChUaMobile: HeaderName { HeaderName(wellKnown: 61, "Sec-Ch-Ua-Mobile") }
    /// `Sec-Ch-Ua-Platform`.
    public static var secChUaPlatform: HeaderName { HeaderName(wellKnown: 62, "Sec-Ch-Ua-Platform") }
    /// `Sec-Fetch-Dest`.
    public static var secFetchDest: HeaderName { HeaderName(wellKnown: 63, "Sec-Fetch-Dest") }
    /// `Sec-Fetch-Mode`.
    public static var secFetchMode: HeaderName { HeaderName(wellKnown: 64, "Sec-Fetch-Mode") }
    /// `Sec-Fetch-Site`.
    public static var secFetchSite: HeaderName { HeaderName(wellKnown: 65, "Sec-Fetch-Site") }
    /// `Sec-Fetch-User`.
    public static var secFetchUser: HeaderName { HeaderName(wellKnown: 66, "Sec-Fetch-User") }
    /// `Sec-WebSocket-Accept`.
    public static var secWebSocketAccept: HeaderName { HeaderName(wellKnown: 67, "Sec-WebSocket-Accept") }
    /// `Sec-WebSocket-Extensions`.
    public static var secWebSocketExtensions: HeaderName { HeaderName(wellKnown: 68, "Sec-WebSocket-Extensions") }
    /// `Sec-WebSocket-Key`.
    public static var secWebSocketKey: HeaderName { HeaderName(wellKnown: 69, "Sec-WebSocket-Key") }
    /// `Sec-WebSocket-Protocol`.
    public static var secWebSocketProtocol: HeaderName { HeaderName(wellKnown: 70, "Sec-WebSocket-Protocol") }
    /// `Sec-WebSocket-Version`.
    public static var secWebSocketVersion: HeaderName { HeaderName(wellKnown: 71, "Sec-WebSocket-Version") }
    /// `Server`.
    public static var server: HeaderName { HeaderName(wellKnown: 72, "Server") }
    /// `Server-Timing`.
    public static var serverTiming: HeaderName { HeaderName(wellKnown: 73, "Server-Timing") }
    /// `Set-Cookie`.
    public static var setCookie: HeaderName { HeaderName(wellKnown: 74, "Set-Cookie") }
    /// `Strict-Transport-Security`.
    public static var strictTransportSecurity: HeaderName { HeaderName(wellKnown: 75, "Strict-Transport-Security") }
    /// `Surrogate-Control`.
    public static var surrogateControl: HeaderName { HeaderName(wellKnown: 76, "Surrogate-Control") }
    /// `TE`.
    public static var te: HeaderName { HeaderName(wellKnown: 77, "TE") }
    /// `Timing-Allow-Origin`.
    public static var timingAllowOrigin: HeaderName { HeaderName(wellKnown: 78, "Timing-Allow-Origin") }
    /// `Traceparent`.
    public static var traceparent: HeaderName { HeaderName(wellKnown: 79, "Traceparent") }
    /// `Tracestate`.
    public static var tracestate: HeaderName { HeaderName(wellKnown: 80, "Tracestate") }
    /// `Trailer`.
    public static var trailer: HeaderName { HeaderName(wellKnown: 81, "Trailer") }
    /// `Transfer-Encoding`.
    public static var transferEncoding: HeaderName { HeaderName(wellKnown: 82, "Transfer-Encoding") }
    /// `Upgrade`.
    public static var upgrade: HeaderName { HeaderName(wellKnown: 83, "Upgrade") }
    /// `Upgrade-Insecure-Requests`.
    public static var upgradeInsecureRequests: HeaderName { HeaderName(wellKnown: 84, "Upgrade-Insecure-Requests") }
    /// `User-Agent`.
    public static var userAgent: HeaderName { HeaderName(wellKnown: 85, "User-Agent") }
    /// `Vary`.
    public static var vary: HeaderName { HeaderName(wellKnown: 86, "Vary") }
    /// `Via`.
    public static var via: HeaderName { HeaderName(wellKnown: 87, "Via") }
    /// `Warning`.
    public static var warning: HeaderName { HeaderName(wellKnown: 88, "Warning") }
    /// `WWW-Authenticate`.
    public static var wwwAuthenticate: HeaderName { HeaderName(wellKnown: 89, "WWW-Authenticate") }
    /// `X-Content-Type-Options`.
    public static var xContentTypeOptions: HeaderName { HeaderName(wellKnown: 90, "X-Content-Type-Options") }
    /// `X-Forwarded-For`.
    public static var xForwardedFor: HeaderName { HeaderName(wellKnown: 91, "X-Forwarded-For") }
    /// `X-Forwarded-Host`.
    public static var xForwardedHost: HeaderName { HeaderName(wellKnown: 92, "X-Forwarded-Host") }
    /// `X-Forwarded-Proto`.
    public static var xForwardedProto: HeaderName { HeaderName(wellKnown: 93, "X-Forwarded-Proto") }
    /// `X-Frame-Options`.
    public static var xFrameOptions: HeaderName { HeaderName(wellKnown: 94, "X-Frame-Options") }
    /// `X-Real-IP`.
    public static var xRealIP: HeaderName { HeaderName(wellKnown: 95, "X-Real-IP") }
    /// `X-Request-ID`.
    public static var xRequestID: HeaderName { HeaderName(wellKnown: 96, "X-Request-ID") }
    /// `X-XSS-Protection`.
    public static var xXSSProtection: HeaderName { HeaderName(wellKnown: 97, "X-XSS-Protection") }

    /// Every well-known name, in the order of their numbers, which begin at 1.
    package static var allWellKnown: [HeaderName] {
        [
            .accept,
            .acceptCharset,
            .acceptEncoding,
            .acceptLanguage,
            .acceptRanges,
            .accessControlAllowCredentials,
            .accessControlAllowHeaders,
            .accessControlAllowMethods,
            .accessControlAllowOrigin,
            .accessControlExposeHeaders,
            .accessControlMaxAge,
            .accessControlRequestHeaders,
            .accessControlRequestMethod,
            .age,
            .allow,
            .altSvc,
            .authorization,
            .cacheControl,
            .cdnCacheControl,
            .connection,
            .contentDisposition,
            .contentEncoding,
            .contentLanguage,
            .contentLength,
            .contentLocation,
            .contentRange,
            .contentSecurityPolicy,
            .contentType,
            .cookie,
            .date,
            .dnt,
            .eTag,
            .expect,
            .expires,
            .forwarded,
            .from,
            .host,
            .http2Settings,
            .ifMatch,
            .ifModifiedSince,
            .ifNoneMatch,
            .ifRange,
            .ifUnmodifiedSince,
            .keepAlive,
            .lastModified,
            .link,
            .location,
            .maxForwards,
            .origin,
            .pragma,
            .priority,
            .proxyAuthenticate,
            .proxyAuthorization,
            .proxyConnection,
            .proxyStatus,
            .range,
            .referer,
            .referrerPolicy,
            .retryAfter,
            .secChUa,
            .secChUaMobile,
            .secChUaPlatform,
            .secFetchDest,
            .secFetchMode,
            .secFetchSite,
            .secFetchUser,
            .secWebSocketAccept,
            .secWebSocketExtensions,
            .secWebSocketKey,
            .secWebSocketProtocol,
            .secWebSocketVersion,
            .server,
            .serverTiming,
            .setCookie,
            .strictTransportSecurity,
            .surrogateControl,
            .te,
            .timingAllowOrigin,
            .traceparent,
            .tracestate,
            .trailer,
            .transferEncoding,
            .upgrade,
            .upgradeInsecureRequests,
            .userAgent,
            .vary,
            .via,
            .warning,
            .wwwAuthenticate,
            .xContentTypeOptions,
            .xForwardedFor,
            .xForwardedHost,
            .xForwardedProto,
            .xFrameOptions,
            .xRealIP,
            .xRequestID,
            .xXSSProtection,
        ]
    }
}
