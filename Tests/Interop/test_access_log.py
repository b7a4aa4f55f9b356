"""The access log: a line for each request, whole, whatever happens to the file, and never a request that waits for it."""

import json
import os
import re
import resource
import signal
import threading

import pytest

from support.http1 import Client
from support.net import wait_until
from support.process import DEMO, peers, run

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"
COMBINED = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "(GET /\S* HTTP/1\.1|-)" (\d{3}) \d+ "[^"]*" "[^"]*"'
)


@pytest.fixture(scope="module")
def origin(shared):
    return shared.demo("origin", "--threads", "1")


def lines(path):
    """The lines of a file, each of which must be whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    assert data == b"" or data.endswith(b"\n"), f"a torn line: {data[-100:]!r}"
    return data.decode("ascii").splitlines()


def ask(address, targets):
    """Asks for each target on one connection."""
    with Client(address) as client:
        for target in targets:
            assert client.ask(GET.format(target)).status == 200


def ask_at_once(address, count, threads=4):
    """Asks on several connections at once, each so many times."""
    failures = []

    def work(number):
        try:
            ask(address, (f"/bytes/10?{number}-{turn}" for turn in range(count)))
        except Exception as error:  # noqa: BLE001: every failure is the test's
            failures.append(repr(error))

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for worker in workers:
        worker.start()
    return workers, failures


def finish(workers, failures):
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert failures == []


@pytest.mark.parametrize("flavor", ["pinned", "stealing"])
def test_each_request_has_its_line_at_a_graceful_end(start, origin, tmp_path, flavor):
    path = tmp_path / "access.log"
    proxy = start.proxy(origin.address, "--flavor", flavor, "--access-log", path)
    finish(*ask_at_once(proxy.address, 250))
    proxy.terminate()
    assert proxy.wait() == 0
    found = lines(path)
    assert len(found) == 1000
    assert all(COMBINED.fullmatch(line) for line in found)
    wanted = {f"{number}-{turn}" for number in range(4) for turn in range(250)}
    assert {re.search(r"\?(\S+) ", line).group(1) for line in found} == wanted
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_line_appears_while_the_proxy_runs(start, origin, tmp_path):
    path = tmp_path / "access.log"
    proxy = start.proxy(origin.address, "--access-log", path, "--access-log-format", "$request_uri $status")
    ask(proxy.address, ["/"])
    wait_until(lambda: lines(path) == ["/ 200"], "the line")


def test_rotation_under_load_loses_no_line(start, origin, tmp_path):
    path = tmp_path / "access.log"
    proxy = start.proxy(origin.address, "--access-log", path)
    workers, failures = ask_at_once(proxy.address, 500)
    for number in range(5):
        path.rename(tmp_path / f"old-{number}.log")
        proxy.send(signal.SIGUSR1)
        wait_until(path.exists, "a new file")
    finish(workers, failures)
    proxy.terminate()
    assert proxy.wait() == 0
    found = [line for file in [path, *tmp_path.glob("old-*.log")] for line in lines(file)]
    assert len(found) == 2000
    assert all(COMBINED.fullmatch(line) for line in found)


def test_lines_of_json_are_json(start, origin, tmp_path, certificates):
    path = tmp_path / "access.log"
    proxy = start.proxy(origin.address, "--access-log", path, "--access-log-format", "json", tls=True)
    agents = ['plain/1', 'a "quoted" \\ one', "\tt\x85\x9b\xe9 é€😀", "\ufffd" * 3]
    for agent in agents:
        with Client(proxy.address) as client:
            head = b"GET /bytes/5?q HTTP/1.1\r\nHost: h.example\r\nUser-Agent: " + agent.encode() + b"\xff\xc0\r\n\r\n"
            client.send(head)
            assert client.response().status == 200
    result = run("curl", "-sS", "--cacert", certificates.ca, "-o", "/dev/null", proxy.tls_url + "/bytes/7")
    assert result.returncode == 0, result.stderr
    proxy.terminate()
    assert proxy.wait() == 0
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(found) == len(agents) + 1
    for agent, entry in zip(agents, found, strict=False):
        assert entry["http_user_agent"] == (agent + "\ufffd\ufffd").strip("\t")
        assert (entry["status"], entry["upstream_status"], entry["body_bytes_sent"]) == (200, 200, 5)
        assert (entry["host"], entry["request_uri"]) == ("h.example", "/bytes/5?q")
        assert entry["remote_addr"] == "127.0.0.1" and entry["ssl_protocol"] is None and entry["error_kind"] is None
        assert 0 <= entry["upstream_header_time"] <= entry["request_time"]
    assert found[-1]["ssl_protocol"] == "TLSv1.3" and found[-1]["ssl_server_name"] == "localhost"


def test_hostile_requests_add_one_line_each(start, origin, tmp_path):
    path = tmp_path / "access.log"
    proxy = start.proxy(origin.address, "--access-log", path)
    hostile = [
        b'GET /"%0d%0a\\ HTTP/1.1\r\nHost: a\r\n\r\n',
        b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x" 200 5 "-" "y\r\n\r\n',
        b"GET / HTTP/1.1\r\nHost: a\r\nReferer: \x80\xff\\\"\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \n127.0.0.1 - - [forged]\r\n\r\n",
        b"GET /" + b"a" * 6000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    for head in hostile:
        with Client(proxy.address) as client:
            client.send(head)
            assert client.response().status in (200, 400, 404)
    proxy.terminate()
    assert proxy.wait() == 0
    found = lines(path)
    assert len(found) == len(hostile)
    for line in found:
        assert COMBINED.fullmatch(line), line
        assert len(line) < 3000 and all(0x20 <= ord(character) < 0x7F for character in line)


def test_a_full_disk_is_one_error_and_no_lost_request(start, origin):
    proxy = start.proxy(origin.address, "--access-log", "/dev/full")
    finish(*ask_at_once(proxy.address, 100))
    proxy.wait_for("write /dev/full: No space left on device")
    finish(*ask_at_once(proxy.address, 100))
    proxy.terminate()
    assert proxy.wait() == 0
    assert proxy.log().count("No space left") == 1


def test_a_disk_that_has_room_again_gets_whole_lines(start, origin, tmp_path):
    """A limit on the size of files stands for the disk: the write that reaches it is cut, and the next ones fail."""
    path = tmp_path / "access.log"
    limit = 20_000
    # SIGXFSZ is ignored in this process, and must stay so in that one, or it would end it.
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    arguments = ["--upstream", peers(origin.address), "--threads", "2", "--access-log", path]
    proxy = start.demo("proxy", *arguments, restore_signals=False)
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    finish(*ask_at_once(proxy.address, 100))
    proxy.wait_for("File too large; lines are dropped")
    assert limit - 200 < path.stat().st_size <= limit
    assert all(COMBINED.fullmatch(line) for line in lines(path))
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    finish(*ask_at_once(proxy.address, 10))
    proxy.terminate()
    assert proxy.wait() == 0
    found = lines(path)
    assert all(COMBINED.fullmatch(line) for line in found)
    (dropped,) = re.findall(r"can be written again; (\d+) lines were dropped", proxy.log())
    assert len(found) + int(dropped) == 440
    assert proxy.log().count("File too large") == 1


def test_a_pipe_that_nobody_reads_holds_up_nothing(start, origin, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        proxy = start.proxy(origin.address, "--access-log", path)
        finish(*ask_at_once(proxy.address, 400))
        proxy.terminate()
        assert proxy.wait() == 0
        assert os.read(reader, 1_000_000).endswith(b"\n")
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--access-log", "/nonexistent/log"], "access log: open /nonexistent/log: No such file or directory"),
        (["--access-log", "/tmp"], "access log: open /tmp: Is a directory"),
        (["--access-log", "x", "--access-log-format", "$nonsense"], "there is no variable $nonsense"),
        (["--access-log", "x", "--access-log-format", "nonsense"], "neither common, combined nor json"),
    ],
)
def test_bad_options_are_one_line(arguments, reason, tmp_path):
    result = run(DEMO, "proxy", "--upstream", "127.0.0.1:1", *arguments, cwd=tmp_path)
    assert result.returncode != 0
    assert reason in result.stderr.splitlines()[0]
    assert list(tmp_path.iterdir()) == []


def test_standard_output(start, origin):
    proxy = start.proxy(origin.address, "--access-log", "-", "--access-log-format", "said $request_uri")
    ask(proxy.address, ["/bytes/1", "/bytes/2"])
    proxy.wait_for(r"said /bytes/2")
    proxy.terminate()
    assert proxy.wait() == 0
    assert re.findall(r"said (\S+)", proxy.log()) == ["/bytes/1", "/bytes/2"]
