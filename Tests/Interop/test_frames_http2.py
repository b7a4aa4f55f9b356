"""HTTP/2 frames that break RFC 9113: its error code, on the stream or the connection, and nobody else notices."""

import threading

import pytest
from hyperframe import frame as frames

from support.http2 import PREFACE, Client, Code, Setting, data, raw_frame, request

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
GREASE = 0x0B


@pytest.fixture(scope="module")
def proxy(shared):
    return shared.proxy(shared.origin().address, "--h2c")


@pytest.fixture(scope="module")
def bystander(proxy):
    with Client(proxy.address) as client:
        yield client


def setting(number, value):
    return raw_frame(SETTINGS, 0, 0, number.to_bytes(2, "big") + value.to_bytes(4, "big"))


def word(value):
    return value.to_bytes(4, "big")


def get_block(client):
    return client.block(request())


PROTOCOL, SIZE, FLOW, COMPRESSION, CLOSED = (
    Code.PROTOCOL_ERROR,
    Code.FRAME_SIZE_ERROR,
    Code.FLOW_CONTROL_ERROR,
    Code.COMPRESSION_ERROR,
    Code.STREAM_CLOSED,
)

# What is sent on a connection that has just begun, and the codes with which it may end.
BROKEN = {
    "DATA on the connection": (lambda c: raw_frame(DATA, 0, 0, b"abc"), {PROTOCOL}),
    "DATA on an idle stream": (lambda c: raw_frame(DATA, 0, 1, b"abc"), {PROTOCOL, CLOSED}),
    "DATA padded beyond its end": (lambda c: c.headers(1, request("POST")).serialize() + raw_frame(DATA, 8, 1, b"\x09abc"), {PROTOCOL}),
    "HEADERS on the connection": (lambda c: raw_frame(HEADERS, 5, 0, get_block(c)), {PROTOCOL}),
    "HEADERS on an even stream": (lambda c: raw_frame(HEADERS, 5, 2, get_block(c)), {PROTOCOL}),
    "HEADERS padded beyond its end": (lambda c: raw_frame(HEADERS, 0xD, 1, b"\xff" + get_block(c)), {PROTOCOL}),
    "HEADERS that are no HPACK": (lambda c: raw_frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"), {COMPRESSION}),
    "HPACK index beyond the table": (lambda c: raw_frame(HEADERS, 5, 1, b"\xbf\x10"), {COMPRESSION}),
    "HPACK string beyond the block": (lambda c: raw_frame(HEADERS, 5, 1, b"\x00\x7f\x10abc"), {COMPRESSION}),
    "HPACK table larger than allowed": (lambda c: raw_frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x03" + get_block(c)), {COMPRESSION}),
    "CONTINUATION out of nothing": (lambda c: raw_frame(CONTINUATION, 4, 1, b""), {PROTOCOL}),
    "CONTINUATION on another stream": (
        lambda c: raw_frame(HEADERS, 1, 1, get_block(c)) + raw_frame(CONTINUATION, 4, 3, b""),
        {PROTOCOL},
    ),
    "PING amidst HEADERS": (lambda c: raw_frame(HEADERS, 1, 1, get_block(c)) + raw_frame(PING, 0, 0, bytes(8)), {PROTOCOL}),
    "unknown frame amidst HEADERS": (lambda c: raw_frame(HEADERS, 1, 1, get_block(c)) + raw_frame(GREASE, 0, 0, b""), {PROTOCOL}),
    "PUSH_PROMISE of a client": (
        lambda c: c.headers(1, request("POST")).serialize() + raw_frame(PUSH_PROMISE, 4, 1, word(2) + get_block(c)),
        {PROTOCOL},
    ),
    "RST_STREAM on the connection": (lambda c: raw_frame(RST_STREAM, 0, 0, word(8)), {PROTOCOL}),
    "RST_STREAM on an idle stream": (lambda c: raw_frame(RST_STREAM, 0, 1, word(8)), {PROTOCOL}),
    "RST_STREAM of 3 bytes": (
        lambda c: c.headers(1, request("POST")).serialize() + raw_frame(RST_STREAM, 0, 1, b"abc"),
        {SIZE},
    ),
    "SETTINGS on a stream": (lambda c: raw_frame(SETTINGS, 0, 1, b""), {PROTOCOL}),
    "SETTINGS of 5 bytes": (lambda c: raw_frame(SETTINGS, 0, 0, b"abcde"), {SIZE}),
    "SETTINGS ACK that says something": (lambda c: raw_frame(SETTINGS, 1, 0, bytes(6)), {SIZE}),
    "ENABLE_PUSH of 2": (lambda c: setting(Setting.ENABLE_PUSH, 2), {PROTOCOL}),
    "INITIAL_WINDOW_SIZE of 2^31": (lambda c: setting(Setting.INITIAL_WINDOW_SIZE, 1 << 31), {FLOW}),
    "MAX_FRAME_SIZE of 16383": (lambda c: setting(Setting.MAX_FRAME_SIZE, 16_383), {PROTOCOL}),
    "MAX_FRAME_SIZE of 2^24": (lambda c: setting(Setting.MAX_FRAME_SIZE, 1 << 24), {PROTOCOL}),
    "PING on a stream": (lambda c: raw_frame(PING, 0, 1, bytes(8)), {PROTOCOL}),
    "PING of 7 bytes": (lambda c: raw_frame(PING, 0, 0, bytes(7)), {SIZE}),
    "GOAWAY on a stream": (lambda c: raw_frame(GOAWAY, 0, 1, bytes(8)), {PROTOCOL}),
    "GOAWAY of 7 bytes": (lambda c: raw_frame(GOAWAY, 0, 0, bytes(7)), {SIZE}),
    "WINDOW_UPDATE by nothing": (lambda c: raw_frame(WINDOW_UPDATE, 0, 0, word(0)), {PROTOCOL}),
    "WINDOW_UPDATE beyond 2^31": (lambda c: raw_frame(WINDOW_UPDATE, 0, 0, word(0x7FFFFFFF)), {FLOW}),
    "WINDOW_UPDATE of 3 bytes": (lambda c: raw_frame(WINDOW_UPDATE, 0, 0, b"abc"), {SIZE}),
    "WINDOW_UPDATE on an idle stream": (lambda c: raw_frame(WINDOW_UPDATE, 0, 1, word(1)), {PROTOCOL}),
    "a frame over 16 KiB": (lambda c: raw_frame(HEADERS, 5, 1, bytes(16_385)), {SIZE}),
    "a frame of 16 MiB": (lambda c: raw_frame(GREASE, 0, 0, bytes((1 << 24) - 1)), {SIZE}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_frame_that_ends_the_connection(proxy, bystander, name):
    make, codes = BROKEN[name]
    with Client(proxy.address) as client:
        assert client.get().status == 200 if name.startswith("WINDOW_UPDATE beyond") else client.ping()
        client.send(make(client))
        code = client.fate()
        # A close with much of what was sent unread may swallow the GOAWAY.
        assert code in codes or (code is None and name == "a frame of 16 MiB")
    assert bystander.get().status == 200


def test_a_stream_that_was_passed_over_stays_closed(proxy, bystander):
    """RFC 9113 5.1.1: opening stream 5 has closed stream 3."""
    with Client(proxy.address) as client:
        client.send(client.headers(5, request(), ends=True), client.headers(3, request(), ends=True))
        assert client.outcome(5) == ("status", 200) or client.fate() in {PROTOCOL, CLOSED}
        client.pump(lambda: client.goaways or client.ping())
        assert 3 not in client.streams or client.streams[3].fields is None
    assert bystander.get().status == 200


def first_of_a_post(client):
    number = client.new_stream()
    client.send(client.headers(number, request("POST")))
    return number


STREAM_ERRORS = {
    "WINDOW_UPDATE by nothing": (lambda c, n: raw_frame(WINDOW_UPDATE, 0, n, word(0)), {PROTOCOL}),
    "WINDOW_UPDATE beyond 2^31": (lambda c, n: raw_frame(WINDOW_UPDATE, 0, n, word(0x7FFFFFFF)), {FLOW}),
    "PRIORITY of 4 bytes": (lambda c, n: raw_frame(PRIORITY, 0, n, bytes(4)), {SIZE}),
    "DATA after the end": (lambda c, n: raw_frame(DATA, 1, n, b"") + raw_frame(DATA, 0, n, b"abc"), {CLOSED}),
    "HEADERS after the end": (
        lambda c, n: raw_frame(DATA, 1, n, b"") + c.headers(n, [("a", "b")], ends=True).serialize(),
        {CLOSED, PROTOCOL},
    ),
}


@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_a_frame_that_ends_the_stream(proxy, bystander, name):
    """Or the connection: RFC 9113 5.4 lets a stream error be treated so."""
    make, codes = STREAM_ERRORS[name]
    with Client(proxy.address) as client:
        number = first_of_a_post(client)
        client.send(make(client, number))
        kind, code = client.outcome(number)
        # The response may have been on its way already.
        assert (kind in ("stream", "connection") and code in codes) or (kind == "status" and "after the end" in name)
    assert bystander.get().status == 200


def test_more_data_than_the_window(start):
    """The origin reads nothing, so that no window is opened."""
    release = threading.Event()
    try:
        proxy = start.proxy(start.origin(lambda exchange: release.wait(30) and False, early=True).address, "--h2c")
        with Client(proxy.address) as client:
            number = first_of_a_post(client)
            client.ping()
            window = client.settings.get(Setting.INITIAL_WINDOW_SIZE, 65_535)
            for _ in range(window // 16_384 + 600):  # what the proxy and two sockets may hold, and more
                client.send(data(number, bytes(16_384)))
            assert client.outcome(number) in [("stream", FLOW), ("connection", FLOW), ("closed", None)]
    finally:
        release.set()


PREFACES = {
    "another word": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "no SETTINGS": PREFACE + raw_frame(PING, 0, 0, bytes(8)),
    "SETTINGS ACK first": PREFACE + raw_frame(SETTINGS, 1, 0, b""),
    "garbage": PREFACE + b"GET / HTTP/1.1\r\n\r\n" * 10,
}


@pytest.mark.parametrize("name", PREFACES)
def test_a_broken_preface(proxy, bystander, name):
    with Client(proxy.address, starts=False) as client:
        client.send(PREFACES[name])
        # The answer may be in HTTP/1.1, as long as the preface has not been seen.
        if name == "another word":
            assert client.sock.recv(100)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 505", b"\0\0\x18\x04\0\0\0\0\0", b"")
        else:
            assert client.fate() in {PROTOCOL, SIZE}
    assert bystander.get().status == 200


HARMLESS = {
    "unknown frame": raw_frame(GREASE, 0xFF, 0, b"whatever"),
    "unknown frame on a stream": raw_frame(GREASE, 0xFF, 99, b"whatever"),
    "unknown setting": setting(0x1A2A, 7),
    "PRIORITY of an idle stream": raw_frame(PRIORITY, 0, 7, bytes(4) + b"\x10"),
    "PRIORITY_UPDATE": raw_frame(0x10, 0, 0, word(1) + b"u=1, i"),
    "small table": setting(Setting.HEADER_TABLE_SIZE, 0),
    "flags that mean nothing": raw_frame(PING, 0xFE, 0, bytes(8)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_frame_that_is_to_be_ignored(proxy, name):
    with Client(proxy.address) as client:
        client.send(HARMLESS[name])
        answers = [client.get(path=f"/{at}") for at in range(3)]
        assert [answer.status for answer in answers] == [200] * 3


def test_padding_and_priority_in_frames_are_accepted(proxy):
    with Client(proxy.address) as client:
        number = client.new_stream()
        client.send(raw_frame(HEADERS, 0x2C, number, b"\x03" + bytes(4) + b"\x10" + client.block(request("POST")) + bytes(3)))
        client.send(raw_frame(DATA, 0x9, number, b"\x04abc" + bytes(4)))
        answer = client.response(number)
        assert (answer.status, bytes(answer.body)) == (200, b"abc")


def test_a_head_in_single_bytes(proxy):
    """Of HEADERS and CONTINUATION; nghttp2 counts reads of a CONTINUATION's head as if each was one, so there is only one."""
    with Client(proxy.address) as client:
        number = client.new_stream()
        block = client.block(request())
        parts = [client.headers(number, block[:1], ends=True, flags=[]).serialize()]
        parts.append(frames.ContinuationFrame(number, data=block[1:], flags=["END_HEADERS"]).serialize())
        for byte in b"".join(parts):
            client.send(bytes([byte]))
        assert client.response(number).status == 200
