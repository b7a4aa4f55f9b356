import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Testing
import Tracing

@Suite(
    "A format is taken or refused with a reason, and its lines tell of the exchange",
    .serialized,
    .timeLimit(.minutes(5))
)
struct AccessLogFormatTests {
    @Test(arguments: [
        ("foo", "access log format: \"foo\" is neither common, combined nor json, and has no $variable"),
        ("", "access log format: \"\" is neither common, combined nor json, and has no $variable"),
        ("$nonsense", "access log format: there is no variable $nonsense"),
        ("a $remote_addr_ b", "access log format: there is no variable $remote_addr_"),
        ("$http_", "access log format: there is no variable $http_"),
        ("$ x", "access log format: a $ has no name behind it; write $$ for a dollar"),
        ("$status $", "access log format: a $ has no name behind it; write $$ for a dollar"),
        ("${status", "access log format: a ${ has no }"),
        ("${}", "access log format: there is no variable $"),
        ("$status\n", "access log format: the pattern holds a control character"),
        ("json:status,nonsense", "access log format: there is no field \"nonsense\""),
        ("json:", "access log format: there is no field \"\""),
        ("json:status,status", "access log format: status occurs twice"),
    ])
    func refused(text: String, reason: String) {
        let error = #expect(throws: AccessLogFormatError.self) { try AccessLogFormat(text) }
        #expect(error?.description == reason)
    }

    @Test func names() throws {
        #expect(try AccessLogFormat("common") == .common)
        #expect(try AccessLogFormat("combined") == .combined)
        #expect(try AccessLogFormat("json") == .json())
        #expect(try AccessLogFormat("json:status,http_x_a") == .json([.status, .requestHeader("x-a")]))
        for field in AccessLogField.all { #expect(AccessLogField(name: field.name) == field) }
        #expect(AccessLogField.userAgent.name == "http_user_agent")
    }

    /// The lines of what is sent on one connection to a plain server.
    private func lines(
        of text: String,
        as format: AccessLogFormat,
        valueLimit: Int = 2_048,
        tracer: (any Tracer)? = nil
    ) async throws -> [String] {
        let sink = ScriptedSink()
        var options = AccessLog.Options(.standardError, format: format)
        options.valueLimit = valueLimit
        let log = AccessLog(options, sink: sink, logger: silentLogger)
        try await withLoggedServer(log, tracer: tracer) { _ = try await $0.transcript(of: text) }
        return try AsyncPingoraTests.lines(of: sink.text)
    }

    private static let get = "GET /a?b=1 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"

    @Test(arguments: [
        ("$request", "GET /a?b=1 HTTP/1.1"),
        ("$request_method|$request_uri|$uri|$args|$server_protocol", "GET|/a?b=1|/a|b=1|HTTP/1.1"),
        ("$scheme://$host $status ${body_bytes_sent}b $$", "http://a.example 200 2b $"),
        ("$remote_addr $server_addr", "127.0.0.1 127.0.0.1"),
        ("$http_user_agent \"$http_referer\" $http_nothing", "agent/1 \\x22x\\x22 \"https://b/\" -"),
        ("$request_id $trace_id", "id-1 4bf92f3577b34da6a3ce929d0e0e4736"),
        ("$remote_user", "bob"),
        ("$upstream_addr $upstream_status $upstream_attempts $upstream_connect_time", "- - 0 -"),
        ("$ssl_protocol $ssl_cipher $ssl_server_name $ssl_alpn_protocol $ssl_session_reused $ssl_ja4", "- - - - - -"),
        ("$error_kind $error_source $error_message", "- - -"),
        (
            "json:status,host,args,request,upstream_connection_reused,body_bytes_received",
            """
            {"status":200,"host":"a.example","args":"b=1","request":"GET /a?b=1 HTTP/1.1",\
            "upstream_connection_reused":null,"body_bytes_received":0}
            """
        ),
        ("json:http_user_agent", #"{"http_user_agent":"agent/1 \"x\""}"#),
    ])
    func text(pattern: String, line: String) async throws {
        let request =
            Self.get + "User-Agent: agent/1 \"x\"\r\nReferer: https://b/\r\nX-Request-Id: id-1\r\n"
            + "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
            + "Authorization: Basic Ym9iOnNlY3JldA==\r\n\r\n"
        #expect(try await lines(of: request, as: AccessLogFormat(pattern)) == [line])
    }

    /// The trace is the one that the service has begun, and of the client's fields only what is valid.
    @Test(arguments: [
        ("", true), ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
    ])
    func traces(field: String, isTraced: Bool) async throws {
        let found = try await lines(
            of: Self.get + (field.isEmpty ? "\r\n" : "traceparent: \(field)\r\n\r\n"),
            as: AccessLogFormat("$trace_id"),
            tracer: isTraced ? W3CPropagation() : nil
        )
        let line = try #require(found.first)
        #expect(try isTraced == (/[0-9a-f]{32}/.wholeMatch(in: line) != nil), "\(line)")
        #expect(!line.hasPrefix("4bf92f"))
    }

    @Test func combined() async throws {
        let found = try await lines(of: Self.get + "User-Agent: a\r\n\r\n", as: .combined)
        let expected =
            /127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/a\?b=1 HTTP\/1\.1" 200 2 "-" "a"/
        #expect(try found.count == 1 && expected.wholeMatch(in: found[0]) != nil, "\(found)")
    }

    @Test func timesAndPorts() async throws {
        let pattern = "$time_iso8601 $msec $remote_port $server_port $request_time $filter_time"
        let found = try await lines(of: Self.get + "\r\n", as: AccessLogFormat(pattern))
        let expected =
            /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d{10}\.\d{3} [1-9]\d* [1-9]\d* \d+\.\d{6} -/
        #expect(try found.count == 1 && expected.wholeMatch(in: found[0]) != nil, "\(found)")
    }

    /// Requests that cannot be read have lines, too, and nothing of the request before them.
    @Test(arguments: ["\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET  /\"\\\r\n\r\n", "GET /\r\n\r\n"])
    func unreadable(text: String) async throws {
        let pattern = "\"$request\" $status $host $http_user_agent $error_kind $error_source"
        let good = "GET /good HTTP/1.1\r\nHost: good\r\nUser-Agent: good\r\n\r\n"
        let found = try await lines(of: good + text, as: AccessLogFormat(pattern))
        #expect(found.count == 2)
        #expect(found.first == "\"GET /good HTTP/1.1\" 200 good good - -")
        let last = try #require(found.last)
        #expect(!last.contains("good") && last.hasSuffix(" InvalidHTTPHeader downstream"), "\(last)")
        #expect(last.hasPrefix("\"-\" "))
    }

    /// Whatever a client writes into a head: one line, without a quote or control byte that is not the format's own.
    @Test func hostileValues() async throws {
        let value = "a\"b\\c\u{80}\u{FE}\té" + String(repeating: "x", count: 3_000)
        let request = Self.get + "User-Agent: \(value)\r\n\r\n"
        for format in ["\"$http_user_agent\"", "json:http_user_agent"] {
            let found = try await lines(of: request, as: AccessLogFormat(format), valueLimit: 100)
            #expect(found.count == 1)
            let line = try #require(found.first)
            #expect(line.utf8.count < 150 && line.contains("xxx..."))
            #expect(!line.utf8.contains { $0 < 0x20 || $0 == 0x7F })
        }
    }

    /// With a limit of 16 bytes per value, forty values and a target of 60 KiB: still one line.
    @Test func manyLongValues() async throws {
        let names = (0..<40).map { "x_\($0)" }
        let fields = names.map { "\($0.replacing("_", with: "-")): \(String(repeating: "\"", count: 500))\r\n" }
            .joined()
        let pattern = names.map { "$http_\($0)" }.joined(separator: " ") + " $request"
        for limit in [0, 2_048] {
            let found = try await lines(of: Self.get + fields + "\r\n", as: AccessLogFormat(pattern), valueLimit: limit)
            #expect(found.count == 1)
            #expect(found.first?.hasSuffix(" HTTP/1.1") == true)
        }
    }

    @Test func upstream() async throws {
        let pattern =
            "$upstream_addr $upstream_status $upstream_attempts $upstream_connection_reused $upstream_bytes_received "
            + "$filter_time $upstream_peer_time $upstream_connect_time $upstream_header_time $upstream_response_time"
        let sink = ScriptedSink()
        let format = try AccessLogFormat(pattern)
        let log = AccessLog(AccessLog.Options(.standardError, format: format), sink: sink, logger: silentLogger)
        try await TestExecutor.withExecutor { _ in
            try await withScriptedOrigin(.ok("hello")) { origin in
                var listeners = Listeners()
                listeners.add(try loopback())
                let service = httpProxyService(
                    PlainProxy(peer: HttpPeer(origin.address), diary: Diary()),
                    listeners: listeners,
                    threadCount: 1,
                    observers: [log],
                    logger: silentLogger
                )
                try await withService(service) { service in
                    for _ in 0..<2 { _ = try await service.response(to: Self.get + "\r\n") }
                }
                let found = try AsyncPingoraTests.lines(of: sink.text)
                let times = #/(?: \d+\.\d{6}){5}/#
                #expect(found.count == 2)
                for (line, isReused) in zip(found, ["0", "1"]) {
                    let start = "\(origin.address) 200 1 \(isReused) 5"
                    #expect(line.hasPrefix(start), "\(line)")
                    #expect(try times.wholeMatch(in: line.dropFirst(start.count)) != nil, "\(line)")
                }
            }
        }
    }
}
