"""SIGTERM ends a service when what it has begun is done, SIGINT at once; no request is lost."""

import json
import signal
import socket
import threading
import time

import pytest

from support import http2
from support.http1 import Client
from support.net import client_context, wait_until
from support.process import DEMO, run

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"


class Load:
    """Clients that ask one request after another until nobody listens any more."""

    def __init__(self, address, count, tls=None):
        self.address = address
        self.tls = tls
        self.answered = 0
        self.last_answer = 0
        self.is_ending = False
        self.failures = []
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        try:
            while True:
                try:
                    client = Client(self.address, self.tls)
                except OSError:
                    if not self.is_ending:
                        raise
                    return
                with client:
                    self._ask(client)
        except Exception as error:  # noqa: BLE001: every failure is the test's
            with self._lock:
                self.failures.append(repr(error))

    def _ask(self, client):
        while True:
            try:
                answer = client.ask(GET.format("/bytes/1000"))
            except OSError:
                answer = None
            if answer is None:
                # One that has been idle for a while may be closed just when something is sent on it: no byte of an answer came.
                assert self.is_ending
                assert client.reader.buffer == b""
                return
            assert (answer.status, len(answer.body)) == (200, 1000)
            with self._lock:
                self.answered += 1
                self.last_answer = time.monotonic()
            if answer.get("connection") == "close":
                return

    def end(self, proxy):
        """Ends the proxy in the middle of it all, and checks what has come of the clients."""
        wait_until(lambda: self.answered > 500 or self.failures, "the load to run")
        self.is_ending = True
        proxy.terminate()
        assert proxy.wait() == 0
        ended = time.monotonic()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert self.failures == []
        print(f"{self.answered} answers; ended {(ended - self.last_answer) * 1000:.0f} ms after the last")
        assert ended - self.last_answer < 20


@pytest.fixture
def proxy(start):
    return start.proxy(start.demo("origin", "--threads", "1").address)


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "TLS"])
def test_a_graceful_stop_under_load_loses_nothing(start, certificates, encrypted):
    proxy = start.proxy(start.demo("origin", "--threads", "1").address, tls=encrypted)
    if encrypted:
        load = Load(proxy.tls_address, 64, client_context(certificates.ca, ["http/1.1"]))
    else:
        load = Load(proxy.address, 64)
    load.end(proxy)


def test_a_graceful_stop_waits_for_what_has_begun(proxy):
    clients = [Client(proxy.address) for _ in range(20)]
    with Client(proxy.address) as idle:
        assert idle.ask(GET.format("/")).status == 200
        for client in clients:
            client.send(GET.format("/drip?bytes=20&ms=50"))
        # The first byte of each has come: all have begun.
        heads = [client.reader.head() for client in clients]
        proxy.terminate()
        assert idle.is_closed(), "a connection that rests is closed"
        for client, head in zip(clients, heads, strict=True):
            client.reader.body(head, is_response=True)
            assert head.body == b"x" * 20
            client.close()
    assert proxy.wait() == 0


def test_nobody_listens_while_a_stop_waits(proxy):
    with Client(proxy.address) as client:
        client.send(GET.format("/drip?bytes=40&ms=50"))
        head = client.reader.head()
        proxy.terminate()

        def refused():
            try:
                Client(proxy.address).close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                pass  # it was in the listener's queue
            return False

        wait_until(refused, "connections to be refused")
        client.reader.body(head, is_response=True)
        assert head.body == b"x" * 40
    assert proxy.wait() == 0


def test_a_stop_that_waits_can_be_watched(start):
    """The admin page and the metrics go on until the last request is done, and whoever looks on holds nobody up."""
    origin = start.demo("origin", "--threads", "1")
    proxy = start.proxy(origin.address, "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    page, metrics = (
        ("127.0.0.1", int(proxy.wait_for(rf"{name} listens on 127\.0\.0\.1:(\d+)")[0])) for name in ("admin", "metrics")
    )
    local = GET.replace("Host: a", "Host: localhost")
    with Client(proxy.address) as client, Client(page) as reader, Client(page) as idle, Client(metrics) as scraper:
        client.send(GET.format("/drip?bytes=60&ms=50"))
        head = client.reader.head()
        assert scraper.ask(local.format("/metrics")).status == 200
        proxy.terminate()

        def drains():
            overview = json.loads(reader.ask(local.format("/api/overview.json")).body)
            states = {service["name"]: (service["state"], service["connections"]) for service in overview["services"]}
            return overview["process"]["phase"] == "shutdownGracePeriod" and states["proxy"] == ("draining", 1)

        wait_until(drains, "the page to show the drain")
        assert b'pingora_connections_open{service="proxy"} 1\n' in scraper.ask(local.format("/metrics")).body
        assert idle.ask(local.format("/")).status == 200
        client.reader.body(head, is_response=True)
        assert head.body == b"x" * 60
        assert proxy.wait() == 0


def test_an_interrupt_stops_at_once(proxy):
    with Client(proxy.address) as client:
        client.send(GET.format("/drip?bytes=1000&ms=1000"))
        client.reader.head()
        proxy.interrupt()
        proxy.wait()
        with pytest.raises((EOFError, ConnectionError)):
            client.reader.exactly(1000)


@pytest.mark.parametrize("upstream", ["h1", "h2"])
def test_a_graceful_stop_of_http2_finishes_its_streams(start, upstream):
    """GOAWAY, then all that has begun, then the end; a connection without streams ends at once."""
    origin = start.demo("origin", "--threads", "1", "--h2c")
    proxy = start.proxy(origin.address, "--h2c", "--upstream-http", upstream)
    with http2.Client(proxy.address) as client, http2.Client(proxy.address) as idle:
        assert idle.get().status == 200
        numbers = [client.ask(path="/drip?bytes=20&ms=50") for _ in range(20)]
        client.pump(lambda: all(client.streams[number].fields for number in numbers), "the heads")
        proxy.terminate()
        assert idle.pump(lambda: idle.is_closed)
        for number in numbers:
            stream = client.response(number)
            assert (stream.reset, bytes(stream.body)) == (None, b"x" * 20)
        client.pump(lambda: client.is_closed)
        assert {code for code, _ in client.goaways + idle.goaways} == {http2.Code.NO_ERROR}
        assert client.goaways[-1][1] == numbers[-1]
    assert proxy.wait() == 0


def ask_until_told(client, proxy, asks_to_end):
    """Asks until the server says that it is going; then everything up to the stream that it names as the last is answered."""
    numbers = []
    while not client.is_closed and len(numbers) < 5_000:
        numbers += [client.ask(path="/bytes/1000") for _ in range(20)]
        if asks_to_end and len(numbers) == 500:
            proxy.terminate()
        client.pump(lambda: client.streams[numbers[-1]].is_done or client.goaways, "the last answer")
        if client.goaways:
            break
    client.pump(lambda: client.is_closed, "the end")
    last = client.goaways[-1][1]
    assert 0 < last < 2**31 - 1
    for number in numbers:
        stream = client.streams[number]
        if number <= last:
            assert (stream.status, len(stream.body), stream.reset) == (200, 1_000, None)
        else:
            assert stream.fields is None


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "TLS"])
def test_an_http2_load_that_is_stopped_loses_no_stream_below_the_last(start, certificates, encrypted):
    """Streams up to the one that the last GOAWAY names are answered; those beyond may be asked again elsewhere."""
    proxy = start.proxy(start.demo("origin", "--threads", "1").address, "--h2c", tls=encrypted)
    address = proxy.tls_address if encrypted else proxy.address
    context = client_context(certificates.ca, ["h2"]) if encrypted else None
    failures = []

    def load(client, asks_to_end):
        try:
            with client:
                ask_until_told(client, proxy, asks_to_end)
        except BaseException as error:  # noqa: BLE001: every failure is the test's
            failures.append(repr(error))

    clients = [http2.Client(address, tls=context) for _ in range(4)]
    for client in clients:
        assert client.get().status == 200
    threads = [threading.Thread(target=load, args=(client, client is clients[0]), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failures == []
    assert proxy.wait() == 0


def test_a_second_request_to_end_does_not_wait(proxy):
    with Client(proxy.address) as client:
        client.send(GET.format("/drip?bytes=1000&ms=1000"))
        client.reader.head()
        proxy.terminate()
        proxy.wait_for("asked to end: ")
        proxy.terminate()
        assert proxy.wait() == 0
        assert "asked to end for a second time: what is in flight is dropped" in proxy.log()


def test_other_signals_leave_the_proxy_running(proxy):
    """SIGHUP and SIGUSR1 end no program that has nothing to do for them."""
    with Client(proxy.address) as client:
        for number in [signal.SIGHUP, signal.SIGUSR1]:
            proxy.send(number)
            assert client.ask(GET.format("/")).status == 200
    proxy.terminate()
    assert proxy.wait() == 0


def test_a_taken_port_is_one_line_and_a_status(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(DEMO, "origin", "--listen", f"127.0.0.1:{port}")
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].endswith(f"service 'origin' cannot start: bind 127.0.0.1:{port}: Address already in use")
