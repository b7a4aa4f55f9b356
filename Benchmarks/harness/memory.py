"""What clients cost in memory that only hold a connection, or that read slowly."""

import contextlib
import selectors
import socket
import time

from .processes import HOST, tls_client

_SLOW_READ = 2048
_MEGABYTE = 1048576


class _Reply:
    """Collects one response until its Content-Length is complete."""

    def __init__(self):
        self.head = b""
        self.status = 0
        self.left = None
        self.body_bytes = 0

    def feed(self, data):
        """Takes bytes; true when the response is complete."""
        if self.left is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, data = self.head[:end], self.head[end + 4 :]
            self.status = int(head.split(b" ", 2)[1])
            self.left = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self.left = int(line.split(b":")[1])
        self.body_bytes += len(data)
        self.left -= len(data)
        return self.left <= 0

    @property
    def good(self):
        """Complete and with status 200."""
        return self.status == 200 and self.left == 0


def _connect(port, far_away=False):
    client = socket.socket()
    if far_away:
        # Loopback's 64 KB segments make the kernel give the sender a buffer that swallows a megabyte; with the segment
        # size of a real network the response has to wait in the proxy, or better, in front of it.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
    client.settimeout(10)
    client.connect((HOST, port))
    return client


def _request(path):
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()


def _connect_many(child, count):
    if not child.tls:
        return [_connect(child.port) for _ in range(count)]
    context = tls_client()
    return [context.wrap_socket(_connect(child.port)) for _ in range(count)]


def _one_request_each(clients):
    """Every client asks once, 32 at a time. Returns how many were not answered well."""
    failed = 0
    for start in range(0, len(clients), 32):
        batch = clients[start : start + 32]
        for client in batch:
            client.sendall(_request("/small"))
        for client in batch:
            reply = _Reply()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if reply.feed(data):
                        break
            failed += not reply.good
    return failed


def idle_memory(_tools, child, _origin, quick):
    """Resident memory per idle keep-alive connection beyond the first hundred, each having done one request."""
    connections = 1000 if quick else 4000
    clients, failed = [], 0
    try:
        for goal in (100, connections):
            fresh = _connect_many(child, goal - len(clients))
            clients += fresh
            failed += _one_request_each(fresh)
            time.sleep(1)
            if goal == 100:
                before = child.rss_kb()
        after = child.rss_kb()
    finally:
        for client in clients:
            client.close()
    return {"kb_per_connection": (after - before) / (connections - 100), "rss_mb": after / 1024, "failed": failed}


def _read_slowly(clients, replies, seconds, sample):
    """Every client takes two kilobytes ten times a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        tick = time.monotonic()
        for client in clients:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                replies[client].feed(client.recv(_SLOW_READ))
        sample()
        time.sleep(max(0.0, 0.1 - (time.monotonic() - tick)))


def _drain(clients, replies):
    """Reads everything that is left, as fast as it comes. Returns how many responses were not complete."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        deadline = time.monotonic() + 60
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                try:
                    data = key.fileobj.recv(262144)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data or replies[key.fileobj].feed(data):
                    selector.unregister(key.fileobj)
    return sum(not (reply.good and reply.body_bytes == _MEGABYTE) for reply in replies.values())


def slow_readers(_tools, child, _origin, quick):
    """Growth of resident memory per client while many read a 1 MB response slowly; then all must still complete."""
    count, seconds = (50, 1) if quick else (200, 4)
    # The same number of clients once, quickly: what a connection itself costs is not what is asked here.
    clients, replies, peak = [_connect(child.port, far_away=True) for _ in range(count)], {}, 0

    def sample():
        nonlocal peak
        peak = max(peak, child.rss_kb())

    try:
        failed = _one_request_each(clients)
        time.sleep(0.3)
        before = child.rss_kb()
        for client in clients:
            client.sendall(_request("/1m"))
            client.setblocking(False)
            replies[client] = _Reply()
        _read_slowly(clients, replies, seconds, sample)
        early = sum(reply.left is not None and reply.left <= 0 for reply in replies.values())
        failed += _drain(clients, replies) + early
    finally:
        for client in clients:
            client.close()
    return {"kb_per_client": (peak - before) / count, "rss_mb": peak / 1024, "failed": failed}
