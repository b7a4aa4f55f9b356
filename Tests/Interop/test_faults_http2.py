"""HTTP/2 upstreams that fail or misbehave: a retry where it is safe, 502, or a reset; never a clean end of half a response."""

import socket
import threading

import hpack
import pytest
from hyperframe import frame as frames

from support import http1, http2, http2_origin
from support.exchange import VERSIONS, ask
from support.http2 import Code, Setting
from support.net import Server, server_context, wait_until

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"


def behind(start, answer, *options, **settings):
    """An HTTP/2 origin and the proxy in front of it."""
    origin = start.keep(http2_origin.Origin(answer, **settings))
    return origin, start.proxy(origin.address, "--h2c", "--upstream-http", "h2", "--max-h2-streams", "100", *options)


def once(fault):
    """Misbehaves with the first request for /fault, and answers all others."""
    done = threading.Event()

    def answer(exchange):
        if exchange.get(":path") == "/fault" and not done.is_set():
            done.set()
            fault(exchange)
        else:
            exchange.respond(200, b"fine")

    return answer


def always(fault):
    """Misbehaves with each request for /fault, and answers all others."""

    def answer(exchange):
        if exchange.get(":path") == "/fault":
            fault(exchange)
        else:
            exchange.respond(200, b"fine")

    return answer


def goaway_before(exchange):
    """The request has not been looked at: another connection may take it."""
    exchange.connection.goaway(max(exchange.number - 2, 0))


def refused(exchange):
    exchange.end(Code.REFUSED_STREAM)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", [goaway_before, refused], ids=lambda f: f.__name__)
def test_a_request_that_was_not_looked_at_is_made_again(start, fault, version, method):
    origin, proxy = behind(start, once(fault))
    assert ask(version, proxy.address).body == b"fine"
    got = ask(version, proxy.address, method, "/fault", body=b"abc" if method == "POST" else None)
    assert (got.status, got.body) == (200, b"fine")
    assert [bytes(each.body) for each in origin.exchanges if each.get(":path") == "/fault"][-1] == (b"abc" if method == "POST" else b"")


def internal_error(exchange):
    exchange.end(Code.INTERNAL_ERROR)


def goaway_with_error(exchange):
    exchange.connection.goaway(exchange.number, Code.INTERNAL_ERROR)
    exchange.connection.sock.shutdown(socket.SHUT_RDWR)


def close(exchange):
    exchange.connection.sock.shutdown(socket.SHUT_RDWR)


def hints_then_close(exchange):
    exchange.head(103, [("link", "</a.css>")])
    exchange.connection.sock.shutdown(socket.SHUT_RDWR)


def garbage(exchange):
    exchange.connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 10)


def head(*fields, ends=True):
    """A response head of whatever fields, behind hyper-h2's back."""

    def fault(exchange):
        block = hpack.Encoder().encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])
        flags = ["END_HEADERS", *(["END_STREAM"] if ends else [])]
        exchange.connection.raw(frames.HeadersFrame(exchange.number, data=block, flags=flags))

    return fault


def data_first(exchange):
    exchange.connection.raw(frames.DataFrame(exchange.number, data=b"abc", flags=["END_STREAM"]))


def push(exchange):
    block = hpack.Encoder().encode([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/pushed")])
    exchange.connection.raw(
        frames.PushPromiseFrame(exchange.number, promised_stream_id=2, data=block, flags=["END_HEADERS"])
    )


def bomb(exchange):
    block = hpack.Encoder().encode([(":status", "200"), ("bomb", "x" * 3_900)]) + b"\xbe" * 12_000
    exchange.connection.raw(frames.HeadersFrame(exchange.number, data=block, flags=["END_HEADERS", "END_STREAM"]))


def continuations(exchange):
    exchange.connection.raw(frames.HeadersFrame(exchange.number, data=hpack.Encoder().encode([(":status", "200")])))
    part = frames.ContinuationFrame(exchange.number, data=b"\x00\x01a\x7f\xff\x7c" + bytes(16_000)).serialize()
    for _ in range(1_000):
        exchange.connection.sock.sendall(part)


BEFORE_THE_HEAD = {
    "RST_STREAM": internal_error,
    "GOAWAY": goaway_with_error,
    "close": close,
    "103, then close": hints_then_close,
    "HTTP/1.1": garbage,
    "DATA first": data_first,
    "PUSH_PROMISE": push,
    "HPACK bomb": bomb,
    "CONTINUATION flood": continuations,
    "no status": head(("content-type", "a")),
    "status of letters": head((":status", "abc")),
    "two statuses": head((":status", "200"), (":status", "200")),
    "status after a field": head(("a", "b"), (":status", "200")),
    "path in a response": head((":status", "200"), (":path", "/")),
    "upper-case name": head((":status", "200"), ("Upper", "a")),
    "connection": head((":status", "200"), ("connection", "close")),
    "transfer-encoding": head((":status", "200"), ("transfer-encoding", "chunked")),
    "CRLF in value": head((":status", "200"), ("a", "b\r\nSmuggled: c")),
    "NUL in value": head((":status", "200"), ("a", "b\0c")),
    "space in name": head((":status", "200"), ("a b", "c")),
    "two lengths": head((":status", "200"), ("content-length", "3"), ("content-length", "4"), ends=False),
    "a length and no data": head((":status", "200"), ("content-length", "3")),
    "101": head((":status", "101")),
}


@pytest.mark.parametrize("name", BEFORE_THE_HEAD)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_failure_before_the_head_is_a_502(start, name, version):
    origin, proxy = behind(start, always(BEFORE_THE_HEAD[name]))
    before = proxy.forget_peak()
    got = ask(version, proxy.address, "POST", "/fault", body=b"abc")
    assert (got.status, got.body) == (502, b"")
    assert all(not field.startswith("smuggled") for field, _ in got.fields)
    assert origin.targets().count("/fault") == 1, "a POST that was looked at is not sent twice"
    assert ask(version, proxy.address, target="/after").body == b"fine"
    assert proxy.peak() - before < 48 << 10
    assert "upstream" in proxy.log()


def half(fault):
    """A head and part of the body, then the fault; the test says when."""

    def answer(exchange):
        exchange.connection.go = lambda: fault(exchange)
        exchange.head(200, [("content-length", "1000")])
        exchange.send(b"abc")

    return answer


def end_early(exchange):
    exchange.connection.raw(frames.DataFrame(exchange.number, flags=["END_STREAM"]))


def too_much(exchange):
    exchange.connection.raw(frames.DataFrame(exchange.number, data=bytes(2_000), flags=["END_STREAM"]))


def trailers_with_status(exchange):
    block = hpack.Encoder().encode([(":status", "200")])
    exchange.connection.raw(frames.HeadersFrame(exchange.number, data=block, flags=["END_HEADERS", "END_STREAM"]))


MIDSTREAM = [internal_error, refused, close, end_early, too_much, garbage, trailers_with_status, goaway_with_error]


@pytest.mark.parametrize("fault", MIDSTREAM, ids=lambda f: f.__name__)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_failure_in_the_middle_never_looks_like_an_end(start, fault, version):
    origin, proxy = behind(start, half(fault))
    if version == "h2":
        with http2.Client(proxy.address) as client:
            number = client.ask()
            client.pump(lambda: client.received == 3, "the first bytes")
            origin.connections[0].go()
            stream = client.response(number)
            assert stream.reset not in (None, Code.NO_ERROR)
            assert not stream.has_ended
            assert client.ping(), "the other streams of the connection go on"
    else:
        with http1.Client(proxy.address) as client:
            client.send(GET.format("/"))
            message = client.reader.head()
            client.reader.exactly(3)
            origin.connections[0].go()
            with pytest.raises((EOFError, ConnectionError)):
                client.reader.exactly(997)
            assert message.status == 200


def test_goaway_lets_what_has_begun_finish(start):
    def answer(exchange):
        if exchange.get(":path") == "/first":
            exchange.connection.finish = lambda: exchange.send(b"last", ends=True)
            exchange.head(200)
            exchange.connection.goaway(exchange.number)
            exchange.send(b"first ")
        else:
            exchange.respond(200, b"second")

    origin, proxy = behind(start, answer)
    with http2.Client(proxy.address) as client:
        first = client.ask(path="/first")
        client.pump(lambda: client.received == 6, "the first half")
        assert bytes(client.get(path="/second").body) == b"second"
        origin.connections[0].finish()
        assert bytes(client.response(first).body) == b"first last"
    assert len(origin.connections) == 2


class BothVersions(Server):
    """Chooses by ALPN; over HTTP/2 it says HTTP_1_1_REQUIRED."""

    def __init__(self, tls):
        self.h1 = http1.Origin(lambda exchange: exchange.respond(200, b"in HTTP/1.1: " + exchange.request.body))
        self.h2 = http2_origin.Origin(lambda exchange: exchange.end(Code.HTTP_1_1_REQUIRED))
        super().__init__(tls)

    def serve(self, sock):
        (self.h2 if sock.selected_alpn_protocol() == "h2" else self.h1).serve(sock)

    def close(self):
        super().close()
        self.h1.close()
        self.h2.close()


def test_http_1_1_required_is_obeyed_and_remembered(start, certificates):
    origin = start.keep(BothVersions(server_context(certificates.good, ["h2", "http/1.1"])))
    options = ["--upstream-tls", "--upstream-sni", "localhost", "--upstream-ca", certificates.ca, "--upstream-http", "auto"]
    proxy = start.proxy(origin.address, *options, tls=True)
    for number in range(3):
        got = ask("h1", proxy.address, "POST", f"/{number}", fields=[("Content-Length", "3")], body=b"abc")
        assert (got.status, got.body) == (200, b"in HTTP/1.1: abc")
    assert len(origin.h2.exchanges) == 1


@pytest.mark.parametrize(("limit", "connections"), [(100, 1), (30, 4), (10, 10)])
def test_a_burst_to_a_cold_upstream_opens_few_connections(start, limit, connections):
    release = threading.Event()
    waiting = []

    def answer(exchange):
        waiting.append(exchange)
        if len(waiting) == 100:
            release.set()
            for each in waiting:
                each.respond(200, b"together")

    origin, proxy = behind(start, answer, settings={Setting.MAX_CONCURRENT_STREAMS: limit})
    with http2.Client(proxy.address) as client:
        numbers = [client.ask(path=f"/{at}") for at in range(100)]
        assert all(bytes(client.response(number).body) == b"together" for number in numbers)
    assert release.is_set()
    assert origin.accepted == connections


def test_a_client_that_cancels_ends_one_stream_only(start):
    def answer(exchange):
        if exchange.get(":path") == "/endless":
            exchange.head(200)
            exchange.send(b"x")
        else:
            exchange.respond(200, b"fine")

    origin, proxy = behind(start, answer)
    with http2.Client(proxy.address) as client:
        for _ in range(10):
            number = client.ask(path="/endless")
            client.pump(lambda number=number: client.streams[number].body, "the first byte")
            client.send(frames.RstStreamFrame(number, error_code=Code.CANCEL))
        endless = [each for each in origin.exchanges if each.get(":path") == "/endless"]
        for each in endless:
            assert each.was_reset.wait(20)
            assert each.reset in (Code.CANCEL, Code.NO_ERROR)
        assert bytes(client.get(path="/").body) == b"fine"
    assert origin.accepted <= 2


def test_a_complete_body_without_the_end_of_its_stream_delays_nobody(start):
    """The HTTP/1.1 client has its Content-Length; the next request on its connection is served at once."""

    def answer(exchange):
        exchange.head(200, [("content-length", "3")])
        exchange.send(b"abc")

    _, proxy = behind(start, answer)
    with http1.Client(proxy.address) as client:
        client.sock.settimeout(10)
        for _ in range(3):
            assert client.ask(GET.format("/")).body == b"abc"


def test_an_upstream_that_answers_no_ping_is_found_dead(start):
    def answer(exchange):
        if len(exchange.connection.origin.connections) > 1:
            exchange.respond(200, b"alive")
        else:
            exchange.connection.is_alive = False

    origin, proxy = behind(start, answer, "--h2-ping-interval", "200")
    got = ask("h1", proxy.address, "POST", "/", fields=[("Content-Length", "3")], body=b"abc")
    assert got.status in (502, 504)
    proxy.wait_for(r"(?i)ping")
    assert ask("h1", proxy.address).body == b"alive"
    wait_until(lambda: origin.open_count == 1, "the dead connection to be closed")
