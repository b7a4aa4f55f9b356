"""Programs that a test starts, and Demo above all."""

import os
import re
import signal
import subprocess
import time

from support.net import PATIENCE, wait_until

DEMO = os.environ.get("DEMO", "")


class Program:
    """A running program whose output goes to a file."""

    def __init__(self, arguments, log, **options):
        self.arguments = [str(argument) for argument in arguments]
        self._log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options
            )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """What it has said so far."""
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for(self, pattern, count=1, patience=PATIENCE):
        """The matches of a pattern in the log, when there are enough."""

        def found():
            text = self.log()
            matches = re.findall(pattern, text)
            if len(matches) >= count:
                return matches
            if self.process.poll() is not None:
                raise AssertionError(f"{self.arguments} ended with {self.process.returncode}:\n{text}")
            return None

        try:
            return wait_until(found, f"{pattern!r} in the log", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log:\n{self.log()[-4000:]}") from None

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, patience=PATIENCE):
        """The exit status."""
        return self.process.wait(patience)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def status(self, field):
        """A number of /proc/PID/status, memory in KiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(rf"^{field}:\s+(\d+)", file.read(), re.MULTILINE).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def forget_peak(self):
        """Makes the peak memory what is used now, and returns it."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        return self.status("VmHWM")

    def peak(self):
        """The most memory used since `forget_peak`, in KiB."""
        return self.status("VmHWM")


class Demo(Program):
    """`Demo proxy` or `Demo origin`, listening on ports of the kernel's choice."""

    def __init__(self, role, log, *arguments, certificate=None, **options):
        listen = ["--listen", "127.0.0.1:0"]
        if certificate is not None:
            listen += ["--tls-listen", "127.0.0.1:0", "--cert", certificate.chain, "--key", certificate.key]
        super().__init__([DEMO, role, *listen, *arguments], log, **options)
        try:
            found = self.wait_for(r"listens on 127\.0\.0\.1:(\d+)", 1 if certificate is None else 2)
        except AssertionError:
            self.stop()
            raise
        self.address = ("127.0.0.1", int(found[0]))
        self.tls_address = ("127.0.0.1", int(found[1])) if certificate is not None else None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.address[1]}"

    @property
    def tls_url(self):
        return f"https://localhost:{self.tls_address[1]}"

    def interrupt(self):
        self.send(signal.SIGINT)

    def terminate(self):
        self.send(signal.SIGTERM)


def run(*arguments, patience=PATIENCE, **options):
    """Runs a program to its end; the result has text in `stdout` and `stderr`."""
    arguments = [str(argument) for argument in arguments]
    return subprocess.run(
        arguments, capture_output=True, text=True, errors="replace", timeout=patience, check=False, **options
    )


def peers(address):
    """host:port of an address."""
    return f"{address[0]}:{address[1]}"


def settled(read, still=0.3, patience=PATIENCE):
    """The value of a reading that has not changed for a while."""
    end = time.monotonic() + patience
    last, since = read(), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.02)
        value = read()
        if value != last:
            last, since = value, time.monotonic()
        elif time.monotonic() - since > still:
            break
    return last
