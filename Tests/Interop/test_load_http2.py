"""nghttp and h2load: many streams, none lost."""

import re

import pytest

from support.process import run


@pytest.fixture(scope="module", params=["h1 pinned", "h2c pinned", "h1 stealing", "h2c stealing"])
def proxy(request, shared, nginx):
    kind, flavor = request.param.split()
    options = ["--h2c", "--upstream-http", kind[:2], "--max-h2-streams", "128", "--flavor", flavor]
    return shared.proxy(nginx.addresses[kind], *options, tls=True)


def h2load(*arguments):
    """How many requests have succeeded and how many have not, and the versions spoken."""
    done = run("h2load", *arguments, patience=55)
    match = re.search(
        r"(\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout
    )
    assert match, done.stdout + done.stderr
    total, succeeded, *bad = (int(number) for number in match.groups())
    return total, succeeded, sum(bad), re.search(r"status codes: (\d+) 2xx", done.stdout).group(1)


LOADS = {
    "h2c, 10 connections of 32 streams": ["-n", "5000", "-c", "10", "-m", "32"],
    "TLS, 10 connections of 32 streams": ["-n", "5000", "-c", "10", "-m", "32"],
    "HTTP/1.1, 32 connections": ["--h1", "-n", "3000", "-c", "32"],
}


@pytest.mark.parametrize("name", LOADS)
def test_load(proxy, name):
    url = proxy.tls_url if name.startswith("TLS") else proxy.url
    total, succeeded, bad, status = h2load(*LOADS[name], f"{url}/hello")
    assert (succeeded, bad, int(status)) == (total, 0, total)


def test_ten_thousand_streams_at_once(shared, nginx):
    """Over 100 connections, to an upstream that speaks HTTP/2."""
    proxy = shared.proxy(nginx.addresses["h2c"], "--h2c", "--upstream-http", "h2", "--max-h2-streams", "128")
    total, succeeded, bad, status = h2load("-n", "10000", "-c", "100", "-m", "100", f"{proxy.url}/hello")
    assert (total, succeeded, bad, int(status)) == (10_000, 10_000, 0, 10_000)


def test_bodies_of_64_kib_and_uploads(proxy, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(bytes(65_536))
    total, succeeded, bad, _ = h2load("-n", "200", "-c", "4", "-m", "8", f"{proxy.url}/big", "-H", "range: bytes=0-65535")
    assert (succeeded, bad) == (total, 0)
    # nginx says 405 to a POST of a file: an answer, and none is missing.
    done = run("h2load", "-n", "200", "-c", "4", "-m", "8", "-d", body, f"{proxy.url}/hello")
    assert "200 done" in done.stdout
    assert "0 errored, 0 timeout" in done.stdout, done.stdout


def test_nghttp(proxy):
    done = run("nghttp", "--no-verify-peer", "-v", f"{proxy.tls_url}/hello", f"{proxy.tls_url}/nothing")
    assert ":status: 200" in done.stdout
    assert ":status: 204" in done.stdout
    assert "hello from nginx" in done.stdout
    assert "INVALID" not in done.stdout.upper(), done.stdout


def test_nghttp_with_a_continuation_a_padding_and_an_expectation(proxy, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(bytes(100_000))
    # nginx refuses the method, or the fields that nghttp makes up to need a CONTINUATION.
    done = run("nghttp", "-v", "--continuation", "--padding=100", "--expect-continue", "-d", body, f"{proxy.url}/hello")
    assert re.search(r":status: (400|405|413)", done.stdout), done.stdout
