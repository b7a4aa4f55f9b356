"""The tables of the README, from what was measured."""

_NAMES = {
    "asyncpingora": "AsyncPingora",
    "asyncpingora-observed": "AsyncPingora, observed",
    "nginx": "nginx",
    "haproxy": "HAProxy",
    "nghttpx": "nghttpx",
    "forwarder": "C forwarder",
    "envoy": "Envoy",
    "traefik": "Traefik",
    "caddy": "Caddy",
}


def _table(heading, rows):
    """Rows are (label, {proxy: text}); only proxies that one of them has get a column."""
    names = [name for name in _NAMES if any(name in cells for _, cells in rows)]
    lines = [[heading, *(_NAMES[name] for name in names)], ["---"] * (len(names) + 1)]
    lines += [[label, *(cells.get(name, "") for name in names)] for label, cells in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cells(row, key, places):
    return {name: f"{values[key]['median']:.{places}f}" for name, values in row.items()}


def tables(results, workloads, specials):
    """CPU per request without and with TLS, handshakes per CPU second, and what the special measurements show."""
    measured = [workload for workload in workloads if workload.name in results]
    parts = []

    def add(title, heading, key, places, chosen):
        rows = [(workload.title, _cells(results[workload.name], key, places)) for workload in chosen]
        if rows:
            parts.append(f"{title}:\n\n{_table(heading, rows)}")

    requests = [workload for workload in measured if workload.unit == "request" and not workload.setup.observed]
    for setting, has_tls in (("without TLS", False), ("over TLS", True)):
        chosen = [workload for workload in requests if workload.setup.tls == has_tls]
        add(f"CPU microseconds per request, {setting}", "workload", "cpu_us_per_request", 2, chosen)
    observed = [workload for workload in measured if workload.setup.observed]
    add("CPU microseconds per request, without and with metrics and access log", "workload", "cpu_us_per_request", 2, observed)
    handshakes = [workload for workload in measured if workload.unit == "handshake"]
    add("TLS handshakes per CPU second", "", "per_cpu_second", 0, handshakes)

    rows = []
    for special in specials:
        if special.name in results:
            key, label = special.headline
            rows.append((label, {name: _number(values[key]) for name, values in results[special.name].items()}))
    if rows:
        parts.append(f"Memory, connections and streams:\n\n{_table('', rows)}")
    return "\n".join(parts)


def _number(value):
    number = value["median"] if isinstance(value, dict) else value
    return f"{number:.3f}" if isinstance(number, float) else f"{number}"
