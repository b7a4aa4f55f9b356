"""SIGTERM ends a service when what it has begun is done, SIGINT at once; no request is lost."""

import threading

import pytest

from support import http2
from support.http1 import Client
from support.net import wait_until

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"


class Load:
    """Clients that ask one request after another until nobody listens any more."""

    def __init__(self, address, count):
        self.address = address
        self.answered = 0
        self.failures = []
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        try:
            while True:
                try:
                    client = Client(self.address)
                except (ConnectionRefusedError, ConnectionResetError):
                    return  # or it was in the listener's queue as that was closed
                with client:
                    self._ask(client)
        except Exception as error:  # noqa: BLE001: every failure is the test's
            with self._lock:
                self.failures.append(repr(error))

    def _ask(self, client):
        while True:
            try:
                answer = client.ask(GET.format("/bytes/1000"))
            except (ConnectionResetError, BrokenPipeError):
                answer = None
            if answer is None:
                # A connection that rests may be closed just when something is sent on it: no byte of an answer came.
                assert client.reader.buffer == b""
                return
            assert (answer.status, len(answer.body)) == (200, 1000)
            with self._lock:
                self.answered += 1
            if answer.get("connection") == "close":
                return


@pytest.fixture
def proxy(start):
    return start.proxy(start.demo("origin", "--threads", "1").address)


def test_a_graceful_stop_under_load_loses_nothing(proxy):
    load = Load(proxy.address, 16)
    wait_until(lambda: load.answered > 500 or load.failures, "the load to run")
    proxy.terminate()
    assert proxy.wait() == 0
    for thread in load.threads:
        thread.join(20)
        assert not thread.is_alive()
    assert load.failures == []


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


def test_an_http2_load_that_is_stopped_loses_no_stream_below_the_last(start):
    """Streams up to the one that the last GOAWAY names are answered; those beyond may be asked again elsewhere."""
    proxy = start.proxy(start.demo("origin", "--threads", "1").address, "--h2c")
    with http2.Client(proxy.address) as client:
        client.ping()
        numbers = []
        while not client.is_closed and len(numbers) < 5_000:
            numbers += [client.ask(path="/bytes/1000") for _ in range(20)]
            if len(numbers) == 500:
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
    assert proxy.wait() == 0
