"""The admin page of a running proxy: its numbers against what was sent, whom it refuses, and what a browser shows of it."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import socket
import time
import types

import pytest

from support.browser import Browser
from support.http1 import Client
from support.net import wait_until
from support.process import DEMO, Program, run

FIELD = "X-AsyncPingora-Admin: test"


class Admin:
    """A proxy with its admin page, in front of the demonstration's origin."""

    def __init__(self, starter):
        self.origin = starter.demo("origin")
        self.proxy = starter.proxy(self.origin.address, "--admin", "127.0.0.1:0")
        self.port = int(self.proxy.wait_for(r"admin listens on 127\.0\.0\.1:(\d+)")[0])
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"
        # It answers when it has looked at the server once: from then on all that is sent shows in the rates.
        self.overview()

    def get(self, path):
        with Client(self.address) as client:
            answer = client.ask(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def overview(self):
        return self.get("/api/overview.json")

    def send(self, path, count):
        """Sends requests through the proxy, on one connection."""
        with Client(self.proxy.address) as client:
            for _ in range(count):
                client.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")

    def level(self, body, *fields, method="POST"):
        head = "".join(f"{field}\r\n" for field in (f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(body)}", *fields))
        with Client(self.address) as client:
            return client.ask(f"{method} /api/log-level HTTP/1.1\r\n{head}\r\n{body}")


@pytest.fixture(scope="module")
def admin(shared):
    return Admin(shared)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


def test_the_numbers_are_what_was_sent(start):
    admin = Admin(start)
    for path, count in (("/", 150), ("/status/404", 40), ("/status/503", 10)):
        admin.send(path, count)

    def settled():
        # One thing is looked at after the other, so not all may know of the last request at once.
        overview = admin.overview()
        service = next(service for service in overview["services"] if service["name"] == "proxy")
        pools = overview["pools"]
        is_settled = service["requests"] == 200 and service["accepted"] == 3 and pools
        return (overview, service) if is_settled and pools[0]["created"] + pools[0]["reused"] == 200 else None

    overview, service = wait_until(settled, "200 requests to be counted")
    assert service["statuses"] == {**service["statuses"], "2xx": 150, "4xx": 40, "5xx": 10}
    assert {(listener["address"], listener["tls"]) for listener in service["listeners"]} == {
        (f"127.0.0.1:{admin.proxy.address[1]}", False)
    }
    assert overview["process"]["pid"] == admin.proxy.pid
    assert overview["process"]["phase"] == "running"
    assert overview["process"]["memory"] > 1_000_000
    pool = overview["pools"][0]
    assert (pool["peer"], pool["service"]) == (f"127.0.0.1:{admin.origin.address[1]}", "proxy")

    def counted():
        history = admin.get("/api/history.json")
        place = {name: index for index, name in enumerate(history["columns"])}
        rows = history["rows"]
        # Rates are per second between two samples, which their times tell apart.
        sums = {name: 0.0 for name in ("requests", "s2", "s4", "s5")}
        for before, row in zip(rows, rows[1:]):
            for name in sums:
                sums[name] += row[place[name]] * (row[place["uptime"]] - before[place["uptime"]])
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "samples are numbered"
        return sums if sums["requests"] > 199 else None

    sums = wait_until(counted, "200 requests in the history")
    wanted = {"requests": 200, "s2": 150, "s4": 40, "s5": 10}
    assert sums == pytest.approx(wanted, rel=0.02)


def test_a_page_that_polls_gets_only_what_is_new(admin):
    whole = admin.get("/api/history.json")
    last, instance = whole["rows"][-1][0], whole["instance"]
    newer = wait_until(lambda: (h := admin.get(f"/api/history.json?after={last}&instance={instance}"))["rows"] and h, "a sample")
    assert newer["rows"][0][0] == last + 1
    other = admin.get(f"/api/history.json?after={last}&instance=another")
    assert other["rows"][0][0] <= last, "another process's numbers mean nothing here"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("127.0.0.1", 200),
        ("127.8.9.10:80", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("[::1]:{port}", 200),
        ("rebound.example:{port}", 421),
        ("localhost.example", 421),
        ("127.0.0.1.example", 421),
        ("0.0.0.0:{port}", 421),
        ("10.0.0.1", 421),
        ("[2001:db8::1]", 421),
    ],
)
def test_only_names_of_this_machine_are_served(admin, host, status):
    host = host.format(port=admin.port)
    for path in ("/", "/api/overview.json"):
        with Client(admin.address) as client:
            assert client.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").status == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([FIELD], 200),
        ([FIELD, "Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"], 200),
        ([FIELD, "Sec-Fetch-Site: none"], 200),
        ([], 403),
        (["Origin: http://127.0.0.1:{port}"], 403),
        ([FIELD, "Origin: http://evil.example"], 403),
        ([FIELD, "Origin: null"], 403),
        ([FIELD, "Origin: http://127.0.0.1:1"], 403),
        ([FIELD, "Sec-Fetch-Site: cross-site"], 403),
        ([FIELD, "Sec-Fetch-Site: same-site"], 403),
    ],
)
def test_only_the_page_itself_changes_the_level(admin, fields, status):
    admin.level("info", FIELD)
    answer = admin.level("warning", *(field.format(port=admin.port) for field in fields))
    assert answer.status == status
    assert admin.overview()["process"]["logLevel"] == ("warning" if status == 200 else "info")
    admin.level("info", FIELD)


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [("POST", "loud", 400), ("POST", "", 400), ("POST", "x" * 65, 413), ("POST", "x" * 200_000, 413), ("PUT", "info", 405), ("DELETE", "", 405)],
)
def test_nonsense_changes_nothing(admin, method, body, status):
    assert admin.level(body, FIELD, method=method).status == status
    assert admin.overview()["process"]["logLevel"] == "info"


def test_the_level_decides_what_is_logged(start):
    admin = Admin(start)
    refused = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"

    def refuse():
        with Client(admin.proxy.address) as client:
            assert client.ask(refused.decode()).status == 400

    refuse()
    assert admin.level("debug", FIELD).status == 200
    assert "refused a request with 400" not in admin.proxy.log()
    refuse()
    admin.proxy.wait_for("refused a request with 400")
    assert admin.proxy.wait_for("sets the log level to debug")


def test_nothing_of_it_is_kept_framed_or_guessed(admin):
    for path in ("/", "/page.css", "/page.js", "/charts.js", "/icon.svg", "/api/overview.json", "/api/history.json", "/no-such"):
        with Client(admin.address) as client:
            answer = client.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status == (404 if path == "/no-such" else 200)
        assert answer.get("cache-control") == "no-store"
        assert answer.get("x-content-type-options") == "nosniff"
        policy = answer.get("content-security-policy")
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert not answer.all("set-cookie") and not answer.all("access-control-allow-origin")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_it_does_not_listen_where_others_reach_it(address):
    done = run(DEMO, "proxy", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--admin", address)
    assert done.returncode != 0
    assert "others than this machine could reach it" in done.stderr


# MARK: in a browser


@pytest.mark.timeout(240)
def test_a_browser_shows_the_picture(admin, browser):
    with concurrent.futures.ThreadPoolExecutor(2) as senders:
        senders.submit(admin.send, "/", 300)
        senders.submit(admin.send, "/status/404", 30)
    browser.resize(1320, 1180)
    browser.prefer("light")
    browser.complaints.clear()
    browser.open(f"{admin.url}/")
    browser.wait("document.body.dataset.state === 'running'")
    rows = browser.wait("[...document.querySelectorAll('#services tbody th')].map((cell) => cell.textContent)")
    assert {row.split("2 thread")[0].split("1 thread")[0] for row in rows} == {"proxy", "admin"}
    assert f"127.0.0.1:{admin.proxy.address[1]}" in browser.evaluate("document.querySelector('#services').textContent")
    peer = f"127.0.0.1:{admin.origin.address[1]}"
    assert browser.wait(f"document.querySelector('#pools tbody').textContent.includes('{peer}')")
    for chart in ("requests", "latency", "connections", "memory"):
        browser.wait(f"document.querySelector('[data-chart={chart}] .line, [data-chart={chart}] .area') !== null")
    # A line, not a dot: more than one sample.
    browser.wait("Number(document.querySelector('[data-chart=memory] .line').dataset.points) > 1")
    assert browser.evaluate("document.querySelector('[data-chart=memory]').getAttribute('aria-label')").startswith("Memory: ")
    artifacts = pathlib.Path(os.environ.get("ARTIFACTS") or pathlib.Path(DEMO).parents[2] / "artifacts")
    browser.screenshot(artifacts / "admin.png")
    browser.prefer("dark")
    browser.screenshot(artifacts / "admin-dark.png")
    assert (artifacts / "admin.png").stat().st_size > 20_000
    assert browser.complaints == []


@pytest.mark.timeout(240)
def test_a_phone_needs_no_scrolling_sideways(admin, browser):
    browser.resize(360, 780)
    browser.open(f"{admin.url}/")
    browser.wait("document.querySelectorAll('#services tbody tr').length === 2")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.timeout(240)
def test_the_page_changes_the_log_level(admin, browser):
    admin.level("info", FIELD)
    browser.resize(1320, 900)
    browser.complaints.clear()
    browser.open(f"{admin.url}/")
    browser.wait("document.querySelector('#level')?.value === 'info'")
    browser.evaluate(
        "((level) => { level.value = 'debug'; level.dispatchEvent(new Event('change')); })(document.querySelector('#level'))"
    )
    wait_until(lambda: admin.overview()["process"]["logLevel"] == "debug", "the level to change")
    admin.level("error", FIELD)
    browser.wait("document.querySelector('#level').value === 'error'")
    admin.level("info", FIELD)
    assert browser.complaints == []


@pytest.mark.timeout(240)
def test_hostile_names_stay_text(admin, browser):
    """Whatever a name is made of, the page shows it and does not become it."""
    name = "<img src=x onerror=\"window.broken = 1\"><script>window.broken = 1</script>'\"&lt;"
    browser.open(f"{admin.url}/")
    browser.wait("document.querySelectorAll('#pools tbody th').length > 0")
    browser.evaluate(
        f"""const real = window.fetch, hostile = {json.dumps(name)};
        window.fetch = async (path, options) => {{
          const answer = await (await real(path, options)).json();
          if (answer.pools) {{
            answer.process.name = answer.process.version = hostile;
            for (const row of answer.services) {{ row.name = hostile; row.listeners[0].address = hostile; }}
            for (const row of answer.pools) row.peer = row.service = hostile;
            answer.pools[0].tls = true;
            answer.pools[0].serverName = hostile;
            answer.errors = [{{ service: hostile, type: hostile, source: hostile, count: 1, rate: 1 }}];
          }}
          return new Response(JSON.stringify(answer));
        }}; 0"""
    )
    shown = json.dumps(name)
    for place in ("#name", "#version", "#services tbody", "#pools tbody", "#errors tbody"):
        browser.wait(f"document.querySelector('{place}').textContent.includes({shown})")
    assert browser.evaluate("window.broken ?? document.querySelectorAll('img, body script').length") == 0


@pytest.mark.timeout(240)
def test_the_page_says_that_the_server_is_gone(start, browser):
    admin = Admin(start)
    browser.open(f"{admin.url}/")
    browser.wait("document.body.dataset.state === 'running'")
    admin.proxy.stop()
    browser.wait("document.body.dataset.state === 'gone'")
    assert browser.evaluate("document.querySelector('#status').textContent") == "Unreachable"
    assert browser.evaluate("!document.querySelector('#note').hidden")


def test_python_reads_the_json_of_a_loaded_proxy(admin):
    """What changes while it is read is still JSON."""
    with concurrent.futures.ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(admin.send, "/", 200) for _ in range(4)]
        while not all(future.done() for future in sending):
            admin.overview()
            admin.get("/api/history.json")
            time.sleep(0.01)
        for future in sending:
            future.result()


def test_only_a_page_that_there_is_is_announced(start, tmp_path):
    """`Demo` alone has a page at a standard address, and serves without it when the port is taken."""
    arguments = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--threads", "1"]
    with contextlib.ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # If it is another's already, that is as good.
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 6190))
            taken.listen()
        without = Program([DEMO, *arguments], tmp_path / "without.log")
        stack.callback(without.stop)
        plain, encrypted = without.wait_for(r"https?://127\.0\.0\.1:(\d+)/", count=2)
        assert "there is no admin page" in without.log()
        assert "see: " not in without.log()
        with Client(("127.0.0.1", int(plain))) as client:
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert encrypted != plain
    shown = Program([DEMO, *arguments, "--admin", "127.0.0.1:0"], tmp_path / "shown.log")
    start.keep(types.SimpleNamespace(close=shown.stop))
    port = shown.wait_for(r"see: http://127\.0\.0\.1:(\d+)/")[0]
    with Client(("127.0.0.1", int(port))) as client:
        assert client.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
