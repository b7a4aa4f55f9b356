"""HTTP/1.1 through the proxy, with curl in front and nginx behind."""

import hashlib
import os
import threading
import time

import pytest

from support.http1 import Client
from support.process import DEMO, Program, run, settled


@pytest.fixture(scope="module")
def proxy(shared, nginx):
    return shared.proxy(nginx.addresses["h1"])


@pytest.mark.parametrize(
    ("path", "options", "wanted"),
    [
        ("/hello", [], "200 17"),
        ("/empty", [], "200 0"),
        ("/big", [], f"200 {10 << 20}"),
        ("/hello", ["--head"], "200 0"),
        ("/nothing", [], "204 0"),
        ("/no-such-file", [], "404 153"),
        ("/hello", ["--range", "0-4"], "206 5"),
        ("/hello", ["-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"], "304 0"),
        ("/hello", ["--http1.0"], "200 17"),
        ("/hello", ["-X", "OPTIONS"], "405 157"),
    ],
)
def test_responses_of_nginx_pass(proxy, path, options, wanted):
    done = run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code} %{size_download}", *options, proxy.url + path)
    assert done.stdout == wanted, done.stderr


@pytest.mark.parametrize("size", [0, 1, 65_536, 10 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_arrives_and_comes_back(proxy, nginx, tmp_path, size, framing):
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(os.urandom(size))
    name = f"upload-{size}-{framing}"
    with sent.open("rb") as source:  # curl does not know the length of its standard input
        file = sent if framing == "length" else "-"
        put = run("curl", "-sS", "-w", "%{http_code}", "-T", file, f"{proxy.url}/{name}", stdin=source)
    assert put.stdout == "201", put.stderr
    run("curl", "-sS", "-o", back, f"{proxy.url}/{name}")
    wanted = hashlib.sha256(sent.read_bytes()).hexdigest()
    assert hashlib.sha256((nginx.files / name).read_bytes()).hexdigest() == wanted
    assert hashlib.sha256(back.read_bytes()).hexdigest() == wanted


def test_an_upload_that_stalls_amid_the_framing_goes_on(start):
    """The upstream is full as the client stops within a line end: what it sends then must be read when there is room again."""
    release, sent = threading.Event(), []

    def answer(exchange):
        release.wait(20)
        exchange.reader.chunks(exchange.request)
        return exchange.respond(200, str(len(exchange.request.body)).encode())

    def upload(client):
        for _ in range(300):
            client.send(b"fde8\r\n" + bytes(65_000) + b"\r")
            time.sleep(0.002)
            client.send(b"\n")
            sent.append(65_000)
        client.send(b"0\r\n\r\n")

    proxy = start.proxy(start.origin(answer, early=True).address)
    with Client(proxy.address) as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        sender = threading.Thread(target=upload, args=(client,), daemon=True)
        sender.start()
        assert settled(lambda: len(sent)) < 300, "the origin reads nothing, so the client must be held up"
        release.set()
        assert client.response().body == b"19500000"
        sender.join(20)


def test_connections_are_kept_on_both_sides(proxy):
    urls = [f"{proxy.url}/hello"] * 5
    done = run("curl", "-sS", "-w", "%{num_connects}\n", *[part for url in urls for part in ("-o", os.devnull, url)])
    assert done.stdout.split() == ["1", "0", "0", "0", "0"], done.stderr


def test_pipelined_requests_are_answered_in_order(proxy):
    with Client(proxy.address) as client:
        client.send("".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in ("/hello", "/no-such", "/protocol")))
        answers = [client.response() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 200]
    assert answers[2].body == b"HTTP/1.1 http a"


def test_trailers_of_nginx_pass(proxy):
    with Client(proxy.address) as client:
        answer = client.ask("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert (answer.status, answer.body) == (200, b"hello from nginx\n")
    assert [name for name, _ in answer.trailers] == ["x-checksum"]


def test_fields_of_one_hop_stay_there(proxy):
    with Client(proxy.address) as client:
        answer = client.ask(
            "GET /echo-fields HTTP/1.1\r\nHost: name.example:81\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\n"
            "Keep-Alive: timeout=1\r\nTE: gzip\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
        )
    assert answer.status == 200
    fields = dict(part.split("=", 1) for part in answer.body.decode().split("|"))
    assert fields == {"cookie": "a=1; b=2", "te": "", "connection": fields["connection"], "host": "name.example:81", "private": ""}
    assert fields["connection"].lower() in ("", "keep-alive")


def test_expect_100_continue_reaches_the_client(proxy, tmp_path):
    sent = tmp_path / "sent"
    sent.write_bytes(bytes(3_000_000))
    done = run("curl", "-sSv", "-H", "Expect: 100-continue", "--expect100-timeout", "15", "-T", sent, f"{proxy.url}/expected")
    assert "< HTTP/1.1 100" in done.stderr, done.stderr
    assert "< HTTP/1.1 201" in done.stderr, done.stderr


def test_unix_domain_sockets_on_both_sides(tmp_path):
    origin = Program([DEMO, "origin", "--listen", f"unix:{tmp_path}/o"], tmp_path / "origin.log")
    proxy = Program(
        [DEMO, "proxy", "--listen", f"unix:{tmp_path}/p", "--upstream", f"unix:{tmp_path}/o"], tmp_path / "proxy.log"
    )
    try:
        origin.wait_for("listens on unix:")
        proxy.wait_for("listens on unix:")
        done = run("curl", "-sS", "--unix-socket", tmp_path / "p", "http://localhost/headers")
        assert "Host: localhost" in done.stdout, done.stderr
    finally:
        proxy.stop()
        origin.stop()
