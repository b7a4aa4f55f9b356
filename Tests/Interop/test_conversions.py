"""What must be the same whichever of HTTP/1.1 and HTTP/2 is spoken on either side, and what the conversion changes."""

import pytest

from support import http2, http2_origin
from support.exchange import VERSIONS, ask, origin, seen
from support.http1 import Client

ONE_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "x-private", "x-listed"}


def answer(reply, target):
    """The origin: what it does is asked for by the target."""
    name = target.split("?")[0]
    if name == "/no-content":
        return reply.respond(204)
    if name == "/not-modified":
        return reply.respond(304, [("Content-Length", "1234"), ("ETag", '"a"')])
    if name == "/length":
        return reply.respond(200, [("Content-Length", "5")], b"12345")
    if name == "/trailers":
        return reply.respond(200, [("Trailer", "checksum")], b"12345", [("checksum", "abc"), ("grpc-status", "0")])
    if name == "/hints":
        reply.inform(103, [("Link", "</a.css>; rel=preload")])
        reply.inform(103, [("Link", "</b.css>; rel=preload")])
        return reply.respond(200, [("X-Final", "yes")], b"12345")
    if name == "/fields":
        many = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Mixed-Case", "Value"), ("X-Empty", ""), ("Vary", "a, b")]
        return reply.respond(200, many, b"12345")
    return reply.respond(200, [], reply.body)


@pytest.fixture(scope="module", params=VERSIONS)
def upstream(request, shared):
    """The upstream's version, an origin that speaks it, and a proxy in front."""
    server = shared.keep(origin(request.param, answer))
    proxy = shared.proxy(server.address, "--h2c", "--upstream-http", request.param)
    return request.param, server, proxy


@pytest.fixture(params=VERSIONS)
def scene(request, upstream):
    return Scene(request.param, *upstream)


class Scene:
    def __init__(self, version, upstream_version, server, proxy):
        self.version, self.upstream_version, self.server, self.proxy = version, upstream_version, server, proxy

    def ask(self, *arguments, **options):
        """The answer, and the request as the origin got it."""
        before = len(seen(self.server))
        got = ask(self.version, self.proxy.address, *arguments, **options)
        requests = seen(self.server)[before:]
        assert self.server.malformed == []
        assert self.server.failures == []
        assert len(requests) == 1, requests
        if self.version == "h2":
            assert all(name == name.lower() for name, _ in got.fields)
            assert not ONE_HOP & {name for name, _ in got.fields}
        return got, requests[0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"])
def test_methods(scene, method):
    got, request = scene.ask(method, "/length?q=%41&r=a/b", host="name.example:8080")
    assert (got.status, got.body, got.all("content-length")) == (200, b"" if method == "HEAD" else b"12345", ["5"])
    assert (request.method, request.target, request.host) == (method, "/length?q=%41&r=a/b", "name.example:8080")
    if scene.upstream_version == "h2":
        assert request.scheme == "http"


@pytest.mark.parametrize("size", [0, 1, 60_000])
@pytest.mark.parametrize("framing", ["known length", "unknown length"])
def test_bodies(scene, size, framing):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    fields = [("Content-Length", str(size))] if framing == "known length" else []
    got, request = scene.ask("POST", "/echo", fields=fields, body=body)
    assert (got.status, got.body, request.body) == (200, body, body)
    if framing == "known length":
        assert request.all("content-length") == [str(size)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("target", "status"), [("/no-content", 204), ("/not-modified", 304)])
def test_responses_without_a_body(scene, method, target, status):
    got, _ = scene.ask(method, target)
    assert (got.status, got.body) == (status, b"")
    if status == 304:
        assert got.all("etag") == ['"a"']
    else:
        assert got.all("content-length") == []


def test_fields_pass_in_order_with_empty_and_repeated_ones(scene):
    fields = [("X-First", "1"), ("X-Empty", ""), ("Accept", "a, b"), ("X-Same", "1"), ("X-Same", "2"), ("X-High", "\xe9")]
    got, request = scene.ask(target="/fields", fields=fields)
    sent = [(name.lower(), value) for name, value in fields]
    assert [field for field in request.fields if field in sent] == sent
    assert got.all("set-cookie") == ["a=1", "b=2"]
    assert (got.all("x-mixed-case"), got.all("x-empty"), got.all("vary")) == (["Value"], [""], ["a, b"])


def test_cookies_are_one_field_towards_http1(scene):
    got, request = scene.ask(fields=[("Cookie", "a=1"), ("Cookie", "b=2"), ("Cookie", "c=3; d=4")])
    assert got.status == 200
    cookies = request.all("cookie")
    assert "; ".join(cookies) == "a=1; b=2; c=3; d=4"
    if (scene.version, scene.upstream_version) == ("h2", "h1"):
        assert len(cookies) == 1


def test_trailers_of_a_request(scene):
    got, request = scene.ask("POST", "/echo", body=b"abc", trailers=[("checksum", "abc"), ("x-more", "1")])
    assert (got.status, request.body) == (200, b"abc")
    assert request.trailers == [("checksum", "abc"), ("x-more", "1")]


def test_trailers_of_a_response(scene):
    got, _ = scene.ask(target="/trailers", fields=[("TE", "trailers")])
    assert (got.status, got.body) == (200, b"12345")
    assert got.trailers == [("checksum", "abc"), ("grpc-status", "0")]


def test_early_hints(scene):
    got, _ = scene.ask(target="/hints")
    assert (got.status, got.body, got.all("x-final")) == (200, b"12345", ["yes"])
    assert [status for status, _ in got.informational] == [103, 103]
    links = [value for _, fields in got.informational for name, value in fields if name == "link"]
    assert links == ["</a.css>; rel=preload", "</b.css>; rel=preload"]


def test_te_is_trailers_or_nothing(scene):
    _, request = scene.ask(fields=[("TE", "trailers")])
    assert request.all("te") in ([], ["trailers"])
    if scene.upstream_version == "h2":
        assert request.all("te") == ["trailers"], "gRPC servers ask for it"


def test_fields_of_one_hop_do_not_pass(upstream):
    """From an HTTP/1.1 client; in HTTP/2 they are malformed."""
    fields = [
        ("Connection", "X-Private, x-listed"), ("X-Private", "1"), ("X-Listed", "1"), ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic abc"), ("TE", "gzip;q=0.5"),
    ]  # fmt: skip
    got, request = Scene("h1", *upstream).ask(fields=fields)
    assert got.status == 200
    names = {name for name, _ in request.fields}
    assert not names & (ONE_HOP - {"connection"} | {"te", "proxy-authorization"})
    assert "connection" not in names or upstream[0] == "h1"


def test_an_authority_may_be_in_host_alone(upstream):
    """RFC 9113 8.3.1: a request that came from HTTP/1.1 may have no :authority."""
    _, server, proxy = upstream
    with http2.Client(proxy.address) as client:
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/length"), ("host", "name.example")]
        assert client.response(client.ask(fields)).status == 200
    assert seen(server)[-1].host == "name.example"


def test_options_asterisk(scene):
    got, request = scene.ask("OPTIONS", "*")
    assert (got.status, request.method, request.target) == (200, "OPTIONS", "*")


def test_a_body_that_is_sent_without_waiting_for_100(scene):
    got, request = scene.ask("POST", "/echo", fields=[("Expect", "100-continue"), ("Content-Length", "3")], body=b"abc")
    assert (got.status, got.body, request.body) == (200, b"abc", b"abc")


def answer_h1_to_expectation(exchange):
    exchange.send("HTTP/1.1 100 Continue\r\n\r\n")
    exchange.reader.body(exchange.request)
    return exchange.respond(200, exchange.request.body)


def answer_h2_to_expectation(exchange):
    exchange.head(100)
    exchange.on_data = lambda data: exchange.respond(200, data)


@pytest.mark.parametrize("upstream_version", VERSIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_waits_for_100(start, version, upstream_version):
    """The body is sent when the 100 has come from the origin, and the origin waits for the body."""
    if upstream_version == "h1":
        origin = start.origin(answer_h1_to_expectation, early=True)
    else:
        origin = start.keep(http2_origin.Origin(answer_h2_to_expectation, early=True))
    proxy = start.proxy(origin.address, "--h2c", "--upstream-http", upstream_version)
    if version == "h1":
        with Client(proxy.address) as client:
            client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert client.reader.head().status == 100
            client.send("abc")
            assert client.response().body == b"abc"
    else:
        with http2.Client(proxy.address) as client:
            number = client.new_stream()
            extra = [("expect", "100-continue"), ("content-length", "3")]
            client.send(client.headers(number, http2.request("POST", extra=extra)))
            client.pump(lambda: client.streams[number].informational, "the 100")
            assert client.streams[number].informational[0][0] == (":status", "100")
            client.send(http2.data(number, b"abc", ends=True))
            assert bytes(client.response(number).body) == b"abc"


def test_an_http1_client_that_types_slowly_where_http2_is_spoken_too(upstream):
    _, server, proxy = upstream
    with Client(proxy.address) as client:
        for byte in "PUT /slowly HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            client.send(byte)
        assert client.response().body == b"abc"
        for byte in "GET /length HTTP/1.1\r\nHost: a\r\n\r\n":
            client.send(byte)
        assert client.response().body == b"12345"
    assert [request.method for request in seen(server)[-2:]] == ["PUT", "GET"]
