"""A configuration file: what is wrong with it is told, and SIGHUP reads it again while requests go on."""

import re
import shutil
import signal
import ssl
import subprocess
import threading

import pytest

from support.http1 import Client
from support.net import client_context, connect, wait_until
from support.process import DEMO, peers, run

GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Configured:
    """A Demo proxy with a configuration file that the test changes."""

    def __init__(self, start, directory, text, *arguments):
        self.file = directory / "proxy.yaml"
        self.file.write_text(text)
        self.demo = start.demo("proxy", "--conf", self.file, *arguments)
        self.reloads = 0

    def reload(self, text=None, valid=True):
        """Replaces the file, sends SIGHUP and waits until the proxy has read it."""
        if text is not None:
            scratch = self.file.with_suffix(".new")
            scratch.write_text(text)
            scratch.rename(self.file)
        self.demo.send(signal.SIGHUP)
        if valid:
            self.reloads += 1
            self.demo.wait_for(rf" reloaded {re.escape(str(self.file))}", self.reloads)

    def status(self, target="/"):
        with Client(self.demo.address) as client:
            return client.ask(GET.format(target)).status


def named(name):
    """An origin's answer that tells which it is."""
    return lambda exchange: exchange.respond(body=name.encode()) or True


# What `--test` says


def check(file, *arguments):
    return run(DEMO, "proxy", "--test", "--conf", file, *arguments)


def test_a_valid_file(tmp_path, certificates):
    file = tmp_path / "proxy.yaml"
    tls = f"{{listen: '127.0.0.1:0', certificate: {certificates.good.chain}, key: {certificates.good.key}}}"
    file.write_text(f"threads: 2\ndemo:\n  upstream: 127.0.0.1:9\n  tls: {tls}\n")
    done = check(file)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: the configuration is valid\n", "")


def test_the_documented_file_is_valid(request):
    file = request.config.rootpath.parent.parent / "Examples" / "async-pingora.yaml"
    done = check(file, "--upstream", "127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_are_lines_with_places(tmp_path):
    file = tmp_path / "proxy.yaml"
    file.write_text("treads: 2\nserver:\n  write_timeout: soon\ndemo:\n  upstream: nowhere\n")
    done = check(file)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"{file}:1:1: key 'treads': expected 'threads', found an unknown key",
        f"{file}:3:18: key 'server.write_timeout': expected a duration such as 30s, 500ms or 2m, or 'never', found 'soon'",
        f"{file}:5:13: key 'demo.upstream': expected HOST:PORT, where HOST may be a name, or unix:/PATH, found 'nowhere'",
    ]


def test_an_unknown_key_of_the_programs_own_section_is_an_error(tmp_path):
    file = tmp_path / "proxy.yaml"
    file.write_text("demo:\n  upstream: 127.0.0.1:9\n  tls: {listen: '127.0.0.1:0', certificate: a, key: b, keys: c}\n")
    done = check(file)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{file}:3:56: key 'demo.tls.keys': expected 'key', found an unknown key" in done.stderr.splitlines()


@pytest.mark.parametrize("fault", ["missing", "another's key"])
def test_certificates_are_looked_at(tmp_path, certificates, fault):
    chain = tmp_path / "none.pem" if fault == "missing" else certificates.good.chain
    file = tmp_path / "proxy.yaml"
    tls = f"{{listen: '127.0.0.1:0', certificate: {chain}, key: {certificates.expired.key}}}"
    file.write_text(f"demo:\n  upstream: 127.0.0.1:9\n  tls: {tls}\n")
    done = check(file)
    assert done.returncode == 1
    place = rf"{re.escape(str(file))}:3:\d+: key 'demo.tls.certificate': {re.escape(str(chain))}"
    reason = ": No such file or directory" if fault == "missing" else ", its key: .*"
    assert re.fullmatch(place + reason + "\n", done.stderr), done.stderr


def test_a_file_that_is_not_there(tmp_path):
    done = run(DEMO, "proxy", "--conf", tmp_path / "none.yaml")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n")


def test_the_files_services_are_started(start, tmp_path):
    origin = start.origin()
    text = f"demo: {{upstream: '{peers(origin.address)}'}}\nadmin: {{listen: '127.0.0.1:0'}}\nmetrics: {{listen: '127.0.0.1:0'}}\n"
    proxy = Configured(start, tmp_path, text)
    for service, target in (("admin", "/api/overview.json"), ("metrics", "/metrics")):
        port = int(proxy.demo.wait_for(rf"{service} listens on 127\.0\.0\.1:(\d+)")[0])
        with Client(("127.0.0.1", port)) as client:
            assert client.ask(GET.format(target)).status == 200


# What SIGHUP changes


def test_the_upstream_and_what_is_needed_from_a_restart(start, tmp_path):
    first, second = start.origin(named("first")), start.origin(named("second"))
    text = "threads: 1\ndemo: {{upstream: '{}', tls: null}}\n"
    proxy = Configured(start, tmp_path, text.format(peers(first.address)))
    with Client(proxy.demo.address) as client:
        assert client.ask(GET.format("/")).body == b"first"
        changed = "threads: 2\nuser: nobody\ndemo: {{upstream: '{}', listen: '127.0.0.1:9'}}\n"
        proxy.reload(changed.format(peers(second.address)))
        assert client.ask(GET.format("/")).body == b"second"
    proxy.demo.wait_for(r"needs a restart to take effect: user, threads, demo.listen\n")


def test_the_command_line_wins(start, tmp_path):
    first, second = start.origin(named("first")), start.origin(named("second"))
    text = f"demo: {{upstream: '{peers(second.address)}'}}\n"
    proxy = Configured(start, tmp_path, text, "--upstream", peers(first.address))
    for _ in range(2):
        with Client(proxy.demo.address) as client:
            assert client.ask(GET.format("/")).body == b"first"
        proxy.reload(text)


def test_timeouts(start, tmp_path):
    """Also of connections that are there: the next request goes by the new ones."""
    upstream = f"demo: {{upstream: '{peers(start.origin().address)}'}}\n"
    proxy = Configured(start, tmp_path, upstream)
    with Client(proxy.demo.address) as old:
        assert old.ask(GET.format("/")).status == 200
        proxy.reload(upstream + "server: {request_head_timeout: 200ms}\n")
        assert old.ask("GET / HTTP/1.1\r\n").status == 408
    with Client(proxy.demo.address) as new:
        assert new.ask("GET / HTTP/1.1\r\n").status == 408
    proxy.reload(upstream + "server: {limits: {target_bytes: 64}}\n")
    with Client(proxy.demo.address) as new:
        assert new.ask(GET.format("/" + "a" * 100)).status == 414


def test_the_log_level(start, tmp_path):
    upstream = f"demo: {{upstream: '{peers(start.origin().address)}'}}\n"
    proxy = Configured(start, tmp_path, upstream)

    def refuse():
        with Client(proxy.demo.address) as client:
            assert client.ask("NO REQUEST\r\n\r\n").status == 400

    refuse()
    proxy.reload(upstream + "log_level: debug\n")
    refuse()
    proxy.demo.wait_for("refused a request with 400")
    proxy.reload(upstream + "log_level: warning\n", valid=False)
    # That it was read is not said any more: the limit that comes with it shows that it was.
    proxy.reload(upstream + "log_level: warning\nserver: {limits: {target_bytes: 64}}\n", valid=False)
    wait_until(lambda: proxy.status("/" + "a" * 100) == 414, "the last reload")
    before = proxy.demo.log().count("refused a request")
    refuse()
    assert proxy.demo.log().count("refused a request") == before


def test_an_invalid_file_changes_nothing(start, tmp_path):
    upstream = f"demo: {{upstream: '{peers(start.origin().address)}'}}\n"
    proxy = Configured(start, tmp_path, upstream)
    proxy.reload("server: {h2c: 1}\nmax_retries: none\n", valid=False)
    place = re.escape(str(proxy.file))
    proxy.demo.wait_for(rf"not reloaded: {place}:1:15: key 'server.h2c': expected true or false, found '1'\n")
    proxy.demo.wait_for(rf"not reloaded: {place}:2:14: key 'max_retries': .*, found 'none'\n")
    assert proxy.status() == 200
    proxy.reload(upstream)
    assert proxy.status() == 200


def test_without_a_file_the_signal_ends_nothing(start):
    proxy = start.proxy(start.origin().address)
    proxy.send(signal.SIGHUP)
    proxy.wait_for("reloaded the certificates, for there is no configuration file")
    with Client(proxy.address) as client:
        assert client.ask(GET.format("/")).status == 200


def of(certificate):
    return ssl.PEM_cert_to_DER_cert(certificate.chain.read_text())


def test_files_that_are_elsewhere(start, tmp_path, certificates):
    """The file names other certificates and another access log: both change while it runs, or stay if they are of no use."""
    text = f"""
demo:
  upstream: '{peers(start.origin().address)}'
  tls: {{{{listen: '127.0.0.1:0', certificate: {{chain}}, key: {{key}}}}}}
access_log: {{{{path: {{log}}}}}}
"""
    good, other, logs = certificates.good, certificates.revoked, [tmp_path / "first.log", tmp_path / "second.log"]
    proxy = Configured(start, tmp_path, text.format(chain=good.chain, key=good.key, log=logs[0]))
    address = ("127.0.0.1", int(proxy.demo.wait_for(r"listens on 127\.0\.0\.1:(\d+)", 2)[1]))

    def shown(target):
        with connect(address, client_context(certificates.ca)) as sock:
            sock.sendall(GET.format(target).encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
            return sock.getpeercert(binary_form=True)

    def logged(log, target):
        wait_until(lambda: log.exists() and f" {target} " in log.read_text(), f"{target} in {log}")

    assert shown("/1") == of(good)
    logged(logs[0], "/1")
    proxy.reload(text.format(chain=other.chain, key=other.key, log=logs[1]))
    wait_until(logs[1].exists, "the new log")
    assert shown("/2") == of(other)
    logged(logs[1], "/2")
    proxy.reload(text.format(chain=good.chain, key=other.key, log=tmp_path / "none" / "log"))
    proxy.demo.wait_for(rf"goes on with its old certificates: {re.escape(str(good.chain))}, its key: ")
    proxy.demo.wait_for("No such file or directory; the lines still go to the file that was open")
    assert shown("/3") == of(other)
    logged(logs[1], "/3")
    assert "needs a restart" not in proxy.demo.log()


def test_certificates(start, tmp_path, certificates):
    """A new one is shown to those who connect from then on; one that cannot be read leaves the old."""
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"

    def install(certificate):
        shutil.copy(certificate.key, key)
        shutil.copy(certificate.chain, chain)

    def shown(address):
        with connect(address, client_context(certificates.ca)) as sock:
            return sock.getpeercert(binary_form=True)

    good, other = certificates.good, certificates.revoked
    install(good)
    upstream = f"demo: {{upstream: '{peers(start.origin().address)}'}}\n"
    proxy = Configured(start, tmp_path, upstream, "--tls-listen", "127.0.0.1:0", "--cert", chain, "--key", key)
    address = ("127.0.0.1", int(proxy.demo.wait_for(r"listens on 127\.0\.0\.1:(\d+)", 2)[1]))
    with connect(address, client_context(certificates.ca)) as old:
        assert old.getpeercert(binary_form=True) == of(good)
        install(other)
        assert shown(address) == of(good)
        proxy.reload()
        assert shown(address) == of(other)
        chain.unlink()
        proxy.reload()
        reason = f"goes on with its old certificates: {chain}: No such file or directory\n"
        assert len(proxy.demo.wait_for(re.escape(reason))) == 1
        assert shown(address) == of(other)
        old.sendall(GET.format("/").encode())
        assert old.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("kind", ["h1", "h1 over TLS", "h2 over TLS"])
def test_no_request_fails_while_the_file_is_read_again(start, tmp_path, certificates, kind):
    """64 connections at full load; ten reloads at the least, each with other limits, a pool of another size, and certificates."""
    origin = start.demo("origin", "--threads", "1")
    demo = f"demo: {{upstream: '{peers(origin.address)}'}}\n"
    tls = ["--tls-listen", "127.0.0.1:0", "--cert", certificates.good.chain, "--key", certificates.good.key]
    proxy = Configured(start, tmp_path, demo, *tls)
    port = proxy.demo.wait_for(r"listens on 127\.0\.0\.1:(\d+)", 2)[0 if kind == "h1" else 1]
    options = ["-c", "64", "-m", "8"] if kind.startswith("h2") else ["-c", "64", "--h1"]
    url = f"{'http' if kind == 'h1' else 'https'}://127.0.0.1:{port}/bytes/100"
    answered = 0
    failures = []
    enough = threading.Event()

    def load():
        nonlocal answered
        while not enough.is_set():
            done = subprocess.run(["h2load", "-n", "6400", *options, url], capture_output=True, text=True, timeout=55, check=False)
            match = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
            if match is None or match.groups()[1:] != ("0", "0", "0") or "6400 2xx, 0 3xx" not in done.stdout:
                failures.append(done.stdout + done.stderr)
                return
            answered += int(match.group(1))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    for number in range(1, 11):
        proxy.reload(f"{demo}upstream_keepalive_pool_size: {number * 8}\nserver: {{limits: {{fields: {20 + number}}}}}\n")
        assert not failures, failures
    enough.set()
    thread.join(55)
    assert not failures, failures
    assert not thread.is_alive()
    assert answered >= 6400
