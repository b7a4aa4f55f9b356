"""Floods and stalls over HTTP/2: the connection ends or is made to wait, memory stays bounded, nobody else notices."""

import threading

import pytest
from hyperframe import frame as frames

from support import http2_origin
from support.http2 import LARGEST_WINDOW, Client, Code, Setting, raw_frame, request
from support.net import reset, wait_until
from support.process import settled

# What the process may grow by, in KiB, whatever one client does; it is built for debugging here.
BOUND = 48 << 10

# RFC 9113 10.5 leaves the code to the server.
CALM = {Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR, Code.INTERNAL_ERROR, None}


class Stage:
    """A proxy, an origin whose answers to /stall wait, and a bystander that asks while the flood runs."""

    def __init__(self, start):
        self.release = threading.Event()
        self.origin = start.origin(self._answer)
        self.proxy = start.proxy(self.origin.address, "--h2c")
        self.bystander = Client(self.proxy.address)
        self.most = 0
        self.check()
        self.before = self.proxy.forget_peak()

    def _answer(self, exchange):
        if exchange.request.target == "/stall":
            self.release.wait(30)
        return exchange.respond(200, b"here")

    def check(self):
        """Somebody else is served."""
        self.most = max(self.most, self.origin.open_count)
        answer = self.bystander.get(path="/bystander")
        assert (answer.status, bytes(answer.body)) == (200, b"here")

    def flood(self, client, chunks):
        """Sends chunk after chunk until the other side closes, says GOAWAY or takes no more; somebody else asks meanwhile."""
        for at, chunk in enumerate(chunks):
            client.sock.settimeout(2)
            try:
                client.sock.sendall(chunk)
            except (TimeoutError, ConnectionError):
                break
            if at % 20 == 0:
                self.check()
        self.check()

    def grown(self):
        """By how much memory has grown at most, in KiB."""
        return self.proxy.peak() - self.before

    def close(self):
        self.release.set()
        self.bystander.close()


@pytest.fixture
def stage(start):
    stage = Stage(start)
    yield stage
    stage.close()


def resets(client, path, spoil):
    """20,000 requests that are given up as soon as they have been made, 100 in a chunk."""
    for _ in range(200):
        parts = []
        for _ in range(100):
            number = client.new_stream()
            parts += [client.headers(number, request(path=path), ends=True).serialize(), spoil(number)]
        yield b"".join(parts)


def rapid_reset(number):
    return frames.RstStreamFrame(number, error_code=Code.CANCEL).serialize()


def made_you_reset(number):
    """A frame that makes the server reset the stream."""
    return raw_frame(8, 0, number, bytes(4))


@pytest.mark.parametrize("path", ["/", "/stall"])
@pytest.mark.parametrize("spoil", [rapid_reset, made_you_reset], ids=lambda f: f.__name__)
def test_requests_that_are_reset_at_once(stage, path, spoil):
    with Client(stage.proxy.address) as client:
        stage.flood(client, resets(client, path, spoil))
        assert client.fate() in CALM
    assert stage.grown() < BOUND
    # Not one connection to the origin for each of 20,000 requests.
    assert stage.most < 1_000
    stage.release.set()
    wait_until(lambda: stage.origin.open_count < 200, "the connections to be given back")


def continuations(size):
    """A head that never ends."""
    yield raw_frame(1, 1, 1, b"")
    for _ in range(500):
        yield raw_frame(9, 0, 1, b"\x00\x01a\x7f" + b"\x00" + bytes(size) if size else b"") * 20


@pytest.mark.parametrize("size", [0, 100, 16_000])
def test_continuation_flood(stage, size):
    with Client(stage.proxy.address) as client:
        stage.flood(client, continuations(size))
        assert client.fate() in CALM | {Code.COMPRESSION_ERROR}
    assert stage.grown() < BOUND


def test_hpack_bomb(stage):
    """A field of 4,000 bytes enters the table, and 16,000 bytes refer to it: 64 MB of fields."""
    with Client(stage.proxy.address) as client:
        assert client.response(client.ask(request(extra=[("bomb", "x" * 3_900)]))).status == 200
        for _ in range(20):
            number = client.new_stream()
            block = client.block(request())
            client.send(client.headers(number, block + b"\xbe" * 16_000, ends=True))
        outcome = client.outcome(number)
        assert outcome[0] != "status" or outcome[1] == 431
    assert stage.grown() < BOUND
    stage.check()


PINGS = raw_frame(6, 0, 0, b"flooding") * 10_000
SETTINGS = raw_frame(4, 0, 0, b"") * 10_000


@pytest.mark.parametrize("frames_of_flood", [PINGS, SETTINGS], ids=["PING", "SETTINGS"])
def test_a_flood_that_asks_for_answers_which_nobody_reads(stage, frames_of_flood):
    with Client(stage.proxy.address) as client:
        # Enough that the answers fit into no socket's buffers.
        stage.flood(client, [frames_of_flood] * (60_000_000 // len(frames_of_flood)))
        stage.check()
    assert stage.grown() < BOUND


@pytest.mark.parametrize(
    "make",
    [
        lambda number: raw_frame(0, 0, number, b""),
        lambda number: raw_frame(0, 8, number, b"\xff" + bytes(255)),
        lambda number: raw_frame(2, 0, number, bytes(5)),
        lambda number: raw_frame(0x0B, 0, number, b"?"),
        lambda number: raw_frame(8, 0, number, bytes(3) + b"\x01"),
    ],
    ids=["empty DATA", "padding", "PRIORITY", "unknown", "WINDOW_UPDATE"],
)
def test_frames_that_say_nothing(stage, make):
    with Client(stage.proxy.address) as client:
        number = client.new_stream()
        client.send(client.headers(number, request("POST", "/stall")))
        stage.flood(client, [make(number) * 2_000] * 50)
    assert stage.grown() < BOUND


def test_a_window_that_never_opens(start, nginx):
    """100 responses of 10 MiB, and a client that takes no byte of them."""
    proxy = start.proxy(nginx.addresses["h1"], "--h2c")
    with Client(proxy.address) as bystander, Client(proxy.address, window=0) as client:
        assert bystander.get(path="/hello").status == 200
        before = proxy.forget_peak()
        numbers = [client.ask(path="/big") for _ in range(100)]
        client.pump(lambda: all(client.streams[number].fields for number in numbers), "the heads")
        settled(lambda: proxy.status("VmRSS"))
        assert bystander.get(path="/hello").status == 200
        # A buffer or two for each stream, and not the gigabyte that was asked for.
        assert proxy.peak() - before < 100 * 400
        assert client.received == 0
    with Client(proxy.address) as after:
        assert len(after.get(path="/big").body) == 10 << 20


@pytest.mark.parametrize("version", ["h1", "h2"])
def test_a_slow_reader_makes_nobody_buffer(start, version):
    """The window of the client opens by 64 KiB; what the origin could send of 10 MiB tells what lies between."""
    sent = []

    def answer_h1(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1_600):
            exchange.send(bytes(65_536))
            sent.append(65_536)

    def answer_h2(exchange):
        exchange.head(200)
        exchange.send(bytes(100 << 20), ends=True)

    origin = start.origin(answer_h1) if version == "h1" else start.keep(http2_origin.Origin(answer_h2))
    proxy = start.proxy(origin.address, "--h2c", "--upstream-http", version)
    with Client(proxy.address, window=65_535) as client:
        client.ping()
        before = proxy.forget_peak()
        number = client.ask()
        client.pump(lambda: client.received == 65_535, "the first 64 KiB")
        moved = settled(lambda: sum(sent) if version == "h1" else origin.exchanges[0].sent)
        # Sockets of the kernel hold some MiB; an HTTP/2 window what it announces.
        assert moved < 24 << 20
        assert proxy.peak() - before < 16 << 10
        assert client.received == 65_535
        client.send(frames.RstStreamFrame(number, error_code=Code.CANCEL))
        if version == "h2":
            assert origin.exchanges[0].was_reset.wait(20), "the origin hears that nobody reads"


def test_a_slow_origin_makes_nobody_buffer(start):
    """An upload of 100 MiB to an origin that reads nothing: the client's window stays shut."""
    release = threading.Event()
    origin = start.origin(lambda exchange: release.wait(30) and False, early=True)
    proxy = start.proxy(origin.address, "--h2c")
    try:
        with Client(proxy.address) as client:
            client.ping()
            before = proxy.forget_peak()
            number = client.new_stream()
            client.send(client.headers(number, request("POST", extra=[("content-length", str(100 << 20))])))
            sent = client.write(number, bytes(100 << 20), patience=1)
            # Sockets of the kernel hold some MiB; an HTTP/2 window what it announces.
            assert 0 < sent < 24 << 20
            assert proxy.peak() - before < 24 << 10
    finally:
        release.set()


def test_a_window_that_opens_by_single_bytes(stage):
    with Client(stage.proxy.address, window=0) as client:
        number = client.ask()
        for _ in range(4):
            client.send(frames.WindowUpdateFrame(number, window_increment=1))
        assert bytes(client.response(number).body) == b"here"
        number = client.ask()
        client.send(frames.SettingsFrame(0, settings={Setting.INITIAL_WINDOW_SIZE: LARGEST_WINDOW}))
        assert bytes(client.response(number).body) == b"here"


DEPARTURES = {
    "RST_STREAM": lambda client, numbers: client.send(*[frames.RstStreamFrame(number, error_code=8) for number in numbers]),
    "GOAWAY": lambda client, numbers: client.send(frames.GoAwayFrame(0, last_stream_id=0, error_code=0)),
    "close": lambda client, numbers: None,
    "reset": lambda client, numbers: reset(client.sock),
    "half a frame": lambda client, numbers: client.send(raw_frame(1, 4, 99, bytes(50))[:30]),
    "a broken frame": lambda client, numbers: client.send(raw_frame(6, 0, 0, b"")),
}


@pytest.mark.parametrize("version", ["h1", "h2"])
def test_clients_that_leave_in_every_way_leave_nothing_behind(start, version):
    """In the middle of uploads and of responses."""
    upstream = start.demo("origin", "--threads", "1", "--h2c")
    proxy = start.proxy(upstream.address, "--h2c", "--upstream-http", version, "--pool-size", "8")
    with Client(proxy.address) as bystander:
        assert bystander.get().status == 200
        before = settled(proxy.descriptors)
        for _ in range(5):
            for leave in DEPARTURES.values():
                with Client(proxy.address) as client:
                    numbers = [client.ask(path="/drip?bytes=1000&ms=50") for _ in range(4)]
                    upload = client.new_stream()
                    client.send(client.headers(upload, request("POST", "/echo")), raw_frame(0, 0, upload, b"abc"))
                    client.pump(lambda client=client, numbers=numbers: all(client.streams[at].fields for at in numbers))
                    leave(client, [*numbers, upload])
        assert bystander.get().status == 200
        # Those that rest in the pool, and no other; the responses would go on for a minute.
        wait_until(lambda: proxy.descriptors() <= before + 8, "the connections to be closed")
        wait_until(lambda: upstream.descriptors() <= 40, "the origin to be left alone")
