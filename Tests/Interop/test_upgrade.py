"""One process replaces another without a request being lost; systemd starts and watches it; it runs in the background."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import tempfile
import threading
import time

import pytest

from support import net
from support.generations import LONG, Generations, HTTP2Load, UnixLoad, Wrk, greeting
from support.http1 import Client
from support.net import wait_until
from support.process import DEMO, Program, run

# Some of these are ten upgrades under full load.
pytestmark = pytest.mark.timeout(300)

HELLO = "hello from AsyncPingora\n"
UPGRADES = 10


@pytest.fixture
def generations(tmp_path, request):
    """Makes a service that is stopped in the end."""
    made = []

    def make(*arguments, **options):
        service = Generations(tmp_path, *arguments, **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


def service(generations, certificates, **options):
    """Proxy and origin in one process, in the clear, with TLS, and with HTTP/2 on both."""
    pair = certificates.good
    return generations(
        "both", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--cert", pair.chain, "--key", pair.key,
        "--h2c", "--threads", "2", "--admin", "127.0.0.1:0", listeners=4, **options,
    )


def upgrade_under(load, current, seen):
    """Ten upgrades, each once the load has had a hundred answers of the process before."""
    for _ in range(UPGRADES):
        current.upgrade()
        seen()
    answered, failures = load.stop()
    assert failures == []
    assert answered > 100
    assert current.ended() == [0] * UPGRADES


@pytest.mark.parametrize("kind", ["h1", "tls"])
def test_ten_upgrades_under_full_load_lose_nothing(generations, certificates, kind):
    current = service(generations, certificates)
    _, port, tls_port, _ = current.ports
    url = f"http://127.0.0.1:{port}/" if kind == "h1" else f"https://127.0.0.1:{tls_port}/"
    with contextlib.closing(Wrk(url)) as load:
        upgrade_under(load, current, lambda: greeting(port))


@pytest.mark.parametrize("kind", ["h2c", "h2"])
def test_ten_upgrades_lose_no_stream(generations, certificates, kind):
    current = service(generations, certificates)
    _, port, tls_port, _ = current.ports
    tls = net.client_context(certificates.ca, ["h2"]) if kind == "h2" else None
    with contextlib.closing(HTTP2Load(("127.0.0.1", tls_port if tls else port), 8, tls)) as load:

        def seen():
            before = load.answered
            wait_until(lambda: load.answered > before + 10 or load.failures, "streams", LONG)

        upgrade_under(load, current, seen)


def test_ten_upgrades_of_a_unix_socket(generations, tmp_path):
    path = tmp_path / "http.sock"
    current = generations("origin", "--listen", f"unix:{path}", "--threads", "2")
    inode = path.stat().st_ino
    with contextlib.closing(UnixLoad(path, 16)) as load:

        def seen():
            before = load.answered
            wait_until(lambda: load.answered > before + 10 or load.failures, "answers", LONG)

        upgrade_under(load, current, seen)
    assert path.stat().st_ino == inode
    assert not current.socket.exists()


def test_after_an_upgrade_the_admin_page_is_the_new_processs(generations, certificates):
    """It outlives what the old process still serves only when that ends for good: here another one has its socket."""
    current = service(generations, certificates)
    _, port, _, page = current.ports
    with Client(("127.0.0.1", port)) as client:
        client.send("GET /drip?bytes=100000&ms=50 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.reader.head()
        old = current.current
        current.upgrade()

        def answering():
            with Client(("127.0.0.1", page)) as reader:
                answer = reader.ask("GET /api/overview.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return json.loads(answer.body)["process"]["pid"]

        wait_until(lambda: {answering() for _ in range(20)} == {current.current.pid}, "the new process alone to answer")
        assert old.process.poll() is None, "it still serves the download"
    assert current.ended() == [0]


def still_serves(current, port):
    assert greeting(port) == HELLO
    assert current.current.process.poll() is None


def test_a_new_process_that_cannot_come_up_changes_nothing(generations, certificates):
    """It has taken the sockets, and then cannot bind an address that is new."""
    current = service(generations, certificates)
    port = current.ports[1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        new = current.start_next("--listen", net_address(taken))
        current.current.send(signal.SIGQUIT)
        assert new.wait(LONG) == 1
    assert "Address already in use" in new.log()
    current.current.wait_for("the upgrade failed.*Address already in use", patience=LONG)
    still_serves(current, port)
    current.upgrade()
    assert greeting(port) == HELLO
    current.gone.remove(new)
    assert current.ended() == [0]


def net_address(sock):
    host, port = sock.getsockname()
    return f"{host}:{port}"


def test_a_new_process_that_is_killed_changes_nothing(generations, certificates):
    current = service(generations, certificates)
    new = current.start_next()
    new.process.kill()
    new.process.wait()
    assert current.socket.exists(), "it had no time to tidy up"
    current.current.send(signal.SIGQUIT)
    current.current.wait_for("the upgrade failed.*no new process waits", patience=LONG)
    still_serves(current, current.ports[1])
    current.gone.remove(new)
    current.upgrade()
    assert current.ended() == [0]


def test_a_new_process_that_waits_can_be_stopped(generations, certificates):
    current = service(generations, certificates)
    new = current.start_next()
    new.send(signal.SIGTERM)
    assert new.wait(LONG) == 0
    assert not current.socket.exists()
    still_serves(current, current.ports[1])


def test_no_old_process_comes(tmp_path):
    path = tmp_path / "upgrade.sock"
    done = run(DEMO, "both", "--listen", "127.0.0.1:0", "--upgrade", "--upgrade-socket", path, "--upgrade-timeout", "1")
    assert done.returncode == 1
    assert "no old process has come" in done.stderr
    assert not path.exists()
    done = run(DEMO, "both", "--upgrade")
    assert done.returncode != 0
    assert "--upgrade-socket" in done.stderr


# systemd


def launch(tmp_path, arguments, sockets=(), **variables):
    """Starts Demo as systemd does, with sockets from number 3 on."""
    count = len(sockets)
    shell = f"LISTEN_PID=$$ LISTEN_FDS={count} exec {DEMO} {arguments}"
    numbers = [sock.fileno() for sock in sockets]

    def pass_sockets():
        # Out of the way first, for they may lie where others are to go.
        copies = [os.dup2(number, 100 + index) for index, number in enumerate(numbers)]
        for index, copy in enumerate(copies):
            os.dup2(copy, 3 + index)

    return Program(
        ["sh", "-c", shell], tmp_path / "systemd.log", env={**os.environ, **variables},
        preexec_fn=pass_sockets, pass_fds=range(3, 3 + count),
    )


def test_sockets_of_systemd(tmp_path):
    """They are found by their addresses, be they blocking; those that nobody uses are closed."""
    path = tmp_path / "http.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.create_server(("127.0.0.1", 0)) as unused, \
            socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        port = tcp.getsockname()[1]
        program = launch(
            tmp_path, f"both --listen 127.0.0.1:{port}", [tcp, unused], LISTEN_FDNAMES="http:spare"
        )
        try:
            program.wait_for("systemd has opened 127.0.0.1:.*http", patience=LONG)
            program.wait_for(f"no service listens on {net_address(unused)}", patience=LONG)
            assert greeting(port) == HELLO
            program.send(signal.SIGTERM)
            assert program.wait(LONG) == 0
            # The sockets are systemd's: connections wait there for the next process.
            with net.connect(("127.0.0.1", port)) as waiting:
                waiting.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                program = launch(tmp_path, f"both --listen 127.0.0.1:{port}", [tcp])
                waiting.settimeout(LONG)
                assert waiting.recv(100).startswith(b"HTTP/1.1 200")
        finally:
            program.stop()


class Supervisor:
    """The end of a socket that systemd would listen on; what comes is read at once, for a full queue takes no more."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._read = 0
        self.seen = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while message := self._socket.recv(4_096):
                self.seen.append(message.decode())

    def wait(self, text):
        """The next message that begins so, after those that were waited for."""

        def found():
            while self._read < len(self.seen):
                self._read += 1
                if self.seen[self._read - 1].startswith(text):
                    return self.seen[self._read - 1]
            return None

        message = wait_until(found, text, LONG)
        return dict(line.split("=", 1) for line in message.splitlines())

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(LONG)
        self._socket.close()


def test_systemd_is_told(generations, certificates, tmp_path):
    with contextlib.closing(Supervisor(tmp_path / "notify")) as supervisor:
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        current = service(generations, certificates, environment=environment)
        assert int(supervisor.wait("READY=1")["MAINPID"]) == current.current.pid
        supervisor.wait("WATCHDOG=1")
        supervisor.wait("WATCHDOG=1")
        current.current.send(signal.SIGHUP)
        assert int(supervisor.wait("RELOADING=1")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        supervisor.wait("READY=1")
        current.upgrade()
        assert int(supervisor.wait("READY=1")["MAINPID"]) == current.current.pid
        assert current.ended() == [0]
        assert not any(message.startswith("STOPPING") for message in supervisor.seen), "only the old process ends"
        current.current.send(signal.SIGTERM)
        supervisor.wait("STOPPING=1")
        assert current.current.wait(LONG) == 0


# The background


class Background:
    """`Demo` in the background, found by its pid file."""

    def __init__(self, directory, *arguments):
        self.pid_file = directory / "pid"
        self.log = directory / "error.log"
        self.arguments = [
            "both", *arguments, "--daemon", "--pid-file", self.pid_file, "--error-log", self.log,
            "--upgrade-socket", directory / "upgrade.sock",
        ]

    def start(self, *arguments):
        return run(DEMO, *self.arguments, *arguments, patience=LONG)

    def pid(self, suffix=""):
        return int(pathlib.Path(f"{self.pid_file}{suffix}").read_text())

    def stop(self):
        for suffix in ("", ".old"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid(suffix), signal.SIGKILL)


@pytest.fixture
def background():
    # Other users must be able to look into it, which they may not into pytest's.
    directory = pathlib.Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    made = Background(directory, "--listen", f"127.0.0.1:{port}", "--tls-listen", "127.0.0.1:0")
    made.port = port
    yield made
    made.stop()
    shutil.rmtree(directory)


def is_gone(pid):
    """Whether a process has ended: in a container nobody may have collected it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_background(background):
    done = background.start()
    assert (done.returncode, done.stderr) == (0, ""), done
    pid = background.pid()
    assert greeting(background.port) == HELLO
    assert os.getsid(pid) == pid, "a session of its own"
    assert "listens on" in background.log.read_text()
    # The log is opened anew, for it has been moved away.
    moved = background.log.rename(background.log.with_suffix(".1"))
    os.kill(pid, signal.SIGUSR1)
    wait_until(background.log.exists, "a new log", LONG)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid), "the end", LONG)
    assert not background.pid_file.exists()
    assert "listens on" in moved.read_text()


def test_the_background_that_ends_early_names_its_log(background):
    """What goes wrong before there is a server is in the log alone."""
    done = background.start("--cert", "/nowhere.pem", "--key", "/nowhere.pem")
    assert done.returncode == 1
    assert f"has ended before it was ready; {background.log} may say why" in done.stderr
    assert "/nowhere.pem: No such file or directory" in background.log.read_text()


def test_the_background_tells_why_it_cannot_start(background):
    with socket.create_server(("127.0.0.1", background.port)):
        done = background.start()
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert not background.pid_file.exists()


def test_the_command_waits_for_the_background_as_long_as_it_is_told(background):
    """Not at all: that the port is taken is in the log alone. For a second: the process that is not ready by then is ended."""
    conf = background.pid_file.with_name("proxy.yaml")
    conf.write_text("daemon_wait_for_ready: false\n")
    with socket.create_server(("127.0.0.1", background.port)):
        done = background.start("--conf", conf)
        assert (done.returncode, done.stderr) == (0, ""), done
        wait_until(lambda: "Address already in use" in background.log.read_text(), "the reason in the log", LONG)
    conf.write_text("daemon_ready_timeout_seconds: 1\n")
    # Whoever reads a pipe that nobody writes to waits for ever.
    pipe = background.pid_file.with_name("pipe.pem")
    os.mkfifo(pipe)
    done = background.start("--conf", conf, "--cert", pipe, "--key", pipe)
    assert done.returncode == 1
    assert "was not ready in time" in done.stderr


def test_an_upgrade_in_the_background(background):
    assert background.start().returncode == 0
    first = background.pid()
    done = background.start("--upgrade")
    assert done.returncode == 0, done
    second = background.pid()
    assert (background.pid(".old"), greeting(background.port)) == (first, HELLO)
    os.kill(first, signal.SIGQUIT)
    wait_until(lambda: is_gone(first), "the end of the old process", LONG)
    assert greeting(background.port) == HELLO
    assert background.pid() == second
    assert not pathlib.Path(f"{background.pid_file}.old").exists()
    os.kill(second, signal.SIGTERM)
    wait_until(lambda: is_gone(second), "the end", LONG)
    assert not background.pid_file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_another_user(background):
    """Root binds the addresses, somebody else serves, and an upgrade passes from one to the other."""
    assert background.start("--user", "nobody").returncode == 0
    first = background.pid()
    status = pathlib.Path(f"/proc/{first}/status").read_text()
    nobody = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")][0]
    assert set(nobody) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert greeting(background.port) == HELLO
    assert background.start("--upgrade", "--user", "nobody").returncode == 0
    os.kill(first, signal.SIGQUIT)
    wait_until(lambda: is_gone(first), "the end of the old process", LONG)
    assert greeting(background.port) == HELLO
