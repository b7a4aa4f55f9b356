"""One run of the harness, from the list of rows to what is printed and written."""

import json
import os
import sys

from . import markdown, report
from .contestants import Contestants
from .processes import ChildFailed
from .special import SPECIALS
from .tools import RESULTS
from .workloads import WORKLOADS, measure


class Run:
    """One run of the harness: what was asked for, what was found, what was measured."""

    def __init__(self, arguments, tools):
        self.arguments = arguments
        self.tools = tools
        self.contestants = Contestants(tools)
        self.proxies = [name for name in arguments.proxies if tools.has(name)]
        self.skipped = {name: tools.missing.get(name, "not installed") for name in arguments.proxies if not tools.has(name)}
        self.results = {}
        self.problems = []

    def describe(self, facts):
        """Prints what runs, where, and what is left out."""
        print(
            f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, Linux {facts['kernel']}, "
            f"load {facts['load_average']}"
        )
        for name in self.proxies:
            print(f"  {name}: {self.contestants.version(name)}")
        for name, reason in self.skipped.items():
            print(f"  {name}: SKIPPED, {reason}")
        print(
            f"{self.arguments.rounds} rounds of {self.arguments.seconds:g} s, one thread per proxy, wrk and h2load with one thread, "
            f"origin nginx with {self.arguments.origin_workers} worker(s)",
            flush=True,
        )

    def problem(self, text):
        """Notes what went wrong and goes on."""
        self.problems.append(text)
        print(f"  PROBLEM: {text}", file=sys.stderr, flush=True)

    def _contestants_for(self, row):
        """The proxies that a row compares; says which are left out."""
        names = []
        for name in self.proxies:
            is_named = name in self.arguments.named_proxies
            reason = row.setup.reason_against(name, is_named)
            if reason is None:
                names.append(name)
            elif is_named:
                print(f"  {row.name}: {name} {reason}", flush=True)
        return names

    def throughput(self, workload):
        """Measures one workload in alternating rounds; every proxy's process is fresh and lives for all of them."""
        samples, children = {}, {}
        with self.contestants.start_origin(self.arguments.origin_workers) as origin:
            try:
                for name in self._contestants_for(workload):
                    child = self._warmed_up(workload, name, origin)
                    if child is not None:
                        children[name] = child
                for number in range(self.arguments.rounds):
                    order = list(children)
                    shift = number % max(1, len(order))
                    for name in order[shift:] + order[:shift]:
                        try:
                            sample = measure(self.tools, workload, children[name], self.arguments.seconds)
                            samples.setdefault(name, []).append(sample)
                        except ChildFailed as error:
                            self.problem(f"{workload.name}: {error}")
                            children.pop(name).stop()
            finally:
                for child in children.values():
                    child.stop()
        row = {name: report.summarise(found) for name, found in samples.items()}
        if row:
            report.add_ratios(row)
            self.results[workload.name] = row
            report.print_workload(workload, row)

    def _warmed_up(self, workload, name, origin):
        """A proxy that has had a second of the load; None if it did not get so far."""
        child = self.contestants.start(name, origin, workload.setup)
        try:
            child.__enter__()
            workload.check(self.tools, child.port)
            measure(self.tools, workload, child, 1)
            return child
        except ChildFailed as error:
            child.stop()
            self.problem(f"{workload.name}, {name}: {error}")
            return None
        except BaseException:
            child.stop()
            raise

    def measure_special(self, special):
        """Makes one special measurement of every proxy, a fresh process each."""
        row = {}
        for proxy in self._contestants_for(special):
            samples = []
            for _ in range(min(self.arguments.rounds, special.repetitions)):
                try:
                    with self.contestants.start_origin(self.arguments.origin_workers) as origin:
                        with self.contestants.start(proxy, origin, special.setup) as child:
                            samples.append(special.measure(self.tools, child, origin, self.arguments.quick))
                except (ChildFailed, OSError) as error:
                    self.problem(f"{special.name}, {proxy}: {error}")
            if samples:
                row[proxy] = report.summarise(samples)
        if row:
            self.results[special.name] = row
            report.print_special(f"{special.name}: {special.title}", row)

    def write(self, facts):
        """Writes the JSON, the README's tables and the plot."""
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, self.arguments.output)
        record = {
            "machine": facts,
            "rounds": self.arguments.rounds,
            "seconds": self.arguments.seconds,
            "versions": {name: self.contestants.version(name) for name in self.proxies},
            "skipped": self.skipped,
            "results": self.results,
            "problems": self.problems,
            "verdicts": [{"text": text, "reached": reached} for text, reached in report.verdicts(self.results)],
        }
        with open(path + ".json", "w") as file:
            json.dump(record, file, indent=2)
        with open(path + ".md", "w") as file:
            file.write(markdown.tables(self.results, WORKLOADS, SPECIALS))
        measured = [workload for workload in WORKLOADS if workload.name in self.results]
        if measured:
            subtitle = f"{facts['processor']}, {facts['cores']} cores, {facts['date'][:10]}; medians of {self.arguments.rounds} rounds"
            with open(path + ".svg", "w") as file:
                file.write(report.svg(self.results, measured, subtitle))
        print(f"\nWritten: {os.path.relpath(path)}.json, .md" + (", .svg" if measured else ""))
