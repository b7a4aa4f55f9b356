"""What comes out: tables on the terminal, JSON, an SVG of the ratios, and the verdict on what must be reached."""

import statistics
from xml.sax.saxutils import escape

OURS = "asyncpingora"
OBSERVED = "asyncpingora-observed"
FLOOR = "forwarder"
_COLOURS = {
    "asyncpingora": "#e8590c",
    "asyncpingora-observed": "#ffa94d",
    "forwarder": "#868e96",
    "nginx": "#2f9e44",
    "haproxy": "#1971c2",
    "nghttpx": "#c2255c",
    "envoy": "#9c36b5",
    "traefik": "#0c8599",
    "caddy": "#f08c00",
}


def summary(samples, key):
    """Median, least and greatest of one number over the rounds."""
    values = [sample[key] for sample in samples]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarise(samples):
    """All numbers of one proxy on one workload; failures are added up, not averaged."""
    result = {key: summary(samples, key) for key in samples[0] if key not in ("failed", "requests")}
    for key in ("failed", "requests"):
        if key in samples[0]:
            result[key] = sum(sample[key] for sample in samples)
    result["rounds"] = len(samples)
    return result


def reference_of(row):
    """What ratios are taken to: this project, or the floor where it is missing, or else the first."""
    return next((name for name in (OURS, FLOOR) if name in row), next(iter(row), None))


def add_ratios(row):
    """CPU per request relative to this project's, and this project's relative to the floor."""
    reference = reference_of(row)
    for values in row.values():
        values["ratio"] = values["cpu_us_per_request"]["median"] / row[reference]["cpu_us_per_request"]["median"]
        values["ratio_to"] = reference
    if OURS in row and FLOOR in row:
        floor = row[FLOOR]["cpu_us_per_request"]["median"]
        row[OURS]["ratio_to_floor"] = row[OURS]["cpu_us_per_request"]["median"] / floor


def print_table(title, headings, lines):
    """A table whose columns are as wide as they must be; the first is flush left."""
    widths = [max(len(str(line[i])) for line in [headings, *lines]) for i in range(len(headings))]
    print(f"\n{title}")
    for line in [headings, ["-" * width for width in widths], *lines]:
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
        print("  " + "  ".join(cells).rstrip(), flush=True)


def print_workload(workload, row):
    """One workload's row for every proxy."""
    reference = reference_of(row)
    headings = ["proxy", f"CPU us/{workload.unit}", "min-max", "ratio", "per CPU s", "per s", "p50 ms", "p99 ms", "max ms", "peak MB", "CPU %", "failed"]
    lines = []
    for name, values in sorted(row.items(), key=lambda item: item[1]["cpu_us_per_request"]["median"]):
        cpu = values["cpu_us_per_request"]
        lines.append([
            name,
            f"{cpu['median']:.2f}",
            f"{cpu['min']:.2f}-{cpu['max']:.2f}",
            f"{values['ratio']:.2f}",
            f"{values['per_cpu_second']['median']:.0f}",
            f"{values['requests_per_second']['median']:.0f}",
            f"{values['p50_ms']['median']:.2f}",
            f"{values['p99_ms']['median']:.2f}",
            f"{values['max_ms']['max']:.1f}",
            f"{values['peak_rss_mb']['median']:.1f}",
            f"{100 * values['cpu_share']['median']:.0f}",
            values["failed"],
        ])
    print_table(f"{workload.name}: {workload.title} (ratio: CPU per {workload.unit} to {reference}'s)", headings, lines)


def print_special(title, row):
    """One special measurement for every proxy: its numbers as they are."""
    keys = [key for key in next(iter(row.values())) if key != "rounds"]
    lines = []
    for name, values in row.items():
        cells = [values[key]["median"] if isinstance(values[key], dict) else values[key] for key in keys]
        lines.append([name] + [f"{cell:.3f}" if isinstance(cell, float) else cell for cell in cells])
    print_table(title, ["proxy", *[key.replace("_", " ") for key in keys]], lines)


def verdicts(results):
    """What this project must reach, as (text, reached) pairs; only what was measured."""
    found = []

    def check(text, value, limit, unit=""):
        found.append((f"{text}: {value:.2f}{unit} (at most {limit:.2f}{unit})", value <= limit))

    def median(row, name, key):
        return row[name][key]["median"]

    for workload, row in results.items():
        if OURS not in row:
            continue
        if "cpu_us_per_request" in row[OURS]:
            ours = median(row, OURS, "cpu_us_per_request")
            if workload in ("small-64", "small-512") and FLOOR in row:
                check(f"{workload}: CPU per request to the C floor's", ours / median(row, FLOOR, "cpu_us_per_request"), 1.15, " x")
            if OBSERVED in row:
                check(f"{workload}: CPU per request to that without", median(row, OBSERVED, "cpu_us_per_request") / ours, 1.05, " x")
                check(f"{workload}: failed requests with it", row[OBSERVED]["failed"], 0)
            is_handshake = workload.startswith("handshake")
            unit = "handshake" if is_handshake else "request"
            for peer in ("nginx",) if is_handshake else ("haproxy", "nginx", "nghttpx"):
                if peer in row:
                    check(f"{workload}: CPU per {unit}, {peer}'s", ours, median(row, peer, "cpu_us_per_request"), " us")
        if workload == "threads-2":
            if "haproxy" in row:
                # Noise: the widest that HAProxy's own p99 was over the rounds.
                noise = row["haproxy"]["p99_ms"]["max"]
                check("threads-2: p99, HAProxy's highest", median(row, OURS, "p99_ms"), noise, " ms")
            check("threads-2: longest answer", row[OURS]["max_ms"]["max"], 200, " ms")
        for key, text, limit, unit in (
            ("kb_per_connection", "memory per idle connection", 14 if workload.startswith("tls") else 4, " KB"),
            ("kb_per_client", "memory per slow reader", 100, " KB"),
            ("opened", "upstream connections opened", 64, ""),
            ("growth_kb", "memory growth over the soak", 1024, " KB"),
            ("descriptors_leaked", "descriptors leaked over the soak", 0, ""),
        ):
            if key in row[OURS]:
                check(f"{workload}: {text}", median(row, OURS, key), limit, unit)
        if "reuse_percent" in row[OURS]:
            check(f"{workload}: requests on a fresh connection", 100 - median(row, OURS, "reuse_percent"), 0.1, " %")
        check(f"{workload}: failed requests", row[OURS]["failed"], 0)
    return found


def print_verdicts(results):
    """The verdicts, missed ones last. Returns how many were missed."""
    found = verdicts(results)
    if not found:
        return 0
    print("\nWhat it must reach")
    for text, reached in sorted(found, key=lambda pair: not pair[1]):
        print(f"  {'reached' if reached else 'MISSED '}  {text}")
    return sum(not reached for _, reached in found)


def svg(results, workloads, subtitle):
    """Bars of CPU per request relative to this project's, one group per workload."""
    groups = [(w.title, results[w.name]) for w in workloads if results.get(w.name)]
    left, bar, gap, width, top = 400, 16, 18, 1020, 64
    greatest = max((values["ratio"] for _, row in groups for values in row.values()), default=1)
    scale = (width - left - 110) / max(greatest, 1)
    parts, y = [], top
    for title, row in groups:
        ranked = sorted(row.items(), key=lambda item: item[1]["ratio"])
        middle = y + len(ranked) * bar / 2 + 4
        parts.append(f'<text x="{left - 100}" y="{middle:.0f}" text-anchor="end" class="title">{escape(title)}</text>')
        for name, values in ranked:
            length = max(1.0, values["ratio"] * scale)
            colour = _COLOURS.get(name, "#495057")
            label = f"{values['ratio']:.2f}  ({values['cpu_us_per_request']['median']:.1f} us)"
            parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="{bar - 4}" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 12}">{label}</text>')
            y += bar
        y += gap
    reference = reference_of(groups[0][1]) if groups else OURS
    line = f'<line x1="{left + scale:.1f}" x2="{left + scale:.1f}" y1="{top - 6}" y2="{y - gap + 4}" stroke="#adb5bd" stroke-dasharray="3 3"/>'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">',
        "<style>text{font:11px sans-serif;fill:#212529}.title{font-weight:600}.head{font:600 15px sans-serif}</style>",
        f'<rect width="{width}" height="{y}" fill="#ffffff"/>',
        f'<text x="16" y="24" class="head">CPU time per request or handshake, relative to {escape(reference)} (less is better)</text>',
        f'<text x="16" y="42">{escape(subtitle)}</text>',
        line,
        *parts,
        "</svg>",
        "",
    ])
