"""A headless Chromium that a test drives over the DevTools protocol."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess

import pytest
from websockets.sync.client import connect

from support.net import wait_until
from support.process import Program

# A browser that starts on a busy machine takes its time.
PATIENCE = 90
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)


def chromium():
    """The program. Skips the test where Debian has none; fails where it has and it is not installed."""
    found = shutil.which("chromium")
    if found:
        return found
    known = subprocess.run(["apt-cache", "policy", "chromium"], capture_output=True, text=True, check=False).stdout
    if "Candidate:" in known and "(none)" not in known:
        pytest.fail("chromium is not installed: scripts/install-packages.sh test installs it")
    pytest.skip("Debian has no chromium for this machine")


class Browser:
    """One page in a browser of its own. What the page complains of is in `complaints`."""

    def __init__(self, directory):
        self.complaints = []
        self._numbers = itertools.count(1)
        self._open = contextlib.ExitStack()
        self._program = Program([chromium(), *OPTIONS, f"--user-data-dir={directory}/profile", "about:blank"], directory / "chromium.log")
        try:
            port_file = directory / "profile" / "DevToolsActivePort"
            wait_until(lambda: port_file.exists() and port_file.read_text().count("\n") == 1, "chromium's port", PATIENCE)
            port, path = port_file.read_text().split("\n")
            socket = connect(f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=PATIENCE, ping_interval=None)
            self._socket = self._open.enter_context(socket)
            page = next(t for t in self._ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
            self._session = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _ask(self, method, session=None, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _note(self, event):
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(parameters["exceptionDetails"])
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.complaints.append(parameters["args"])
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(parameters["entry"])

    def ask(self, method, **parameters):
        """Sends the page a command of the protocol and returns the result."""
        return self._ask(method, self._session, **parameters)

    def open(self, url):
        answer = self.ask("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        """The value of an expression, awaited if it is a promise."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression):
        """The first true value of an expression."""
        return wait_until(lambda: self.evaluate(expression), expression, PATIENCE)

    def resize(self, width, height, scale=1):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def prefer(self, scheme):
        """Light or dark."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self._open.close()
        self._program.stop()
