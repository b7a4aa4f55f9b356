"""Malformed HTTP/2 requests: an error on the stream or the connection, or 400, and nothing of them at the origin."""

import pytest
from hyperframe.frame import ContinuationFrame

from support import http2_origin
from support.http2 import Client, Code, data, request

PSEUDO = request(method="POST", path="/bad")


def with_fields(*fields):
    return [*PSEUDO, *fields]


def without(name):
    return [field for field in PSEUDO if field[0] != name]


def replaced(name, value):
    return [(field, value if field == name else old) for field, old in PSEUDO]


# RFC 9113 8.1.1 to 8.3.1, and RFC 9110 for the values.
MALFORMED = {
    "upper-case name": with_fields(("Accept", "a")),
    "connection": with_fields(("connection", "keep-alive")),
    "connection close": with_fields(("connection", "close")),
    "keep-alive": with_fields(("keep-alive", "timeout=1")),
    "proxy-connection": with_fields(("proxy-connection", "keep-alive")),
    "transfer-encoding": with_fields(("transfer-encoding", "chunked")),
    "upgrade": with_fields(("upgrade", "websocket")),
    "te other than trailers": with_fields(("te", "gzip")),
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "no authority and no host": without(":authority"),
    "empty path": replaced(":path", ""),
    "path without a slash": replaced(":path", "bad"),
    "asterisk with POST": replaced(":path", "*"),
    "empty method": replaced(":method", ""),
    "empty authority": replaced(":authority", ""),
    "two paths": [*PSEUDO, (":path", "/bad")],
    "two methods": [*PSEUDO, (":method", "POST")],
    "two authorities": [*PSEUDO, (":authority", "localhost")],
    "two schemes": [*PSEUDO, (":scheme", "http")],
    "pseudo after regular": [*without(":path"), ("accept", "a"), (":path", "/bad")],
    "unknown pseudo": [*PSEUDO, (":what", "x")],
    "status in a request": [*PSEUDO, (":status", "200")],
    "protocol without CONNECT": [*PSEUDO, (":protocol", "websocket")],
    "CONNECT with path": replaced(":method", "CONNECT"),
    "CR in value": with_fields(("a", "b\rc")),
    "LF in value": with_fields(("a", "b\nc")),
    "CRLF in value": with_fields(("a", "b\r\nsmuggled: c")),
    "NUL in value": with_fields(("a", "b\0c")),
    "control byte in value": with_fields(("a", "b\x01c")),
    "value begins with a space": with_fields(("a", " b")),
    "value ends with a tab": with_fields(("a", "b\t")),
    "empty name": with_fields(("", "b")),
    "space in name": with_fields(("a b", "c")),
    "colon in name": with_fields(("a:b", "c")),
    "CR in name": with_fields(("a\rb", "c")),
    "LF in name": with_fields(("a\nb", "c")),
    "CRLF in name": with_fields(("a: b\r\nc", "d")),
    "NUL in name": with_fields(("a\0b", "c")),
    "high byte in name": with_fields(("a\xffb", "c")),
    "CRLF in path": replaced(":path", "/bad HTTP/1.1\r\nHost: a\r\n\r\nGET /"),
    "space in path": replaced(":path", "/bad HTTP/1.1"),
    "NUL in path": replaced(":path", "/bad\0"),
    "LF in method": replaced(":method", "POST\nX"),
    "space in method": replaced(":method", "POST /bad HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    "CRLF in authority": replaced(":authority", "localhost\r\nsmuggled: a"),
    "space in authority": replaced(":authority", "local host"),
    "user in authority": replaced(":authority", "user@localhost"),
    "slash in authority": replaced(":authority", "localhost/a"),
    "CRLF in scheme": replaced(":scheme", "http\r\nsmuggled: a"),
    "host differs from authority": with_fields(("host", "other")),
    "two hosts": with_fields(("host", "localhost"), ("host", "localhost")),
    "two lengths": with_fields(("content-length", "3"), ("content-length", "4")),
    "signed length": with_fields(("content-length", "+3")),
    "negative length": with_fields(("content-length", "-3")),
    "list of lengths": with_fields(("content-length", "3, 3")),
    "no number for a length": with_fields(("content-length", "three")),
    "overflowing length": with_fields(("content-length", "99999999999999999999")),
}


@pytest.fixture(scope="module")
def origins(shared):
    return {"h1": shared.origin(), "h2": shared.keep(http2_origin.Origin())}


@pytest.fixture(scope="module")
def proxies(shared, origins):
    return {
        version: shared.proxy(origin.address, "--h2c", "--upstream-http", version) for version, origin in origins.items()
    }


@pytest.fixture(scope="module")
def bystanders(proxies):
    """One connection to each proxy that stays open for all tests."""
    clients = {version: Client(proxy.address) for version, proxy in proxies.items()}
    yield clients
    for client in clients.values():
        client.close()


class Scene:
    """The proxy between an origin that records and a client that misbehaves, with a bystander."""

    def __init__(self, origin, proxy, bystander):
        self.origin, self.proxy, self.bystander = origin, proxy, bystander
        self.seen = self.count()

    def count(self):
        return len(self.complete())

    def complete(self):
        """The targets of the requests that were complete at the origin."""
        if isinstance(self.origin, http2_origin.Origin):
            return [exchange.get(":path") for exchange in list(self.origin.exchanges) if exchange.has_ended]
        return self.origin.targets()

    def check(self, *served):
        """Nobody else has noticed anything, and the origin has got nothing but what was to be served."""
        number = self.bystander.ask(path="/bystander")
        assert self.bystander.outcome(number) == ("status", 200)
        assert self.complete()[self.seen :] == [*served, "/bystander"]
        assert self.origin.malformed == []


@pytest.fixture(params=["h1", "h2"])
def scene(request, origins, proxies, bystanders):
    return Scene(origins[request.param], proxies[request.param], bystanders[request.param])


MALFORMED_ENDS = [("stream", Code.PROTOCOL_ERROR), ("connection", Code.PROTOCOL_ERROR), ("status", 400)]


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_fields(scene, name):
    with Client(scene.proxy.address) as client:
        number = client.ask(MALFORMED[name], body=b"abc")
        assert client.outcome(number) in MALFORMED_ENDS
        scene.check()


LENGTHS = {
    "less than announced": ("5", [b"abc"]),
    "more than announced": ("3", [b"abcde"]),
    "more than announced, in two frames": ("3", [b"abc", b"de"]),
    "nothing of what was announced": ("3", [b""]),
    "something where nothing was announced": ("0", [b"abc"]),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_that_is_not_that_of_the_data(scene, name):
    length, parts = LENGTHS[name]
    with Client(scene.proxy.address) as client:
        number = client.new_stream()
        head = client.headers(number, with_fields(("content-length", length)))
        client.send(head, *[data(number, part, ends=part is parts[-1]) for part in parts])
        assert client.outcome(number) in MALFORMED_ENDS
        # What had been announced may be on its way, well formed, before the rest comes.
        is_complete_before_the_rest = parts[0] == b"abc" and scene.count() > scene.seen
        scene.check(*["/bad"] * is_complete_before_the_rest)


def test_a_length_and_no_data(scene):
    with Client(scene.proxy.address) as client:
        assert client.outcome(client.ask(with_fields(("content-length", "3")))) in MALFORMED_ENDS
        scene.check()


TRAILERS = {
    "pseudo-header": [(":path", "/other")],
    "upper-case name": [("Checksum", "a")],
    "CRLF in value": [("checksum", "a\r\n\r\nGET / HTTP/1.1")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
}


@pytest.mark.parametrize("name", TRAILERS)
def test_malformed_trailers(scene, name):
    with Client(scene.proxy.address) as client:
        number = client.new_stream()
        client.send(client.headers(number, PSEUDO), data(number, b"abc"), client.headers(number, TRAILERS[name], ends=True))
        assert client.outcome(number) in MALFORMED_ENDS
        scene.check()


def test_trailers_that_end_nothing(scene):
    with Client(scene.proxy.address) as client:
        number = client.new_stream()
        client.send(client.headers(number, PSEUDO), data(number, b"abc"), client.headers(number, [("checksum", "a")]))
        assert client.outcome(number) in MALFORMED_ENDS
        scene.check()


def test_connect_is_refused(scene):
    with Client(scene.proxy.address) as client:
        number = client.ask([(":method", "CONNECT"), (":authority", "localhost:80")])
        assert client.outcome(number) == ("status", 405)
        scene.check()


@pytest.mark.parametrize("size", [70_000, 200_000, 400_000])
def test_a_header_list_over_the_limit(scene, size):
    """The default is 64 KiB; how much of the rest is read before the end is the proxy's choice."""
    with Client(scene.proxy.address) as client:
        number = client.new_stream()
        block = client.block([*PSEUDO, *((f"a{at}", "x" * 8_000) for at in range(size // 8_000 + 1))])
        parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        client.send(client.headers(number, parts[0], ends=True, flags=["END_HEADERS"] if len(parts) == 1 else []))
        for part in parts[1:]:
            flags = ["END_HEADERS"] if part is parts[-1] else []
            client.send(ContinuationFrame(number, data=part, flags=flags))
        assert client.outcome(number) in [
            ("status", 431),
            ("stream", Code.ENHANCE_YOUR_CALM),
            ("stream", Code.PROTOCOL_ERROR),
            ("stream", Code.CANCEL),
            ("connection", Code.ENHANCE_YOUR_CALM),
            ("connection", Code.COMPRESSION_ERROR),
            ("connection", Code.PROTOCOL_ERROR),
            ("closed", None),  # what it said before may be lost when so much more was on the way
        ]
        scene.check()


def test_well_formed_fields_pass(scene):
    """What the tables above differ from is served."""
    with Client(scene.proxy.address) as client:
        fields = request(method="POST", path="/good", extra=[("te", "trailers"), ("content-length", "3"), ("a", "b c\td\x80")])
        answer = client.response(client.ask(fields, body=b"abc"))
        assert (answer.status, bytes(answer.body)) == (200, b"abc")
        assert scene.complete()[scene.seen :] == ["/good"]
