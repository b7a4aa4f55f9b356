"""The origin, and the proxies that are compared: how each is configured and started."""

import dataclasses
import os
import resource
import subprocess

from . import configurations, processes
from .processes import HOST, Child
from .tools import GRPC_MESSAGE

# This project with metrics and access log on, which only the row about them compares.
OBSERVED = "asyncpingora-observed"
BASE = ["asyncpingora", OBSERVED, "nginx", "haproxy", "nghttpx", "forwarder"]
_UNTHREADED = ("nghttpx", "forwarder")
_SPEAKS_TLS = ("asyncpingora", "nginx", "haproxy", "nghttpx")
_VERSION_FLAGS = {
    "nginx": "-v",
    "haproxy": "-v",
    "nghttpx": "--version",
    "envoy": "--version",
    "traefik": "version",
    "caddy": "version",
}
_NGHTTPX = (
    "--conf=/dev/null --no-ocsp --no-via --no-server-rewrite --no-location-rewrite --no-add-x-forwarded-proto "
    "--tls-min-proto-version=TLSv1.3 --frontend-keep-alive-timeout=600s --frontend-http2-read-timeout=600s "
    "--frontend-http2-max-concurrent-streams=128 --backend-keep-alive-timeout=600s --errorlog-file=/dev/stderr"
).split()


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a row asks of a proxy: its threads, whether clients come over TLS, and how it talks to the origin."""

    threads: int = 1
    tls: bool = False
    # "h1", "h2" without TLS, or "grpc", which is the same to all but nginx
    upstream: str = "h1"
    # a row about what it costs to be watched: this project alone, with and without
    observed: bool = False

    def reason_against(self, name, is_named=False):
        """Why a proxy is not compared with this set-up; None when it is. Some are only when they have been asked for by name."""
        if self.observed != (name == OBSERVED) and name != "asyncpingora":
            return "is not what this row compares"
        if self.tls and name not in _SPEAKS_TLS:
            return "is not compared over TLS"
        if not self.tls and name == "nghttpx" and not is_named:
            return "is compared without TLS only when --only-proxies names it"
        if self.threads > 1 and name in _UNTHREADED:
            return "has one thread"
        if self.upstream == "h2" and name == "nginx":
            return "does not speak HTTP/2 to an upstream, gRPC apart"
        return None


class Origin(Child):
    """The nginx behind every proxy; it speaks HTTP/2 without TLS on a second port."""

    def __init__(self, command, port, h2_port, directory):
        super().__init__("origin", command, port, directory)
        self._h2_port = h2_port

    def port_for(self, setup):
        """Where a proxy with this set-up finds it."""
        return self.port if setup.upstream == "h1" else self._h2_port


class Contestants:
    """Starts the servers as often as a measurement asks."""

    def __init__(self, tools):
        self._tools = tools
        self._directory = tools.directory

    def start_origin(self, workers=1):
        """The nginx that answers behind every proxy."""
        files = os.path.join(self._directory, "files")
        if not os.path.isdir(files):
            os.mkdir(files)
            for name, size in (("64k", 65536), ("1m", 1048576)):
                with open(os.path.join(files, name), "wb") as file:
                    file.write((b"0123456789abcdef" * 65536)[:size])
        port, h2_port = processes.free_port(), processes.free_port()
        values = {"port": port, "h2_port": h2_port, "grpc_message": GRPC_MESSAGE.decode()}
        return Origin(self._nginx("origin", configurations.ORIGIN_HTTP, workers, values), port, h2_port, self._directory)

    def start(self, name, origin, setup=Setup()):
        """A fresh process of the named proxy in front of the origin."""
        port = processes.free_port()
        command = self._command(name, port, origin.port_for(setup), setup)
        return Child(name, command, port, self._directory, tls=setup.tls)

    def _nginx(self, name, http, workers, values):
        values = {**values, "name": name, "workers": workers}
        path = self._write(f"{name}.conf", configurations.NGINX_COMMON + http, values)
        return [self._tools["nginx"], "-p", self._directory, "-c", path, "-e", "stderr"]

    def _write(self, file_name, text, values):
        return configurations.write(self._directory, file_name, text, **values)

    def _command(self, name, port, origin, setup):
        values = {"port": port, "origin": origin, "threads": setup.threads}
        if name in ("asyncpingora", OBSERVED):
            return self._own(port, origin, setup) + (self._watching() if name == OBSERVED else [])
        if name == "nginx":
            values["listen"] = "ssl http2" if setup.tls else ""
            values["tls"] = configurations.NGINX_TLS if setup.tls else ""
            values["forward"] = configurations.NGINX_FORWARD[setup.upstream]
            return self._nginx("nginx", configurations.NGINX_PROXY, setup.threads, values)
        if name == "haproxy":
            values["tls"] = configurations.HAPROXY_TLS if setup.tls else ""
            values["upstream"] = "" if setup.upstream == "h1" else "proto h2"
            values["connections"] = min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 500)
            return [self._tools[name], "-db", "-f", self._write("haproxy.cfg", configurations.HAPROXY, values)]
        if name == "nghttpx":
            backend = f"--backend={HOST},{origin}" + ("" if setup.upstream == "h1" else ";;proto=h2")
            certificate, key = self._tools.certificate
            frontend = [f"--frontend={HOST},{port}" + ("" if setup.tls else ";no-tls"), backend, f"--workers={setup.threads}"]
            return [self._tools[name], *_NGHTTPX, *frontend, key, certificate]
        if name == "forwarder":
            return [self._tools[name], str(port), str(origin)]
        return self._peer(name, values)

    def _own(self, port, origin, setup):
        command = [self._tools["asyncpingora"], "proxy", "--upstream", f"{HOST}:{origin}", "--threads", str(setup.threads)]
        if setup.tls:
            certificate, key = self._tools.certificate
            command += ["--listen", f"{HOST}:{processes.free_port()}", "--tls-listen", f"{HOST}:{port}"]
            command += ["--cert", certificate, "--key", key]
        else:
            command += ["--listen", f"{HOST}:{port}"]
        if setup.upstream != "h1":
            command += ["--upstream-http", "h2"]
        return command + os.environ.get("ASYNCPINGORA_ARGS", "").split()

    def _watching(self):
        return ["--metrics", f"{HOST}:{processes.free_port()}", "--access-log", os.path.join(self._directory, "access.log")]

    def _peer(self, name, values):
        binary, threads = self._tools[name], values["threads"]
        if name == "envoy":
            path = self._write("envoy.yml", configurations.ENVOY, values)
            return [binary, "-c", path, "--concurrency", str(threads), "--disable-hot-restart", "-l", "error"]
        limit = ["env", f"GOMAXPROCS={threads}", f"HOME={self._directory}"]
        if name == "traefik":
            self._write("traefik-routes.yml", configurations.TRAEFIK_ROUTES, values)
            return limit + [binary, "--configFile=" + self._write("traefik.yml", configurations.TRAEFIK, values)]
        path = self._write("Caddyfile", configurations.CADDY, values)
        return limit + [binary, "run", "--adapter", "caddyfile", "--config", path]

    def version(self, name):
        """The first line of what the binary says of itself."""
        flag = _VERSION_FLAGS.get(name)
        if flag is None:
            return "of this tree"
        done = subprocess.run([self._tools[name], flag], capture_output=True, text=True)
        line = ((done.stdout + done.stderr).strip().splitlines() or ["?"])[0]
        return line.replace(self._tools[name], "").strip()
