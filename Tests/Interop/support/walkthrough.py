"""Runs a chapter of the documentation as its reader would.

Commands stand in blocks of ```console, each after `$ `, with what they print below: lines that must come in that order, in which `…`
stands for anything. A command that ends in `&` goes on; what stands below it is waited for. Blocks like ```yaml title=NAME are files.
All commands of a chapter run in one shell and an empty directory. The chapters' ports are exchanged for free ones.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from support.net import PATIENCE

CHAPTER = re.compile(r"^```(\S+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"\b(127\.0\.0\.1|localhost):(\d{4,5})\b")


class Ports:
    """Exchanges each port of a chapter for one that is free, always the same one."""

    def __init__(self):
        self._free = {}

    def exchange(self, text):
        return ADDRESS.sub(lambda match: f"{match[1]}:{self._exchanged(match[2])}", text)

    def _exchanged(self, port):
        if port not in self._free:
            with socket.create_server(("127.0.0.1", 0)) as sock:
                self._free[port] = sock.getsockname()[1]
        return self._free[port]


class Shell:
    """A shell that runs one command after another, each with a file for what it prints."""

    def __init__(self, directory, path):
        self.directory = pathlib.Path(directory)
        self._count = 0
        self._statuses = self.directory / ".statuses"
        os.mkfifo(self._statuses)
        environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
        self._shell = subprocess.Popen(
            ["bash", "-s"], cwd=directory, env=environment, stdin=subprocess.PIPE, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._say(f"exec 3>{self._statuses}")
        self._reader = open(self._statuses, encoding="utf-8")  # noqa: SIM115: closed with the shell

    def _say(self, line):
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()

    def start(self, command):
        """Starts a command that goes on; returns the file that it prints to."""
        output = self._output()
        self._say(f"{command} >{output} 2>&1 3>&- &")
        return output

    def run(self, command):
        """Runs a command to its end; returns its status and the file that it printed to."""
        output = self._output()
        self._say(f"{{ {command}\n}} >{output} 2>&1\necho $? >&3")
        return int(self._reader.readline()), output

    def _output(self):
        self._count += 1
        return self.directory / f".output-{self._count}"

    def stop(self):
        """Ends the shell and what it has started and not ended."""
        try:
            self._say("kill $(jobs -p) 2>/dev/null; wait; exit")
            self._shell.wait(PATIENCE)
        finally:
            if self._shell.poll() is None:
                os.killpg(self._shell.pid, 9)
                self._shell.wait()
            self._shell.stdin.close()
            self._reader.close()


def steps(block):
    """The commands of a block, each with the lines below it."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif line.strip():
            found[-1][1].append(line)
    return found


def missing(expected, output):
    """The first expected line that the output lacks; None when it has all, in order."""
    lines = iter(output.splitlines())
    for line in expected:
        pattern = re.compile(".*".join(re.escape(part) for part in line.strip().split("…")))
        if not any(pattern.search(candidate) for candidate in lines):
            return line
    return None


def awaited(expected, file):
    """Waits until a file has the expected lines; returns the first that it lacks in the end, and its text."""
    end = time.monotonic() + PATIENCE
    while True:
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        lacking = missing(expected, text)
        if lacking is None or time.monotonic() > end:
            return lacking, text
        time.sleep(0.02)


def walk_through(chapter, directory, demo):
    """Does what a chapter says; fails at the first command that fails or prints something else."""
    tools = pathlib.Path(directory) / ".tools"
    tools.mkdir()
    (tools / "Demo").symlink_to(demo)
    ports = Ports()
    shell = Shell(directory, tools)
    count = 0
    try:
        for language, title, body in CHAPTER.findall(chapter):
            body = ports.exchange(body)
            if title:
                (pathlib.Path(directory) / title).write_text(body, encoding="utf-8")
            if language != "console":
                continue
            for command, expected in steps(body):
                count += 1
                if command.rstrip().endswith("&"):
                    lacking, text = awaited(expected, shell.start(command.rstrip().removesuffix("&")))
                else:
                    status, file = shell.run(command)
                    text = file.read_text(encoding="utf-8", errors="replace")
                    assert status == 0, f"$ {command}\nended with {status}:\n{text}"
                    lacking = missing(expected, text)
                assert lacking is None, f"$ {command}\nlacks {lacking!r}:\n{text}"
    finally:
        shell.stop()
        shutil.rmtree(tools)
    return count
