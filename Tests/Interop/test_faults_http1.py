"""HTTP/1.1 upstreams that fail, and clients that leave."""

import threading

import pytest

from support.http1 import Client
from support.net import refused_address, reset, wait_until
from support.process import settled

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"


def close_at_once(exchange):
    return False


def reset_at_once(exchange):
    reset(exchange.sock)


def garbage(exchange):
    exchange.send(b"\x16\x03\x01 what is this\r\n\r\n")


def half_a_head(exchange):
    exchange.send("HTTP/1.1 200 OK\r\nContent-Le")


def both_framings(exchange):
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")


def early_hints_then_gone(exchange):
    exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")


@pytest.mark.parametrize(
    "fault", [close_at_once, reset_at_once, garbage, half_a_head, both_framings, early_hints_then_gone], ids=lambda f: f.__name__
)
def test_a_failure_before_the_response_is_a_502(start, fault):
    origin = start.origin(lambda exchange: exchange.respond(200, b"fine") if exchange.request.target == "/fine" else fault(exchange))
    proxy = start.proxy(origin.address)
    with Client(proxy.address) as client, Client(proxy.address) as other:
        assert other.ask(GET.format("/fine")).body == b"fine"
        answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert (answer.status, answer.body) == (502, b"")
        assert other.ask(GET.format("/fine")).body == b"fine"
    assert origin.targets().count("/") == 1, "a POST is not sent twice"


def test_nobody_listening_is_a_502_with_the_error_in_the_log(start):
    proxy = start.proxy(refused_address())
    with Client(proxy.address) as client:
        assert client.ask(GET.format("/")).status == 502
    proxy.wait_for("ConnectRefused")


TRUNCATED = {
    "length": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
    "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "inside a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
}


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_truncated_response_never_looks_complete(start, name, how):
    release = threading.Event()

    def answer(exchange):
        exchange.send(TRUNCATED[name])
        release.wait(10)
        if how == "resets":
            reset(exchange.sock)

    proxy = start.proxy(start.origin(answer).address)
    with Client(proxy.address) as client:
        client.send(GET.format("/"))
        head = client.reader.head()
        assert head.status == 200
        release.set()
        with pytest.raises((EOFError, ConnectionError)):
            client.reader.body(head, is_response=True)


def test_a_pooled_connection_that_was_closed_is_replaced(start):
    origin = start.origin(lambda exchange: exchange.respond(200, b"once") and False)
    proxy = start.proxy(origin.address)
    with Client(proxy.address) as client:
        for _ in range(20):
            assert client.ask(GET.format("/")).body == b"once"
    assert origin.accepted == 20


def test_a_client_that_leaves_ends_the_upstreams_work(start):
    left = threading.Event()

    def answer(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        if exchange.wait_for_end():
            left.set()

    proxy = start.proxy(start.origin(answer).address)
    with Client(proxy.address) as client:
        client.send(GET.format("/"))
        client.reader.until(b"abc")
    assert left.wait(20)


def test_an_early_answer_to_a_large_upload_arrives(start):
    def answer(exchange):
        exchange.respond(413, b"too much")
        exchange.wait_for_end()

    proxy = start.proxy(start.origin(answer, early=True).address)
    with Client(proxy.address) as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + "x" * 100_000)
        answer = client.response()
    assert (answer.status, answer.body) == (413, b"too much")


@pytest.mark.timeout(15)
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_the_bodies_of_two_ways_at_once(start, framing):
    """The origin streams what it gets, while it comes."""

    def answer(exchange):
        length = "Content-Length: 4000000" if framing == "length" else "Transfer-Encoding: chunked"
        exchange.send(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n")
        for _ in range(40):
            block = exchange.reader.exactly(100_000)
            exchange.send(block if framing == "length" else b"186a0\r\n" + block + b"\r\n")
        if framing == "chunked":
            exchange.send("0\r\n\r\n")
        return True

    proxy = start.proxy(start.origin(answer, early=True).address)
    with Client(proxy.address) as client:
        client.sock.settimeout(5)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
        head = client.reader.head()
        assert head.status == 200
        received = 0
        for number in range(40):
            block = bytes([number]) * 100_000
            client.send(block)
            while received < (number + 1) * 100_000:
                received += client.body_bytes(head)
        if framing == "chunked":
            assert client.reader.until(b"\r\n") == b"0\r\n"


def test_upgrade_is_a_tunnel_both_ways(start):
    origin = start.demo("origin")
    proxy = start.proxy(origin.address)
    with Client(proxy.address) as client:
        answer = client.ask("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (answer.status, answer.get("upgrade")) == (101, "websocket")
        for data in (b"\0\1\2\r\n\r\n", bytes(100_000), b"end"):
            client.send(data)
            assert client.reader.exactly(len(data)) == data
    with Client(proxy.address) as client:
        assert client.ask(GET.format("/")).status == 200


def test_an_upgrade_that_was_refused_is_no_tunnel(start):
    proxy = start.proxy(start.demo("origin").address)
    with Client(proxy.address) as client:
        answer = client.ask("GET /bytes/3 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (answer.status, answer.body) == (200, b"xxx")
        assert client.ask(GET.format("/status/404")).status == 404


def test_nothing_is_left_open_after_many_connections(start):
    origin = start.origin()
    proxy = start.proxy(origin.address, "--pool-size", "4")
    with Client(proxy.address) as client:
        assert client.ask(GET.format("/")).status == 200
    before = settled(proxy.descriptors)
    for _ in range(200):
        with Client(proxy.address) as client:
            assert client.ask(GET.format("/")).status == 200
    wait_until(lambda: proxy.descriptors() <= before + 4, "the descriptors to be closed")
