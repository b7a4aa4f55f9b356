"""Measurements that are not a rate: memory of clients, reuse of upstream connections, many streams at once, a soak."""

import collections.abc
import dataclasses
import http.client
import time

from .contestants import Setup
from .loads import H2Load
from .memory import idle_memory, slow_readers
from .processes import HOST, ChildFailed
from .workloads import WrkWorkload


class _OriginCounters:
    """Reads nginx's stub_status over one connection that stays open, so that asking does not count as accepting."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection(HOST, port, timeout=10)

    def read(self):
        """Connections accepted and requests answered so far."""
        self._connection.request("GET", "/status")
        numbers = self._connection.getresponse().read().decode().splitlines()[2].split()
        return int(numbers[0]), int(numbers[2])

    def close(self):
        """Ends the connection."""
        self._connection.close()


def _load_until(tools, child, counters, requests, sample=None):
    """Loads the proxy until the origin has answered so many requests. Returns what the load has counted."""
    _, start = counters.read()
    with WrkWorkload("counted", "").start(tools, child.port, 3600) as load:
        while load.is_running():
            done = counters.read()[1] - start
            if sample is not None:
                sample(done)
            if done >= requests:
                break
            if not child.is_running():
                raise ChildFailed(f"{child.name} ended under load:\n{child.log_tail()}")
            time.sleep(0.05)
        load.stop()
        return load.result()


def pool_reuse(tools, child, origin, quick):
    """Upstream connections that a number of requests over 64 clients open, and the share of requests that reused one."""
    counters = _OriginCounters(origin.port)
    try:
        accepted = counters.read()[0]
        counted = _load_until(tools, child, counters, 20_000 if quick else 100_000)
        opened = counters.read()[0] - accepted
    finally:
        counters.close()
    done = max(1, counted.answered)
    return {"opened": opened, "requests": done, "reuse_percent": 100 * (1 - opened / done), "failed": counted.failed}


def many_streams(tools, child, _origin, quick):
    """Ten thousand streams at once, 100 on each of 100 connections, every one followed by others; none may be lost."""
    requests = 20_000 if quick else 100_000
    child.reset_peak_rss()
    arguments = ["-c100", "-m100", f"-n{requests}", "-T120"]
    with H2Load(tools["h2load"], tools.directory, arguments, child.port, "/small") as load:
        counted = load.result()
    if not child.is_running():
        raise ChildFailed(f"{child.name} ended under load:\n{child.log_tail()}")
    return {
        "requests": requests,
        "answered": counted.answered,
        "seconds": counted.seconds,
        "max_ms": counted.max_ms,
        "peak_rss_mb": child.peak_rss_kb() / 1024,
        "failed": requests - counted.answered,
    }


def soak(tools, child, origin, quick):
    """Memory and descriptors after a tenth of the requests and at the end; both must be flat."""
    requests = 50_000 if quick else 1_000_000
    counters = _OriginCounters(origin.port)
    memory = []

    def sample(done):
        if done >= requests * (len(memory) + 1) / 10:
            memory.append(child.rss_kb())

    try:
        # A first load leaves the pool of upstream connections as full as it gets.
        _load_until(tools, child, counters, requests // 100)
        time.sleep(0.5)
        descriptors, rss = child.descriptor_count(), child.rss_kb()
        counted = _load_until(tools, child, counters, requests, sample)
        time.sleep(1)
        left = child.descriptor_count()
    finally:
        counters.close()
    memory = memory or [child.rss_kb()]
    return {
        "requests": counted.answered,
        "rss_mb_before": rss / 1024,
        "rss_mb_after_tenth": memory[0] / 1024,
        "rss_mb_at_end": memory[-1] / 1024,
        "growth_kb": memory[-1] - memory[0],
        "descriptors_before": descriptors,
        "descriptors_after": left,
        "descriptors_leaked": left - descriptors,
        "failed": counted.failed,
    }


@dataclasses.dataclass(frozen=True)
class Special:
    """A measurement that is a row of its own kind."""

    name: str
    title: str
    # of the tools, a fresh proxy, its origin, and whether to be quick; returns named numbers
    measure: collections.abc.Callable
    # which of the numbers a summary shows, and what that one is
    headline: tuple
    setup: Setup = Setup()
    repetitions: int = 1
    is_default: bool = True


SPECIALS = [
    Special(
        "idle-memory",
        "memory per idle keep-alive connection",
        idle_memory,
        ("kb_per_connection", "KB per idle keep-alive connection, 4,000 opened at once"),
        repetitions=3,
    ),
    Special(
        "tls-idle-memory",
        "memory per idle TLS connection",
        idle_memory,
        ("kb_per_connection", "KB per idle TLS connection, 4,000 opened at once"),
        Setup(tls=True),
        repetitions=3,
    ),
    Special(
        "slow-readers",
        "memory per client that reads a 1 MB response slowly",
        slow_readers,
        ("kb_per_client", "KB per client that reads 1 MB slowly"),
        repetitions=3,
    ),
    Special(
        "pool-reuse",
        "upstream connections opened by requests over 64 clients",
        pool_reuse,
        ("opened", "upstream connections opened by 100,000 requests of 64 clients"),
    ),
    Special(
        "streams-10k",
        "10,000 HTTP/2 streams at once over 100 TLS connections",
        many_streams,
        ("failed", "requests lost of 100,000, over 10,000 HTTP/2 streams at once"),
        Setup(tls=True),
    ),
    Special(
        "soak",
        "memory and descriptors over a million requests",
        soak,
        ("growth_kb", "KB that memory grows over a million requests"),
        is_default=False,
    ),
]
