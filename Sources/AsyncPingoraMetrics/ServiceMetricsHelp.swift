public import PrometheusMetrics

extension MetricsRegistry {
    /// Gives help texts to the metrics that `ServiceMetrics` counts.
    public func describeServiceMetrics() {
        for (name, help) in Self.serviceMetrics { describe(name, help: help) }
    }

    private static let serviceMetrics: [(name: String, help: String)] = [
        ("pingora_connections_accepted_total", "Connections accepted from clients."),
        ("pingora_connections_open", "Connections with clients, idle ones included."),
        ("pingora_tls_handshakes_total", "TLS handshakes with clients, by result."),
        ("pingora_requests_total", "Exchanges that have ended, by the class of the status that the client got."),
        ("pingora_request_duration_seconds", "From the complete request head to the end of the exchange."),
        ("pingora_phase_duration_seconds", "How long each phase took, for exchanges that got to its end."),
        ("pingora_received_bytes_total", "Body bytes received, by the side that sent them."),
        ("pingora_sent_bytes_total", "Body bytes sent, by the side that got them."),
        ("pingora_retries_total", "Attempts beyond the first of each request."),
        ("pingora_errors_total", "Why exchanges and attempts failed, by kind and by whose fault it was."),
        ("pingora_pool_connections", "Connections to upstreams, by state."),
        ("pingora_pool_created_total", "Connections to upstreams made."),
        ("pingora_pool_reused_total", "Requests that got a connection to an upstream which had served another."),
        ("pingora_pool_evicted_total", "Resting connections to upstreams that were closed."),
        ("pingora_h2_streams_open", "HTTP/2 streams of clients that are being served."),
        ("pingora_h2_ping_failures_total", "HTTP/2 connections to upstreams that answered no ping."),
        ("pingora_executor_queue_depth", "Jobs that waited for a thread of the service when last looked at."),
        ("pingora_event_loop_lag_seconds", "How late the service's threads were for what was due."),
        ("pingora_accesslog_dropped_total", "Lines that the access log has dropped instead of waiting."),
    ]
}
