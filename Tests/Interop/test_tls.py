"""TLS on both sides: openssl s_client in front, upstreams whose certificates are no good behind, and noise for a handshake."""

import contextlib
import re
import socket
import ssl
import struct
import warnings

import pytest

from support import http1, http2, http2_origin
from support.net import Server, client_context, connect, reset, server_context, wait_until
from support.process import run

GET = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def proxy(shared):
    return shared.proxy(shared.origin().address, tls=True)


def s_client(proxy, certificates, *options, text=GET, command=None):
    """What s_client says of a handshake, and of a request made on it, or of a command of its own."""
    host, port = proxy.tls_address
    return run(
        "openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", certificates.ca, "-verify_return_error",
        *([] if command else ["-ign_eof"]), *options, input=command or text,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("offered", "chosen"), [("h2", "h2"), ("http/1.1", "http/1.1"), ("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("x,h2", "h2")]
)
def test_the_protocol_is_chosen_by_alpn(proxy, certificates, offered, chosen):
    done = s_client(proxy, certificates, "-alpn", offered, "-servername", "localhost", command="Q\n")
    assert f"ALPN protocol: {chosen}" in done.stdout
    assert "Verify return code: 0 (ok)" in done.stdout


@pytest.mark.parametrize("offered", [[], ["-alpn", "spdy/9"]], ids=["none", "unknown"])
def test_without_a_common_protocol_it_is_http1(proxy, certificates, offered):
    done = s_client(proxy, certificates, "-servername", "localhost", *offered)
    assert "No ALPN negotiated" in done.stdout
    assert "HTTP/1.1 200" in done.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", [["-servername", "localhost"], ["-noservername"]], ids=["SNI", "no SNI"])
def test_versions_and_names(proxy, certificates, version, name):
    done = s_client(proxy, certificates, version, *name)
    assert "HTTP/1.1 200" in done.stdout, done.stderr
    assert f"TLSv1.{version[-1]}" in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
        ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "AES256-SHA"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"],
    ],
    ids=["TLS 1.1", "TLS 1.0", "no forward secrecy", "CBC"],
)
def test_what_is_too_weak_is_refused(proxy, certificates, options):
    done = s_client(proxy, certificates, *options)
    assert "HTTP/1.1" not in done.stdout
    assert "alert" in done.stderr, done.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(proxy, certificates, version, tmp_path):
    """Whichever worker gets the connection."""
    session = tmp_path / "session"
    first = s_client(proxy, certificates, version, "-sess_out", session)
    assert "New, TLSv1" in first.stdout
    for _ in range(4):
        again = s_client(proxy, certificates, version, "-sess_in", session)
        assert "Reused, TLSv1" in again.stdout
        assert "HTTP/1.1 200" in again.stdout


def test_no_renegotiation_and_no_compression(proxy, certificates):
    done = s_client(proxy, certificates, "-tls1_2")
    assert "Compression: NONE" in done.stdout
    again = s_client(proxy, certificates, "-tls1_2", command="R\n" + GET)
    assert "RENEGOTIATING" in again.stderr
    assert "HTTP/1.1 200" not in again.stdout, "after a handshake that is refused there is nothing"


def test_a_record_per_byte(proxy, certificates):
    """A request in single bytes, each in a record of its own."""
    with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
        for byte in "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            client.send(byte)
        assert client.response().body == b"abc"


def test_the_end_of_tls_is_said(proxy, certificates):
    """close_notify, so that the end of a body that ends with the connection can be told from a cut."""
    with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
        assert client.ask(GET).status == 200
        assert client.reader.rest() == b""  # raises SSLEOFError otherwise


NOISE = {
    "HTTP": GET.encode(),
    "HTTP/2": http2.PREFACE,
    "zeros": bytes(1_000),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "application data": b"\x17\x03\x03\x00\x20" + bytes(32),
    "a ClientHello of garbage": b"\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x03" + bytes(38),
    "SSLv2": b"\x80\x2e\x01\x00\x02" + bytes(43),
}


@pytest.mark.parametrize("name", NOISE)
def test_noise_for_a_handshake(proxy, certificates, name):
    with connect(proxy.tls_address) as sock:
        sock.settimeout(20)
        sock.sendall(NOISE[name])
        try:
            while answer := sock.recv(1_000):
                assert answer[:1] == b"\x15", "an alert at most"
        except ConnectionError:
            pass
    with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
        assert client.ask(GET).status == 200


def client_hello(certificates):
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = client_context(certificates.ca).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    return outgoing.read()


def test_handshakes_that_stop_half_way_hold_up_nobody(proxy, certificates):
    hello = client_hello(certificates)
    halves = [connect(proxy.tls_address) for _ in range(90)]
    for at, sock in enumerate(halves):
        sock.sendall([b"", hello[:50], hello][at % 3])
    for _ in range(5):
        with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
            assert client.ask(GET).status == 200
    before = proxy.descriptors()
    for at, sock in enumerate(halves[:-3]):
        sock.close() if at % 2 else reset(sock)
    wait_until(lambda: proxy.descriptors() <= before - 80, "the half-open connections to be closed")
    # Those that stay are closed at the deadline of 10 s.
    for sock in halves[-3:]:
        with contextlib.suppress(ConnectionError):
            while sock.recv(10_000):
                pass
        sock.close()


def test_a_client_that_does_not_trust_the_certificate(proxy, certificates):
    with pytest.raises(ssl.SSLCertVerificationError):
        http1.Client(proxy.tls_address, ssl.create_default_context())
    with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
        assert client.ask(GET).status == 200


# Upstreams.


def tls_options(certificates, name="localhost", ca=None, version="h1"):
    return ["--upstream-tls", "--upstream-sni", name, "--upstream-ca", ca or certificates.ca, "--upstream-http", version]


def answer(start, upstream, *options):
    """The proxy's answer to a GET, and the proxy."""
    proxy = start.proxy(upstream, *options, tls=True)
    with http1.Client(proxy.address) as client:
        return client.ask(GET), proxy


@pytest.mark.parametrize("name", ["expired", "future", "self_signed", "wrong_name", "other_ca"])
@pytest.mark.parametrize("version", ["h1", "h2", "auto"])
def test_an_upstream_whose_certificate_is_no_good_gets_nothing(start, certificates, name, version):
    origin = start.origin(tls=server_context(getattr(certificates, name), ["h2", "http/1.1"]))
    got, proxy = answer(start, origin.address, *tls_options(certificates, version=version))
    assert (got.status, got.body) == (502, b"")
    proxy.wait_for("InvalidCert")
    assert origin.requests == []


def test_a_revoked_upstream_certificate(start, certificates):
    origin = start.origin(tls=server_context(certificates.revoked))
    options = [*tls_options(certificates), "--upstream-crl", certificates.crl]
    got, proxy = answer(start, origin.address, *options)
    assert got.status == 502
    proxy.wait_for("InvalidCert")
    assert origin.requests == []
    good = start.origin(tls=server_context(certificates.good))
    assert answer(start, good.address, *options)[0].status == 200


@pytest.mark.parametrize("name", ["a.interop.example", "b.interop.example"])
def test_a_wildcard(start, certificates, name):
    origin = start.origin(tls=server_context(certificates.wildcard))
    assert answer(start, origin.address, *tls_options(certificates, name))[0].status == 200


@pytest.mark.parametrize("name", ["interop.example", "a.b.interop.example", "interop.example.net"])
def test_what_a_wildcard_does_not_cover(start, certificates, name):
    origin = start.origin(tls=server_context(certificates.wildcard))
    assert answer(start, origin.address, *tls_options(certificates, name))[0].status == 502


@pytest.mark.parametrize("version", ["h1", "h2", "auto"])
def test_what_an_upstream_is_told_in_the_handshake(start, certificates, version):
    """SNI, and ALPN by the wanted version."""
    seen = []
    context = server_context(certificates.good, ["h2", "http/1.1"])
    context.sni_callback = lambda sock, name, _: seen.append(name)
    origin = start.keep(TwoVersions(context))
    got, _ = answer(start, origin.address, *tls_options(certificates, version=version))
    assert (got.status, got.body) == (200, b"h1" if version == "h1" else b"h2")
    assert seen == ["localhost"]


class TwoVersions(Server):
    """Speaks what ALPN has chosen, and answers with it."""

    def __init__(self, tls):
        self.h1 = http1.Origin(lambda exchange: exchange.respond(200, b"h1"))
        self.h2 = http2_origin.Origin(lambda exchange: exchange.respond(200, b"h2"))
        super().__init__(tls)

    def serve(self, sock):
        (self.h2 if sock.selected_alpn_protocol() == "h2" else self.h1).serve(sock)

    def close(self):
        super().close()
        self.h1.close()
        self.h2.close()


def test_auto_is_http1_when_the_upstream_chooses_nothing(start, certificates):
    origin = start.origin(tls=server_context(certificates.good))
    assert answer(start, origin.address, *tls_options(certificates, version="auto"))[0].status == 200


def test_http2_that_the_upstream_does_not_speak(start, certificates):
    origin = start.origin(tls=server_context(certificates.good, ["http/1.1"]))
    got, proxy = answer(start, origin.address, *tls_options(certificates, version="h2"))
    assert got.status == 502
    proxy.wait_for("InvalidH2|TLSHandshakeFailure")
    assert origin.requests == []


class Rude(Server):
    """Does to a socket what it is told."""

    def __init__(self, deed):
        self.deed = deed
        super().__init__()

    def serve(self, sock):
        self.deed(sock)


def old_tls(certificates):
    context = server_context(certificates.good)
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


RUDE = {
    "plain HTTP": lambda sock: sock.recv(1_000) and sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "closes": lambda sock: None,
    "closes after the hello": lambda sock: sock.recv(1_000),
    "resets": lambda sock: (sock.recv(1_000), sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))),
    "alert": lambda sock: sock.recv(1_000) and sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28"),
    "garbage": lambda sock: sock.recv(1_000) and sock.sendall(bytes(range(256))),
}


@pytest.mark.parametrize("name", RUDE)
def test_an_upstream_that_does_not_shake_hands(start, certificates, name):
    got, proxy = answer(start, start.keep(Rude(RUDE[name])).address, *tls_options(certificates))
    assert (got.status, got.body) == (502, b"")
    proxy.wait_for("TLSHandshakeFailure|ConnectionClosed|ReadError")


def test_an_upstream_with_tls_of_yesterday(start, certificates):
    got, proxy = answer(start, start.origin(tls=old_tls(certificates)).address, *tls_options(certificates))
    assert got.status == 502
    proxy.wait_for("TLSHandshakeFailure")


def test_a_cut_without_close_notify_is_no_end(start, certificates):
    """An upstream's body that ends with the connection, and TCP ends before TLS: the client must not take it for complete."""

    def cut(exchange):
        exchange.send("HTTP/1.1 200 OK\r\n\r\nhalf of it")
        # The encrypted socket's descriptor, closed below TLS.
        socket.socket(fileno=exchange.sock.detach()).close()

    origin = start.origin(cut, tls=server_context(certificates.good))
    proxy = start.proxy(origin.address, *tls_options(certificates), tls=True)
    with http1.Client(proxy.address) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.reader.head()
        with pytest.raises((EOFError, ConnectionError)):
            client.reader.body(head, is_response=True, to_end=False)
            assert head.get("transfer-encoding") is None, "chunked, with a last chunk"


def test_connections_to_the_upstream_are_reused(start, certificates):
    origin = start.origin(tls=server_context(certificates.good))
    proxy = start.proxy(origin.address, *tls_options(certificates), tls=True)
    with http1.Client(proxy.tls_address, client_context(certificates.ca)) as client:
        for _ in range(20):
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert origin.accepted == 1
    assert re.search("listens on", proxy.log())
