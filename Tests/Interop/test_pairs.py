"""curl in front and nginx behind, with every pair of HTTP/1.1 and HTTP/2, plain and encrypted."""

import hashlib
import os

import pytest

from support import http2
from support.net import client_context
from support.process import run

DOWNSTREAM = {
    "h1": ["--http1.1"],
    "h1s": ["--http1.1"],
    "h2c": ["--http2-prior-knowledge"],
    "h2s": ["--http2"],
    # Asks a plain port for HTTP/2 with an Upgrade field, which RFC 9113 has given up: HTTP/1.1 it is.
    "h2c-upgrade": ["--http2"],
}
UPSTREAM = {
    "h1": ["--upstream-http", "h1"],
    "h1s": ["--upstream-http", "h1", "--upstream-tls"],
    "h2c": ["--upstream-http", "h2"],
    "h2s": ["--upstream-http", "h2", "--upstream-tls"],
    "auto": ["--upstream-http", "auto", "--upstream-tls"],
}


@pytest.fixture(scope="module", params=UPSTREAM)
def upstream(request, shared, nginx, certificates):
    kind = request.param
    options = list(UPSTREAM[kind])
    if "--upstream-tls" in options:
        options += ["--upstream-sni", "localhost", "--upstream-ca", certificates.ca]
    address = nginx.addresses["h2s" if kind == "auto" else kind]
    return kind, shared.proxy(address, "--h2c", *options, tls=True)


@pytest.fixture(params=DOWNSTREAM)
def pair(request, upstream, certificates):
    return Pair(request.param, *upstream, certificates.ca)


class Pair:
    def __init__(self, downstream, upstream, proxy, ca):
        self.downstream, self.upstream = downstream, upstream
        self.url = proxy.tls_url if downstream.endswith("s") else proxy.url
        self.address = proxy.tls_address if downstream.endswith("s") else proxy.address
        self.options = ["-sS", "--cacert", str(ca), *DOWNSTREAM[downstream]]

    def curl(self, *arguments, **options):
        return run("curl", *self.options, *arguments, **options)

    @property
    def version(self):
        """What curl calls the version it speaks."""
        return "2" if self.downstream in ("h2c", "h2s") else "1.1"

    @property
    def protocol(self):
        """What nginx calls the version and scheme it is spoken to."""
        version = "HTTP/1.1" if self.upstream in ("h1", "h1s") else "HTTP/2.0"
        return f"{version} {'http' if self.upstream in ('h1', 'h2c') else 'https'}"


RESPONSES = [
    ("/hello", [], "200 17"),
    ("/empty", [], "200 0"),
    ("/hello", ["--head"], "200 0"),
    ("/nothing", [], "204 0"),
    ("/hello", ["-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"], "304 0"),
    ("/no-such-file", [], "404 153"),
    ("/hello", ["-X", "OPTIONS"], "405 157"),
    ("/hello", ["--range", "0-4"], "206 5"),
]


def test_responses(pair):
    """All of them over one connection, where curl manages that: it breaks its own second request over plain HTTP/2."""
    arguments = []
    for path, options, _ in RESPONSES:
        form = "%{http_code} %{size_download} %{http_version} %{num_connects}\n"
        options = [*pair.options, "-o", os.devnull, "-w", form, *options, pair.url + path]
        arguments += ["--next", *options] if arguments else options
    runs = [arguments] if pair.downstream != "h2c" else split(arguments)
    done = [run("curl", *options) for options in runs]
    wanted = [f"{result} {pair.version} {1 if at == 0 or len(runs) > 1 else 0}" for at, (_, _, result) in enumerate(RESPONSES)]
    assert "".join(each.stdout for each in done).splitlines() == wanted, [each.stderr for each in done]


def split(arguments):
    """The arguments of each request by themselves."""
    parts = [[]]
    for argument in arguments:
        parts.append([]) if argument == "--next" else parts[-1].append(argument)
    return parts


def test_the_versions_are_those_of_each_side(pair):
    done = pair.curl("-w", " %{http_version}", "-H", "Host: name.example", f"{pair.url}/protocol")
    assert done.stdout == f"{pair.protocol} name.example {pair.version}", done.stderr


@pytest.mark.parametrize("size", [0, 1, 65_536, 10 << 20])
def test_an_upload_arrives_and_comes_back(pair, nginx, tmp_path, size):
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(os.urandom(size))
    name = f"upload-{pair.downstream}-{pair.upstream}-{size}"
    put = pair.curl("-w", "%{http_code}", "-T", sent, f"{pair.url}/{name}")
    assert put.stdout == "201", put.stderr
    get = pair.curl("-o", back, f"{pair.url}/{name}")
    wanted = hashlib.sha256(sent.read_bytes()).hexdigest()
    assert hashlib.sha256((nginx.files / name).read_bytes()).hexdigest() == wanted
    assert hashlib.sha256(back.read_bytes()).hexdigest() == wanted, get.stderr
    (nginx.files / name).unlink()


def test_many_at_once_over_few_connections(pair, tmp_path):
    if pair.downstream == "h2c":  # see above
        done = run("h2load", "-n", "50", "-c", "1", "-m", "50", f"{pair.url}/hello")
        assert "50 succeeded, 0 failed" in done.stdout, done.stdout
        return
    arguments = [part for at in range(50) for part in ("-o", tmp_path / str(at), f"{pair.url}/hello")]
    done = pair.curl("--parallel", "--parallel-max", "50", "-w", "%{http_code}\n", *arguments)
    assert done.stdout.split() == ["200"] * 50, done.stderr
    assert {(tmp_path / str(at)).read_text() for at in range(50)} == {"hello from nginx\n"}


def test_trailers_reach_the_client(pair, certificates):
    """curl stops at the Content-Length that nginx gives in HTTP/2, and an HTTP/1.1 client cannot have trailers then."""
    if pair.upstream.startswith("h1"):
        done = pair.curl("-i", "-H", "TE: trailers", f"{pair.url}/trailers")
        assert "x-checksum: c-" in done.stdout.lower(), done.stdout + done.stderr
    elif pair.version == "2":
        tls = client_context(certificates.ca, ["h2"]) if pair.downstream == "h2s" else None
        with http2.Client(pair.address, tls) as client:
            answer = client.get(path="/trailers")
        assert bytes(answer.body) == b"hello from nginx\n"
        assert [name for name, _ in answer.trailers] == ["x-checksum"]
    else:
        assert pair.curl(f"{pair.url}/trailers").stdout == "hello from nginx\n"
