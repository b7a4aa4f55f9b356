"""A service whose processes replace each other, and the load that it is under meanwhile."""

import itertools
import re
import signal
import socket
import subprocess
import threading

from support import http2
from support.net import PATIENCE, connect
from support.process import DEMO, Program

# Everything here happens under load, on a machine that may be busy already.
LONG = 60


class Generations:
    """`Demo` as one process after another, each with the same arguments."""

    def __init__(self, directory, *arguments, listeners=1, environment=None):
        self.directory = directory
        self.socket = directory / "upgrade.sock"
        self._environment = environment
        self._arguments = [*arguments, "--upgrade-socket", self.socket, "--upgrade-timeout", LONG]
        self._numbers = itertools.count()
        self.gone = []
        self.current = self.start()
        try:
            self.current.wait_for("listens on", listeners, LONG)
        except AssertionError:
            self.stop()
            raise
        self.ports = [int(port) for port in re.findall(r"listens on 127\.0\.0\.1:(\d+)", self.current.log())]

    def start(self, *arguments):
        """Another process, which nobody waits for."""
        log = self.directory / f"generation-{next(self._numbers)}.log"
        return Program([DEMO, *self._arguments, *arguments], log, env=self._environment)

    def start_next(self, *arguments):
        """Another process, which waits for the sockets."""
        new = self.start("--upgrade", *arguments)
        self.gone.append(new)
        new.wait_for("waits for the old process", patience=LONG)
        return new

    def upgrade(self):
        """Replaces the process by a new one; returns when the new one serves."""
        new = self.start_next()
        self.current.send(signal.SIGQUIT)
        new.wait_for("has taken over from the old process", patience=LONG)
        self.gone.remove(new)
        self.gone.append(self.current)
        self.current = new

    def ended(self):
        """The statuses of the processes that were replaced, when they have ended."""
        return [process.wait(LONG) for process in self.gone]

    def stop(self):
        for process in [*self.gone, self.current]:
            process.stop()


class Wrk:
    """64 clients that ask as fast as they can, until they are stopped."""

    def __init__(self, url):
        arguments = ["wrk", "-t2", "-c64", "-d600s", "--timeout", "30s", url]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        """How many requests were answered, and what was said of failures."""
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=LONG)
        return int(re.search(r"(\d+) requests in", output).group(1)), re.findall(r"Socket errors.*|Non-2xx.*", output)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Load:
    """Clients on threads of their own, each of which asks again and again until they are stopped."""

    def __init__(self, count):
        self.answered = 0
        self.failures = []
        self._lock = threading.Lock()
        self._stops = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def serve(self):
        """One connection's requests, each counted; returns when the connection has ended."""
        raise NotImplementedError

    @property
    def is_stopped(self):
        return self._stops.is_set()

    def count(self):
        with self._lock:
            self.answered += 1

    def _run(self):
        try:
            while not self.is_stopped:
                self.serve()
        except Exception as error:  # noqa: BLE001: every failure is the test's
            with self._lock:
                self.failures.append(repr(error))

    def stop(self):
        """How many requests were answered, and the failures."""
        self._stops.set()
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        return self.answered, self.failures

    def close(self):
        self._stops.set()


class UnixLoad(Load):
    """HTTP/1.1 over a Unix-domain socket, several requests to a connection."""

    def __init__(self, path, count):
        self._path = str(path)
        super().__init__(count)

    def serve(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(LONG)
            sock.connect(self._path)
            for _ in range(20):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = b""
                while not answer.endswith(b"hello from AsyncPingora\n"):
                    more = sock.recv(65_536)
                    assert more, f"the connection was closed after {answer!r}"
                    answer += more
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                self.count()
                if b"connection: close" in answer.lower() or self.is_stopped:
                    return


class HTTP2Load(Load):
    """Streams over HTTP/2: those that GOAWAY says were not processed may be asked again, all others must be answered."""

    def __init__(self, address, count, tls=None):
        self._address = address
        self._tls = tls
        super().__init__(count)

    def serve(self):
        with http2.Client(self._address, self._tls) as client:
            while not self.is_stopped and not client.goaways:
                numbers = [client.ask(path="/") for _ in range(4)]
                client.pump(lambda: all(self._is_settled(client, number) for number in numbers), "answers", LONG)
                for number in numbers:
                    stream = client.streams[number]
                    if stream.has_ended and stream.status == 200:
                        self.count()
                        continue
                    assert self._is_beyond(client, number), client.describe(number)

    @staticmethod
    def _is_beyond(client, number):
        return any(last < number for _, last in client.goaways)

    def _is_settled(self, client, number):
        return client.is_closed or client.streams[number].is_done or self._is_beyond(client, number)


def greeting(port):
    """What a process says on a connection of its own."""
    with connect(("127.0.0.1", port)) as sock:
        sock.settimeout(PATIENCE)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := sock.recv(65_536):
            answer += more
        return answer.split(b"\r\n\r\n", 1)[1].decode()
