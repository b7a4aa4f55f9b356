"""Throughput workloads: what is asked, with which load generator, and one measurement of one proxy."""

import dataclasses
import json
import os
import time

from .contestants import Setup
from .loads import WRK_REPORT, H2Load, HandshakeLoad, WrkLoad
from .processes import HOST, ChildFailed, run_tool

# What a current desktop browser sends: with Host, twelve request headers.
_BROWSER_HEADERS = {
    "Connection": "keep-alive",
    "sec-ch-ua": '"Chromium";v="130", "Not?A_Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cookie": "session=5f2b6c1e9a7d4f30b8e1c2d3; theme=dark; consent=yes",
}
# The same over HTTP/2: :authority for Host, no Connection, and what a browser asks for when the connection is secure.
_H2_BROWSER_HEADERS = {
    **{name.lower(): value for name, value in _BROWSER_HEADERS.items() if name != "Connection"},
    "accept-encoding": "gzip, deflate, br, zstd",
}
_GRPC_HEADERS = {"content-type": "application/grpc", "te": "trailers"}


@dataclasses.dataclass(frozen=True)
class Workload:
    """One row of the table."""

    name: str
    title: str
    setup: Setup = Setup()
    # what is counted
    unit = "request"

    def start(self, tools, port, seconds):
        """Starts its load."""
        raise NotImplementedError

    def check(self, tools, port):
        """Raises if the proxy answers, but not with what the row is about."""


@dataclasses.dataclass(frozen=True)
class WrkWorkload(Workload):
    """HTTP/1.1 without TLS."""

    path: str = "/small"
    connections: int = 64
    method: str = "GET"
    body_size: int = 0
    headers: tuple = ()

    def _script(self):
        """The Lua that makes wrk send it: static tables only, so that wrk formats the request once."""
        lines = [f'wrk.method = "{self.method}"']
        lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in self.headers]
        if self.body_size:
            lines.append(f'wrk.body = string.rep("x", {self.body_size})')
        return "\n".join(lines) + WRK_REPORT

    def start(self, tools, port, seconds):
        script = os.path.join(tools.directory, f"{self.name}.lua")
        with open(script, "w") as file:
            file.write(self._script())
        command = [tools["wrk"], "-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
        return WrkLoad(command + ["-s", script, f"http://{HOST}:{port}{self.path}"])


@dataclasses.dataclass(frozen=True)
class H2LoadWorkload(Workload):
    """HTTP/2, or HTTP/1.1, over TLS."""

    setup: Setup = Setup(tls=True)
    path: str = "/small"
    clients: int = 16
    streams: int = 16
    headers: tuple = ()
    protocol: str = "h2"

    def _arguments(self, tools):
        arguments = [f"-c{self.clients}", f"-m{self.streams}"]
        return arguments + [f"-H{name}: {value}" for name, value in self.headers]

    def start(self, tools, port, seconds):
        arguments = [*self._arguments(tools), f"-D{max(1, round(seconds))}"]
        return H2Load(tools["h2load"], tools.directory, arguments, port, self.path, self.protocol)


class GRPCWorkload(H2LoadWorkload):
    """Unary calls: one framed message each way, and a status in the trailers."""

    def _arguments(self, tools):
        return super()._arguments(tools) + [f"-d{tools.grpc_request}"]

    def check(self, tools, port):
        # h2load does not look at trailers.
        headers = [f"-H{name}: {value}" for name, value in self.headers]
        url = f"https://{HOST}:{port}{self.path}"
        output = run_tool([tools["nghttp"], "-v", "-t5", "-d", tools.grpc_request, *headers, url], timeout=20)
        if "grpc-status: 0" not in output:
            raise ChildFailed(f"no grpc-status in the answer to a call:\n{output[-2000:]}")


@dataclasses.dataclass(frozen=True)
class HandshakeWorkload(Workload):
    """TLS handshakes with nothing asked in between, over four connections at a time."""

    setup: Setup = Setup(tls=True)
    kind: str = "full"
    unit = "handshake"

    def start(self, tools, port, seconds):
        return HandshakeLoad([tools["handshaker"], str(port), str(seconds), "4", self.kind])


WORKLOADS = [
    WrkWorkload("small-64", "small keep-alive, 64 clients"),
    WrkWorkload("small-512", "small keep-alive, 512 clients", connections=512),
    WrkWorkload("headers", "12 request + 10 response headers", path="/headers", headers=tuple(_BROWSER_HEADERS.items())),
    WrkWorkload("post-16k", "POST 16 KB", path="/post", method="POST", body_size=16384),
    WrkWorkload("response-64k", "64 KB responses", path="/64k"),
    WrkWorkload("response-1m", "1 MB responses", path="/1m"),
    WrkWorkload("close", "Connection: close from clients", headers=(("Connection", "close"),)),
    WrkWorkload("threads-2", "small keep-alive, 64 clients, 2 threads", Setup(threads=2)),
    WrkWorkload("observed", "small keep-alive, 64 clients, metrics and access log", Setup(observed=True)),
    H2LoadWorkload("tls-h1", "TLS, HTTP/1.1: small keep-alive, 64 clients", clients=64, streams=1, protocol="http/1.1"),
    H2LoadWorkload("tls-h2", "TLS, HTTP/2: small, 16 clients of 16 streams"),
    H2LoadWorkload(
        "tls-h2-headers",
        "TLS, HTTP/2: 12 request + 10 response headers",
        path="/headers",
        headers=tuple(_H2_BROWSER_HEADERS.items()),
    ),
    H2LoadWorkload("tls-h2-64k", "TLS, HTTP/2: 64 KB responses", path="/64k"),
    H2LoadWorkload("h2-to-h2", "TLS, HTTP/2 to an HTTP/2 origin: small", Setup(tls=True, upstream="h2")),
    GRPCWorkload(
        "grpc-unary",
        "TLS, gRPC: unary calls",
        Setup(tls=True, upstream="grpc"),
        path="/bench.Echo/Unary",
        headers=tuple(_GRPC_HEADERS.items()),
    ),
    HandshakeWorkload("handshake-full", "TLS handshakes, full"),
    HandshakeWorkload("handshake-resumed", "TLS handshakes, resumed by ticket", kind="resumed"),
]


def measure(tools, workload, child, seconds):
    """One measurement: CPU from before the first connection to after the last answer, over the requests answered."""
    child.reset_peak_rss()
    cpu = child.cpu_nanoseconds()
    started = time.monotonic()
    with workload.start(tools, child.port, seconds) as load:
        counted = load.result()
    elapsed = time.monotonic() - started
    cpu = child.cpu_nanoseconds() - cpu
    if not child.is_running():
        raise ChildFailed(f"{child.name} ended during {workload.name}:\n{child.log_tail()}")
    cpu_us = cpu / 1000 / max(1, counted.answered)
    return {
        "cpu_us_per_request": cpu_us,
        "per_cpu_second": 1e6 / cpu_us if cpu_us else 0,
        "requests_per_second": counted.answered / counted.seconds,
        "p50_ms": counted.p50_ms,
        "p99_ms": counted.p99_ms,
        "max_ms": counted.max_ms,
        "peak_rss_mb": child.peak_rss_kb() / 1024,
        "cpu_share": cpu / 1e9 / elapsed,
        "requests": counted.answered,
        "failed": counted.failed,
    }
