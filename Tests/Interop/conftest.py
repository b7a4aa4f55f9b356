"""Fixtures: certificates, the proxy under test, and the peers around it. What a fixture starts, it stops."""

import itertools
import os
import pathlib
import types

import pytest

from support.certificates import Authority, self_signed
from support.http1 import Origin
from support.nginx import Nginx
from support.process import DEMO, Demo, peers


def pytest_configure():
    if not os.access(DEMO, os.X_OK):
        raise pytest.UsageError("DEMO must name the program under test; Tests/Interop/run.sh sets it")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def certificates(workspace):
    """Certificates for localhost: one that is good, and one for each way to be bad."""
    authority, other = Authority(workspace), Authority(workspace, "other-authority")
    good, revoked = authority.issue("good"), authority.issue("revoked")
    return types.SimpleNamespace(
        ca=authority.certificate,
        good=good,
        expired=authority.issue("expired", start="200101000000Z", end="210101000000Z"),
        future=authority.issue("future", start="400101000000Z", end="410101000000Z"),
        wrong_name=authority.issue("wrong-name", hosts="DNS:other.example"),
        wildcard=authority.issue("wildcard", hosts="DNS:*.interop.example"),
        other_ca=other.issue("other"),
        self_signed=self_signed(workspace),
        revoked=revoked,
        crl=authority.revocations(revoked),
    )


class Starter:
    """Starts programs and peers, and stops them in the end."""

    def __init__(self, directory, certificates):
        self.directory = pathlib.Path(directory)
        self.certificates = certificates
        self._numbers = itertools.count()
        self._started = []

    def keep(self, thing):
        """Sees to it that a peer is closed."""
        self._started.append(thing.close)
        return thing

    def _log(self, name):
        return self.directory / f"{name}-{next(self._numbers)}.log"

    def demo(self, role, *arguments, tls=False, **options):
        certificate = self.certificates.good if tls else None
        program = Demo(role, self._log(role), *arguments, certificate=certificate, **options)
        self._started.append(program.stop)
        return program

    def proxy(self, upstream, *arguments, tls=False):
        """`Demo proxy` in front of an address."""
        return self.demo("proxy", "--upstream", peers(upstream), "--threads", "2", *arguments, tls=tls)

    def origin(self, answer=None, **options):
        """An HTTP/1.1 origin in this process."""
        return self.keep(Origin(answer, **options))

    def stop(self):
        for stop in reversed(self._started):
            stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, certificates):
    """Starts what a module's tests share."""
    starter = Starter(tmp_path_factory.mktemp("shared"), certificates)
    yield starter
    starter.stop()


@pytest.fixture
def start(tmp_path, certificates):
    """Starts what one test needs."""
    starter = Starter(tmp_path, certificates)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, certificates):
    server = Nginx(tmp_path_factory.mktemp("nginx") / "root", certificates.good)
    yield server
    server.stop()
