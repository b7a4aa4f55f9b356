"""Malformed HTTP/1.1 requests, as bytes on a socket: the right status, and nothing of them at the origin."""

import pytest

from support.http1 import Client

GET = "GET / HTTP/1.1\r\n"
HOST = "Host: a\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

MALFORMED = {
    "no version": (400, "GET /\r\n" + HOST + "\r\n"),
    "words for a version": (400, "GET / FOO/1.1\r\n" + HOST + "\r\n"),
    "two spaces": (400, "GET  / HTTP/1.1\r\n" + HOST + "\r\n"),
    "bad method": (400, "G\x01T / HTTP/1.1\r\n" + HOST + "\r\n"),
    "control byte in target": (400, "GET /\x01 HTTP/1.1\r\n" + HOST + "\r\n"),
    "no colon": (400, GET + HOST + "broken\r\n\r\n"),
    "space before colon": (400, GET + HOST + "A : b\r\n\r\n"),
    "empty name": (400, GET + HOST + ": b\r\n\r\n"),
    "folded": (400, GET + HOST + "A: b\r\n c\r\n\r\n"),
    "fold first": (400, GET + " A: b\r\n" + HOST + "\r\n"),
    "NUL in value": (400, GET + HOST + "A: b\0c\r\n\r\n"),
    "control byte in value": (400, GET + HOST + "A: b\x01c\r\n\r\n"),
    "bare CR": (400, GET + HOST + "A: b\rc\r\n\r\n"),
    "bare LF": (400, "GET / HTTP/1.1\nHost: a\n\n"),
    "bare LF in fields": (400, GET + "Host: a\nA: b\r\n\r\n"),
    "no host": (400, GET + "\r\n"),
    "two hosts": (400, GET + HOST + HOST + "\r\n"),
    "user in host": (400, GET + "Host: user@a\r\n\r\n"),
    "both framings": (400, POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "equal lengths": (400, POST + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "signed length": (400, POST + "Content-Length: +3\r\n\r\nabc"),
    "negative length": (400, POST + "Content-Length: -3\r\n\r\n"),
    "hexadecimal length": (400, POST + "Content-Length: 0x3\r\n\r\nabc"),
    "overflowing length": (400, POST + "Content-Length: 99999999999999999999\r\n\r\n"),
    "list of lengths": (400, POST + "Content-Length: 3, 4\r\n\r\nabcd"),
    "chunked twice": (400, POST + "Transfer-Encoding: identity, chunked, chunked\r\n\r\n0\r\n\r\n"),
    "coded in 1.0": (400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "unknown coding": (501, POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "version 2": (505, "GET / HTTP/2.0\r\n" + HOST + "\r\n"),
    "large head": (431, GET + HOST + "A: " + "x" * 2_000_000 + "\r\n\r\n"),
    "many fields": (431, GET + HOST + "A: b\r\n" * 10_000 + "\r\n"),
    "long target": (414, "GET /" + "x" * 2_000_000 + " HTTP/1.1\r\n" + HOST + "\r\n"),
}

# The head is well formed, and may have gone to the origin before the body turns out not to be.
MALFORMED_BODIES = {
    "chunk size overflow": CHUNKED + "fffffffffffffffff\r\n",
    "no chunk size": CHUNKED + "\r\nabc\r\n0\r\n\r\n",
    "signed chunk size": CHUNKED + "+3\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + "3\r\nabcd\r\n0\r\n\r\n",
    "bare LF after size": CHUNKED + "3\nabc\r\n0\r\n\r\n",
    "bare LF after chunk": CHUNKED + "3\r\nabc\n0\r\n\r\n",
    "space for a size": CHUNKED + " 3\r\nabc\r\n0\r\n\r\n",
    "bad trailer": CHUNKED + "3\r\nabc\r\n0\r\nbroken\r\n\r\n",
}


@pytest.fixture(scope="module")
def origin(shared):
    return shared.origin()


@pytest.fixture(scope="module")
def proxy(shared, origin):
    return shared.proxy(origin.address)


def still_serves(proxy):
    """Another connection notices nothing."""
    with Client(proxy.address) as client:
        assert client.ask(GET + "Host: after\r\n\r\n").status == 200


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request(origin, proxy, name):
    status, request = MALFORMED[name]
    before = len(origin.requests)
    with Client(proxy.address) as client:
        try:
            # A second request must not be found in what follows a malformed one.
            client.send(request + GET + "Host: smuggled\r\n\r\n")
        except ConnectionError:
            pass  # it has answered and closed before it has read all
        answer = client.response()
        assert answer.status == status
        assert answer.get("connection") == "close"
        assert client.is_closed()
    still_serves(proxy)
    assert [request.get("host") for request in origin.requests[before:]] == ["after"]
    assert origin.malformed == []


@pytest.mark.parametrize("name", MALFORMED_BODIES)
def test_malformed_body(origin, proxy, name):
    before = len(origin.requests)
    with Client(proxy.address) as client:
        client.send(MALFORMED_BODIES[name] + GET + "Host: smuggled\r\n\r\n")
        answer = client.response()
        assert answer.status == 400
        assert client.is_closed()
    still_serves(proxy)
    assert [request.get("host") for request in origin.requests[before:]] == ["after"]
    assert origin.malformed == []


def test_a_request_in_single_bytes_is_served(origin, proxy):
    with Client(proxy.address) as client:
        for byte in "POST /slowly HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            client.send(byte)
        assert client.response().body == b"abc"
    assert origin.requests[-1].target == "/slowly"
