"""WebSockets through every pair of HTTP versions."""

import contextlib
import os

import pytest
import websockets.exceptions

from support import websocket

ORIGINS = {"h1": websocket.OriginH1, "h2": websocket.OriginH2}
CLIENTS = {"h1": websocket.ClientH1, "h2": websocket.ClientH2}


@pytest.fixture(scope="module", params=ORIGINS)
def upstream(request, shared):
    origin = shared.keep(ORIGINS[request.param]())
    return origin, shared.proxy(origin.address, "--h2c", "--upstream-http", request.param)


@pytest.fixture(params=CLIENTS)
def connect(request, upstream):
    """Opens a WebSocket through the proxy."""

    def connect(path="/chat"):
        return CLIENTS[request.param](upstream[1].address, path)

    return connect


def test_echo(connect):
    with contextlib.closing(connect()) as socket:
        assert socket.subprotocol == "chat"
        for message in ("hello", "größe", b"\0\1\2", "x" * 100_000, os.urandom(2 << 20), ""):
            socket.send(message)
            assert socket.receive() == message


def test_many_messages_in_order(connect):
    with contextlib.closing(connect()) as socket:
        for number in range(500):
            socket.send(str(number))
        assert [socket.receive() for _ in range(500)] == [str(number) for number in range(500)]


def test_ping(connect):
    with contextlib.closing(connect()) as socket:
        assert socket.ping()


def test_a_close_by_the_client(connect, upstream):
    upstream[0].closed.clear()
    socket = connect()
    socket.send("hello")
    assert socket.receive() == "hello"
    socket.close()
    assert upstream[0].closed.wait(20)


def test_a_close_by_the_server(connect):
    with contextlib.closing(connect()) as socket:
        socket.send("bye")
        assert socket.receive() == ("closed", 1001)


def test_a_server_that_vanishes(connect):
    with contextlib.closing(connect()) as socket:
        socket.send("die")
        assert socket.receive() == ("closed", None)


def test_a_refusal(connect):
    with pytest.raises((websocket.Refused, websockets.exceptions.InvalidStatus), match="HTTP 403"):
        connect("/no")


@pytest.mark.parametrize("version", CLIENTS)
def test_an_upstream_that_cannot_do_it(start, version):
    """HTTP/2 without extended CONNECT: the handshake fails, and cleanly."""
    origin = start.keep(websocket.OriginH2(allows=False))
    proxy = start.proxy(origin.address, "--h2c", "--upstream-http", "h2")
    with pytest.raises((websocket.Refused, websockets.exceptions.InvalidStatus), match="HTTP (403|50[0-9])"):
        CLIENTS[version](proxy.address)
    assert all(exchange.get(":protocol") is None for exchange in origin.exchanges)
