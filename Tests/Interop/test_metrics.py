"""What Prometheus scrapes: read with the parser of its own Python client."""

import math
import re
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.http1 import Client
from support.net import wait_until

GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics service of a Demo that was started with `--metrics`."""

    def __init__(self, demo):
        self.demo = demo
        self.url = f"http://127.0.0.1:{demo.wait_for(r'metrics listens on 127.0.0.1:([0-9]+)')[0]}/metrics"

    def scrape(self):
        """The families by name."""
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            text = answer.read().decode()
        check_lines(text)
        return {family.name: family for family in text_string_to_metric_families(text)}

    def wait_for(self, wanted):
        """Scrapes until the values, by name and one label, are those wanted.

        A request is counted when it has ended, which may be a moment after its answer has come, and a scrape may come amid that.
        """
        found = {}

        def is_reached():
            families = self.scrape()
            found.update({key: value(families, key[0], **dict([key[1]])) for key in wanted})
            return found == wanted

        try:
            wait_until(is_reached, "the counts")
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}, wanted {wanted}") from None


def check_lines(text):
    """What the parser lets pass and Prometheus does not: a family in two places, a series twice, no line end."""
    assert text.endswith("\n")
    types = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
    assert len(types) == len(set(types)) == text.count("# TYPE ")
    assert types == sorted(types)
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


def value(families, name, **labels):
    """The sum of a family's samples that have these labels."""
    samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def cumulative(families):
    """What may only grow, by series."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


@pytest.fixture
def origin(start):
    return start.demo("origin", "--threads", "1")


@pytest.fixture
def proxy(start, origin):
    return start.proxy(origin.address, "--metrics", "127.0.0.1:0")


def test_the_process_tells_what_the_kernel_counts(proxy):
    families = Metrics(proxy).scrape()
    resident = proxy.status("VmRSS") * 1024
    assert families["process_cpu_seconds"].type == "counter"
    assert families["process_resident_memory_bytes"].type == "gauge"
    assert families["process_resident_memory_bytes"].documentation != ""
    assert resident / 2 < value(families, "process_resident_memory_bytes") < resident * 2
    assert abs(value(families, "process_open_fds") - proxy.descriptors()) <= 2
    with open("/proc/stat", encoding="ascii") as file:
        booted = int(re.search(r"^btime (\d+)", file.read(), re.MULTILINE).group(1))
    assert value(families, "process_start_time_seconds") > booted


def test_requests_are_counted_by_the_status_that_the_client_got(proxy):
    metrics = Metrics(proxy)
    # Nothing has happened, and all of it can be seen: a rate needs a zero to begin with.
    families = metrics.scrape()
    assert {sample.value for sample in families["pingora_requests"].samples} == {0}
    assert families["pingora_requests"].documentation != ""
    wanted = {200: 20, 204: 3, 301: 4, 404: 5, 500: 6}
    with Client(proxy.address) as client:
        for status, count in wanted.items():
            for _ in range(count):
                assert client.ask(GET.format(f"/status/{status}")).status == status
        for _ in range(7):
            assert len(client.ask(GET.format("/bytes/1000")).body) == 1_000
    total = sum(wanted.values()) + 7
    counts = {
        ("pingora_requests_total", ("status", "1xx")): 0,
        ("pingora_requests_total", ("status", "2xx")): 30,
        ("pingora_requests_total", ("status", "3xx")): 4,
        ("pingora_requests_total", ("status", "4xx")): 5,
        ("pingora_requests_total", ("status", "5xx")): 6,
        ("pingora_requests_total", ("service", "proxy")): total,
        ("pingora_request_duration_seconds_count", ("service", "proxy")): total,
        ("pingora_request_duration_seconds_bucket", ("le", "+Inf")): total,
        ("pingora_received_bytes_total", ("side", "upstream")): 7_000,
        ("pingora_sent_bytes_total", ("side", "downstream")): 7_000,
        ("pingora_connections_accepted_total", ("service", "proxy")): 1,
    }
    metrics.wait_for(counts)


def test_errors_are_counted_by_kind_and_fault(start):
    proxy = start.proxy(("127.0.0.1", 1), "--metrics", "127.0.0.1:0")
    metrics = Metrics(proxy)
    for _ in range(3):
        with Client(proxy.address) as client:
            assert client.ask(GET.format("/")).status == 502
    metrics.wait_for({("pingora_requests_total", ("status", "5xx")): 3, ("pingora_errors_total", ("source", "upstream")): 3})
    assert value(metrics.scrape(), "pingora_errors_total") == 3


@pytest.mark.parametrize(
    ("method", "path", "status", "field"),
    [
        ("HEAD", "/metrics", 200, ("Content-Type", CONTENT_TYPE)),
        ("POST", "/metrics", 405, ("Allow", "GET, HEAD")),
        ("GET", "/", 404, ("Content-Type", "text/plain; charset=utf-8")),
    ],
)
def test_other_requests_are_told_what_to_ask(proxy, method, path, status, field):
    url = Metrics(proxy).url.replace("/metrics", path)
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert (answer.status, answer.headers[field[0]]) == (status, field[1])
        body = answer.read()
    assert body == (b"metrics are at /metrics\n" if status == 404 else b"")


def test_scrapes_under_load_are_whole_and_never_fall(proxy):
    """Each scrape parses, and no counter or bucket is less than it was."""
    metrics = Metrics(proxy)
    metrics.scrape()
    failures = []

    def load():
        try:
            with Client(proxy.address) as client:
                for _ in range(200):
                    assert client.ask(GET.format("/bytes/1000")).status == 200
        except Exception as error:  # noqa: BLE001: every failure is the test's
            failures.append(repr(error))

    threads = [threading.Thread(target=load, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    last = {}
    while any(thread.is_alive() for thread in threads):
        now = cumulative(metrics.scrape())
        fallen = {series: (before, now.get(series)) for series, before in last.items() if now.get(series, -math.inf) < before}
        assert not fallen
        last = now
    assert failures == []


def test_without_the_option_nothing_listens(start, origin):
    assert "metrics" not in start.proxy(origin.address).log()
