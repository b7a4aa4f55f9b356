"""Load generators: each is started, may be stopped early, and says what it has counted."""

import dataclasses
import json
import os
import re
import signal
import subprocess

from .processes import HOST, ChildFailed, die_with_parent

# Seconds; no measurement lasts nearly as long.
_PATIENCE = 180
# Exact numbers instead of wrk's rounded text. It runs once, after the load: it costs the load nothing.
WRK_REPORT = """
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"microseconds":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
        '"p50":%d,"p99":%d,"max":%d}\\n',
        summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
        latency:percentile(50), latency:percentile(99), latency.max))
end
"""


@dataclasses.dataclass(frozen=True)
class Counted:
    """What a load has counted. Failed: bad status, broken or refused connections, time-outs; times in milliseconds."""

    answered: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Load:
    """A load generator that is under way, with one thread."""

    def __init__(self, command):
        self._tool = os.path.basename(command[0])
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Nothing to do after `result`; one that is left by an exception must not go on.
        if self.is_running():
            self._process.kill()
        self._process.wait()

    def is_running(self):
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def stop(self):
        """Ends it early."""
        if self.is_running():
            self._process.send_signal(signal.SIGINT)

    def result(self):
        """Waits for the end and returns what was counted."""
        try:
            output, errors = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"{self._tool} does not end: it waits for answers that do not come") from None
        try:
            return self._read(output)
        except (KeyError, IndexError, ValueError) as error:
            raise ChildFailed(f"{self._tool} gave no result ({error}):\n{output[-2000:]}{errors[-2000:]}") from error

    def _read(self, output):
        raise NotImplementedError

    @staticmethod
    def _result_line(output):
        return json.loads(next((line[7:] for line in output.splitlines() if line.startswith("RESULT ")), "{}"))


class WrkLoad(Load):
    """wrk: HTTP/1.1 without TLS; it reports also when stopped early."""

    def _read(self, output):
        found = self._result_line(output)
        failed = sum(found[kind] for kind in ("connect", "read", "write", "status", "timeout"))
        times = (found[key] / 1000 for key in ("p50", "p99", "max"))
        return Counted(found["requests"] - found["status"], failed, found["microseconds"] / 1e6, *times)


class HandshakeLoad(Load):
    """Our own handshaker (Benchmarks/handshaker): what it answers are handshakes."""

    def _read(self, output):
        found = self._result_line(output)
        times = (found[key] / 1000 for key in ("p50", "p99", "max"))
        return Counted(found["handshakes"], found["failed"], found["microseconds"] / 1e6, *times)


class H2Load(Load):
    """h2load: HTTP/2, and HTTP/1.1 over TLS. Its own summary has no percentiles, so it writes every request's time to a file.

    All servers are asked for the same cipher and curve. The protocol that was agreed on must be the one expected.
    """

    def __init__(self, h2load, directory, arguments, port, path, protocol="h2"):
        self._log = os.path.join(directory, "h2load.log")
        self._protocol = protocol
        command = [h2load, "-t1", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", f"--log-file={self._log}"]
        command += ["--h1"] if protocol == "http/1.1" else []
        super().__init__(command + arguments + [f"https://{HOST}:{port}{path}"])

    def _read(self, output):
        spoken = re.search(r"^Application protocol: (\S+)", output, re.MULTILINE)
        if spoken is None or spoken.group(1) != self._protocol:
            raise ValueError(f"{self._protocol} was not agreed on")
        seconds = re.search(r"^finished in ([\d.]+)(us|ms|s)\b", output, re.MULTILINE)
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
        if seconds is None or counts is None:
            raise ValueError("no summary")
        succeeded, failed, errored, timeout = (int(count) for count in counts.groups())
        elapsed = float(seconds.group(1)) / {"us": 1e6, "ms": 1e3, "s": 1}[seconds.group(2)]
        # "failed" has the errored ones in it.
        return Counted(succeeded, max(failed, errored) + timeout, elapsed, *self._times())

    def _times(self):
        with open(self._log) as log:
            times = sorted(int(line.rsplit("\t", 1)[1]) / 1000 for line in log)
        os.remove(self._log)
        if not times:
            return 0, 0, 0
        return times[len(times) // 2], times[len(times) * 99 // 100], times[-1]
