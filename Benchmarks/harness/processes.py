"""Child processes: started in a directory of their own, waited for, measured through /proc, stopped by their id."""

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time

HOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ChildFailed(Exception):
    """A server did not start, or a tool ended with an error."""


def free_port():
    """A port that the kernel has just given out and taken back."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def tls_client():
    """Settings of a TLS 1.3 client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def die_with_parent():
    """Runs in a new child: even a harness that is killed leaves nothing behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One server process with whatever children it has (nginx's workers)."""

    def __init__(self, name, command, port, directory, tls=False):
        self.name = name
        self.port = port
        self.tls = tls
        self.log_path = os.path.join(directory, f"{name}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
            )

    def __enter__(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self._answers():
                return self
            time.sleep(0.02)
        self.stop()
        raise ChildFailed(f"{self.name} does not answer on port {self.port}:\n{self.log_tail()}")

    def __exit__(self, *_):
        self.stop()

    def _answers(self):
        # Some listen before they know their routes: ready is who answers well.
        if self.tls:
            connection = http.client.HTTPSConnection(HOST, self.port, timeout=2, context=tls_client())
        else:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/small")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log_tail(self):
        """The last lines it wrote."""
        with open(self.log_path, "r", errors="replace") as log:
            return "".join(log.readlines()[-15:])

    def is_running(self):
        """Whether the process that was started still runs."""
        return self.process.poll() is None

    def stop(self):
        """Asks it to end, insists after five seconds."""
        if not self.is_running():
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def pids(self):
        """The process and all of its descendants."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/children") as children:
                        found += [int(child) for child in children.read().split()]
        return found

    def cpu_nanoseconds(self):
        """Time on a processor so far, user and kernel, over all threads (first field of schedstat)."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                        total += int(stat.read().split()[0])
        return total

    def reset_peak_rss(self):
        """Sets the kernel's high-water mark to what is resident now."""
        for pid in self.pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/clear_refs", "w") as file:
                file.write("5")

    def peak_rss_kb(self):
        """The high-water mark of resident memory since the last reset."""
        return sum(self._field(f"/proc/{pid}/status", "VmHWM:") for pid in self.pids())

    def rss_kb(self):
        """Resident memory now, exactly (the counters in status lag behind by some pages per thread)."""
        return sum(self._field(f"/proc/{pid}/smaps_rollup", "Rss:") for pid in self.pids())

    def descriptor_count(self):
        """Open descriptors over all of its processes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += len(os.listdir(f"/proc/{pid}/fd"))
        return total

    @staticmethod
    def _field(path, name):
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1])
        return 0


def run_tool(command, **options):
    """Runs a command to its end and returns what it printed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"{' '.join(command)} does not end") from None
    if done.returncode != 0:
        raise ChildFailed(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
