"""Sockets and waiting, always with an end."""

import contextlib
import socket
import ssl
import threading
import time

# How long anything that must happen may take; the machine may be busy.
PATIENCE = 60


def wait_until(condition, what, patience=PATIENCE):
    """Returns the condition's first true value; fails when it has none in time."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience} s in vain for {what}")
        time.sleep(0.01)


def connect(address, tls=None, server_name="localhost"):
    """A connected socket, encrypted with a context if there is one."""
    plain = socket.create_connection(address, timeout=PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=server_name)
    except BaseException:
        plain.close()
        raise


def reset(sock):
    """Closes with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def refused_address():
    """An address of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()


def client_context(ca, protocols=(), certificate=None):
    """A client's TLS context that trusts one CA and offers the protocols."""
    context = ssl.create_default_context(cafile=ca)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key)
    return context


def server_context(certificate, protocols=()):
    """A server's TLS context with a certificate, choosing among the protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Server:
    """Accepts on a port of loopback and serves each connection on a thread; `close` ends all of them."""

    def __init__(self, tls=None):
        self.tls = tls
        self.accepted = 0
        self.failures = []
        self._open = set()
        self._threads = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = self._listener.getsockname()
        self._closing = False
        self._start(self._accept)

    def serve(self, sock):
        """Serves one connection; the socket is closed afterwards."""
        raise NotImplementedError

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._open.add(sock)
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._run, sock)

    def _run(self, sock):
        used = sock
        try:
            if self.tls is not None:
                used = self.tls.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.discard(sock)
                    self._open.add(used)
            self.serve(used)
        except OSError:
            # The other side has gone, or the server is closing: both are everyday.
            pass
        except Exception as error:  # noqa: BLE001: whatever it is, the test shall see it
            self.failures.append(error)
        finally:
            with contextlib.suppress(OSError):
                used.close()
            with self._lock:
                self._open.discard(used)

    @property
    def open_count(self):
        """How many connections are open now."""
        with self._lock:
            return len(self._open)

    def close(self):
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for sock in left:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
