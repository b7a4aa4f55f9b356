"""The configuration files of the servers, as templates: `write` fills one in."""

import os

from .processes import HOST

NGINX_COMMON = """
daemon off;
user {user};
pid {name}.pid;
error_log stderr error;
worker_processes {workers};
events {{ worker_connections 20000; }}
"""

_NGINX_HTTP = """
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path body_{name};
    proxy_temp_path proxy_{name};
    fastcgi_temp_path fastcgi_{name};
    uwsgi_temp_path uwsgi_{name};
    scgi_temp_path scgi_{name};
"""

# add_header adds to Server, Date, Content-Type, Content-Length and Connection: ten response headers in all. HTTP/2 without
# TLS has a port of its own, for this nginx cannot tell it from HTTP/1.1. A gRPC answer is one framed message and a trailer.
ORIGIN_HTTP = """
http {{ %s
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16 inactive=600s;
    default_type text/plain;
    server {{
        listen {host}:{port} backlog=8192;
        listen {host}:{h2_port} http2 backlog=8192;
        root files;
        location = /small {{ return 200 "hello, world\\n"; }}
        location = /headers {{
            add_header Cache-Control "public, max-age=3600";
            add_header ETag '"5f3c-1a2b3c4d5e6f"';
            add_header Vary "Accept-Encoding";
            add_header X-Content-Type-Options "nosniff";
            add_header Strict-Transport-Security "max-age=63072000; includeSubDomains";
            return 200 "hello, world\\n";
        }}
        location = /post {{ client_max_body_size 1m; return 200 "ok\\n"; }}
        location = /bench.Echo/Unary {{
            default_type application/grpc;
            add_trailer grpc-status 0;
            return 200 "{grpc_message}";
        }}
        location = /status {{ stub_status; }}
        location / {{ }}
    }}
}}
""" % _NGINX_HTTP

# Tuned for this job rather than left at defaults: bodies stay in memory, so that the comparison is one of proxying.
NGINX_PROXY = """
http {{ %s
    client_body_buffer_size 64k;
    proxy_buffer_size 16k;
    proxy_buffers 16 32k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;
    upstream origin {{
        server {host}:{origin};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen {host}:{port} {listen} backlog=8192;
        {tls}
        location / {{ {forward} }}
    }}
}}
""" % _NGINX_HTTP

NGINX_TLS = "ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.3; ssl_session_tickets on;"
NGINX_FORWARD = {
    "h1": 'proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;',
    "grpc": "grpc_pass grpc://origin;",
}

HAPROXY = """
global
    nbthread {threads}
    maxconn {connections}
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
frontend front
    bind {host}:{port} backlog 8192 {tls}
    default_backend origin
backend origin
    server origin {host}:{origin} pool-purge-delay 600s {upstream}
"""

HAPROXY_TLS = "ssl crt both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3"

ENVOY = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: {host}, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: origin }} }}] }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: origin
    type: STATIC
    circuit_breakers: {{ thresholds: [{{ max_connections: 20000, max_requests: 20000, max_pending_requests: 20000 }}] }}
    load_assignment:
      cluster_name: origin
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {host}, port_value: {origin} }} }} }} }}] }}]
"""

TRAEFIK = """
entryPoints: {{ web: {{ address: "{host}:{port}" }} }}
providers: {{ file: {{ filename: traefik-routes.yml }} }}
log: {{ level: ERROR }}
serversTransport: {{ maxIdleConnsPerHost: 1024 }}
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
"""

TRAEFIK_ROUTES = """
http:
  routers: {{ all: {{ rule: "PathPrefix(`/`)", service: origin }} }}
  services: {{ origin: {{ loadBalancer: {{ servers: [{{ url: "http://{host}:{origin}" }}] }} }} }}
"""

CADDY = """
{{
    admin off
    persist_config off
    auto_https off
}}
http://{host}:{port} {{
    reverse_proxy {host}:{origin} {{
        transport http {{
            keepalive_idle_conns 1024
            keepalive_idle_conns_per_host 1024
        }}
    }}
}}
"""


def write(directory, file_name, text, **values):
    """Fills a template in, and returns the path of the file it makes."""
    path = os.path.join(directory, file_name)
    with open(path, "w") as file:
        # nginx's workers change to an unprivileged user when the master is root, unless told otherwise.
        file.write(text.format(host=HOST, user="root" if os.geteuid() == 0 else "nobody", **values))
    return path
