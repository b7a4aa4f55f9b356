"""gRPC passes untouched: grpcio at both ends, over plain and encrypted HTTP/2."""

import os
import threading

import grpc
import pytest

from support import grpc_service
from support.net import refused_address

ECHO = "/interop.Echo/"
PATIENCE = 60


class Wire:
    """A channel through the proxy to a server."""

    def __init__(self, shared, certificates, downstream, upstream):
        is_encrypted = upstream == "TLS"
        self.server = shared.keep(grpc_service.Server(certificates.good if is_encrypted else None))
        options = ["--upstream-http", "h2", "--max-h2-streams", "100"]
        if is_encrypted:
            options += ["--upstream-tls", "--upstream-sni", "localhost", "--upstream-ca", certificates.ca]
        proxy = shared.proxy(self.server.address, "--h2c", *options, tls="TLS" in (downstream, upstream))
        ca = certificates.ca if downstream == "TLS" else None
        self.channel = shared.keep(grpc_service.channel(proxy.tls_address if ca else proxy.address, ca))
        self.service = self.server.service


@pytest.fixture(scope="module", params=[("h2c", "h2c"), ("TLS", "TLS"), ("TLS", "h2c"), ("h2c", "TLS")], ids=" to ".join)
def wire(request, shared, certificates):
    return Wire(shared, certificates, *request.param)


@pytest.mark.parametrize("size", [0, 1, 100_000, 4 << 20])
def test_unary(wire, size):
    message = os.urandom(size)
    call = wire.channel.unary_unary(ECHO + "Unary")
    answer, facts = call.with_call(message, metadata=[("x-asked", "yes"), ("x-bytes-bin", b"\0\xfe")], timeout=PATIENCE)
    assert answer == message
    assert dict(facts.initial_metadata())["x-initial"] == "first"
    assert dict(facts.trailing_metadata())["x-trailing"] == "last"
    assert dict(facts.trailing_metadata())["x-data-bin"] == b"\0\xff"
    asked = wire.service.seen[-1]
    assert (asked["x-asked"], asked["x-bytes-bin"]) == ("yes", b"\0\xfe")


def test_server_streaming(wire):
    answers = list(wire.channel.unary_stream(ECHO + "Count")(b"2000", timeout=PATIENCE))
    assert answers == [str(number).encode() for number in range(2_000)]


def test_client_streaming(wire):
    assert wire.channel.stream_unary(ECHO + "Sum")((bytes(1_000) for _ in range(2_000)), timeout=PATIENCE) == b"2000000"


def test_both_streaming_in_turns(wire):
    """Each message is sent when the answer to the one before it has come, so nothing may be held back on the way."""
    said = threading.Semaphore(1)

    def speak():
        for number in range(100):
            assert said.acquire(timeout=PATIENCE)
            yield str(number).encode()

    for number, answer in enumerate(wire.channel.stream_stream(ECHO + "Chat")(speak(), timeout=PATIENCE)):
        assert answer == f"re: {number}".encode()
        said.release()
    assert number == 99


def test_many_calls_at_once_on_one_connection(wire):
    call = wire.channel.unary_unary(ECHO + "Unary")
    calls = [call.future(str(number).encode(), timeout=PATIENCE) for number in range(300)]
    assert [each.result() for each in calls] == [str(number).encode() for number in range(300)]


def test_a_status_in_the_trailers(wire):
    with pytest.raises(grpc.RpcError) as caught:
        wire.channel.unary_unary(ECHO + "Fail")(b"", timeout=PATIENCE)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "größe: 100 %")
    assert dict(caught.value.trailing_metadata())["x-trailing"] == "last"


def test_a_status_after_messages(wire):
    answers = wire.channel.unary_stream(ECHO + "Break")(b"", timeout=PATIENCE)
    assert [next(answers), next(answers)] == [b"one", b"two"]
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "gone")


def test_a_method_that_does_not_exist(wire):
    with pytest.raises(grpc.RpcError) as caught:
        wire.channel.unary_unary(ECHO + "Nothing")(b"", timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_ends_the_call_at_both_ends(wire):
    wire.service.cancelled.clear()
    with pytest.raises(grpc.RpcError) as caught:
        wire.channel.unary_unary(ECHO + "Wait")(b"", timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert wire.service.cancelled.wait(PATIENCE)


def test_a_cancellation_reaches_the_server(wire):
    wire.service.cancelled.clear()
    answers = wire.channel.unary_stream(ECHO + "Endless")(b"", timeout=PATIENCE)
    assert next(answers) == bytes(1_000)
    answers.cancel()
    assert wire.service.cancelled.wait(PATIENCE)
    assert wire.channel.unary_unary(ECHO + "Unary")(b"after", timeout=PATIENCE) == b"after"


def test_no_server_is_unavailable(start):
    proxy = start.proxy(refused_address(), "--h2c", "--upstream-http", "h2")
    with grpc_service.channel(proxy.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO + "Unary")(b"", timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
