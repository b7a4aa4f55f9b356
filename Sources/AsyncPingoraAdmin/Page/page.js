"use strict";

// Asks the server for its numbers every second and shows them. Names that come from there are only ever set as text.

// Five minutes of samples; the charts begin with one.
const SLOTS = 300;
const FEWEST_SLOTS = 60;
const INTERVAL = 1000;
const LONGEST_PAUSE = 15000;

const byId = (id) => document.getElementById(id);

// MARK: numbers in words

const grouped = new Intl.NumberFormat("en");

function significant(value) {
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return grouped.format(Math.round(value));
  return value.toFixed(magnitude >= 10 ? 1 : 2).replace(/\.?0+$/, "") || "0";
}

const count = (value) => [grouped.format(Math.round(value)), ""];

function rate(value) {
  if (value >= 1e6) return [significant(value / 1e6), "M/s"];
  return [value > 0 && value < 0.01 ? "<0.01" : significant(value), "/s"];
}

function time(seconds) {
  if (seconds === 0) return ["0", "ms"];
  if (seconds < 0.001) return [significant(seconds * 1e6), "µs"];
  if (seconds < 1) return [significant(seconds * 1e3), "ms"];
  return [significant(seconds), "s"];
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return [significant(value), units[power]];
}

function span(seconds) {
  const whole = Math.floor(seconds);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => whole >= size);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2)
    .map(([size, unit], index) => [Math.floor(index ? (whole % parts[first][0]) / size : whole / size), unit])
    .filter(([number], index) => number > 0 || index === 0)
    .map((pair) => pair.join(" "))
    .join(" ");
}

const words = (value, format) => (value === null || value === undefined ? "–" : format(value).filter(Boolean).join(" "));
const percent = (share) => `${significant(share * 100)} %`;

// MARK: charts

const sum = (sample, keys) => keys.reduce((total, key) => (sample[key] === null ? total : (total ?? 0) + sample[key]), null);

const charts = [
  {
    key: "requests", title: "Requests", format: rate, stacked: true, floor: 10, empty: "No requests are counted",
    series: [["s2", "2xx", "blue"], ["s3", "3xx", "sky"], ["s4", "4xx", "amber"], ["s5", "5xx", "red"]],
    headline: (sample) => sample.requests,
  },
  {
    key: "latency", title: "Latency, 99th percentile", format: time, floor: 0.001, empty: "No request has ended yet",
    series: [["p50", "p50", "teal"], ["p90", "p90", "blue"], ["p99", "p99", "violet"]],
    headline: (sample) => sample.p99,
  },
  {
    key: "errors", title: "Failed exchanges", format: rate, isArea: true, floor: 1, empty: "No errors are counted",
    series: [["errorsUpstream", "upstream", "red"], ["errorsDownstream", "client", "amber"], ["errorsInternal", "internal", "violet"]],
    headline: (sample) => sum(sample, ["errorsUpstream", "errorsDownstream", "errorsInternal"]),
    isBad: (value) => value >= 0.01,
  },
  {
    key: "connections", title: "Client connections", format: count, floor: 10, empty: "No connections are counted",
    series: [["connections", "clients", "blue"], ["upstreamOpen", "upstream", "teal"], ["upstreamInUse", "in use", "amber"]],
    headline: (sample) => sample.connections,
  },
  {
    key: "memory", title: "Memory", format: bytes, isArea: true, base: 1024, empty: "The kernel does not tell",
    series: [["memory", "resident", "teal"]],
    headline: (sample) => sample.memory,
  },
  {
    key: "lag", title: "Event-loop lag, 99th percentile", format: time, floor: 0.001, empty: "No lag is measured",
    series: [["lag50", "p50", "teal"], ["lag99", "p99", "violet"]],
    headline: (sample) => sample.lag99,
  },
].map((definition) => new Chart(definition));

const [, , , , memoryChart, lagChart] = charts;
const cpu = make("b", { text: "–" });
const queue = make("b", { text: "–" });
memoryChart.legend.append(make("li", {}, ["CPU", cpu]));
lagChart.legend.append(make("li", {}, ["tasks queued", queue]));

let samples = [];
let cursor = null;
let overview = null;

const slots = () => (samples.length <= FEWEST_SLOTS ? FEWEST_SLOTS : SLOTS);

function drawCharts() {
  for (const chart of charts) chart.draw(samples, slots(), cursor);
  const shown = samples[cursor ?? samples.length - 1];
  setText(cpu, shown?.cpu == null ? "–" : percent(shown.cpu));
  setText(queue, words(shown?.queue, count));
  setText(byId("when"), cursor === null || !shown ? "" : `${span(samples[samples.length - 1].uptime - shown.uptime)} ago`);
}

/** Looking at a moment in one chart shows that moment in all of them. */
function follow(chart) {
  const look = (event) => {
    const box = chart.plot.getBoundingClientRect();
    const back = Math.round(((box.right - event.clientX) / box.width) * (slots() - 1));
    cursor = samples.length ? Math.min(Math.max(samples.length - 1 - back, 0), samples.length - 1) : null;
    drawCharts();
  };
  chart.plot.addEventListener("pointermove", look);
  chart.plot.addEventListener("pointerdown", look);
  chart.plot.addEventListener("pointerleave", () => {
    cursor = null;
    drawCharts();
  });
}

// MARK: tables

/** A table whose rows are updated in place. Columns: [heading, class, row to content]; content is text or a list of nodes. */
class Table {
  constructor(id, empty, columns) {
    this.table = byId(id);
    this.columns = columns;
    this.empty = empty;
    const heads = columns.map(([heading, style]) => make("th", { scope: "col", class: style, text: heading }));
    this.body = make("tbody");
    this.table.append(make("thead", {}, [make("tr", {}, heads)]), this.body);
  }

  show(rows) {
    if (!rows.length) {
      this.body.replaceChildren(make("tr", {}, [make("td", { class: "none", colspan: this.columns.length, text: this.empty })]));
      return;
    }
    if (this.body.querySelector(".none")) this.body.replaceChildren();
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    while (this.body.rows.length < rows.length) this.body.append(this.makeRow());
    rows.forEach((row, index) => this.fillRow(this.body.rows[index], row));
  }

  makeRow() {
    return make("tr", {}, this.columns.map(([heading, style], index) =>
      index === 0 ? make("th", { scope: "row", class: style }) : make("td", { class: style, "data-label": heading })));
  }

  fillRow(element, row) {
    this.columns.forEach(([, style, content, extra], index) => {
      const cell = element.cells[index];
      const made = content(row);
      // On the phone a cell is a line of label and value: what it holds must be one thing.
      const wanted = typeof made === "string" ? made : make("span", {}, made);
      if (typeof wanted === "string") setText(cell, wanted);
      else if (cell.firstChild?.outerHTML !== wanted.outerHTML) cell.replaceChildren(wanted);
      const wantedClass = [style, extra?.(row)].filter(Boolean).join(" ");
      if (cell.className !== wantedClass) cell.className = wantedClass;
    });
  }
}

const zero = (value) => (value ? "" : "zero");
const bad = (value) => (value ? "bad" : "zero");

const services = new Table("services", "No services.", [
  ["Service", "left", (row) => [row.name, make("span", { class: "sub", text: threads(row) })]],
  ["Listens on", "left wrap", listeners],
  ["Connections", "", (row) => words(row.connections, count), (row) => zero(row.connections)],
  ["Requests", "", (row) => words(row.requestRate, rate), (row) => zero(row.requestRate)],
  ["p50", "", (row) => words(row.latency?.p50, time)],
  ["p90", "", (row) => words(row.latency?.p90, time)],
  ["p99", "", (row) => words(row.latency?.p99, time)],
  ["Errors", "", (row) => words(row.errorRate, rate), (row) => bad(row.errorRate)],
  ["Queue", "", (row) => words(row.queueDepth, count), (row) => zero(row.queueDepth)],
  ["Lag p99", "", (row) => words(row.lag?.p99, time)],
  ["Served", "", (row) => words(row.requests, count), (row) => zero(row.requests)],
]);

function threads(row) {
  if (row.threads === null) return row.phase ?? "";
  return `${row.threads} ${row.threads === 1 ? "thread" : "threads"}, ${row.flavor}`;
}

function listeners(row) {
  if (!row.listeners.length) return "–";
  return row.listeners.map((listener) =>
    make("span", { class: listener.tls ? "tag tls" : "tag", text: listener.tls ? `${listener.address} TLS` : listener.address }));
}

const pools = new Table("pools", "No upstream has been connected to.", [
  ["Peer", "left wrap", peer],
  ["Service", "left", (row) => row.service],
  ["Open", "", (row) => words(row.open, count)],
  ["Idle", "", (row) => words(row.idle, count), (row) => zero(row.idle)],
  ["In use", "", (row) => words(row.inUse, count), (row) => zero(row.inUse)],
  ["HTTP/2", "", (row) => (row.h2Connections ? `${row.h2Connections} × ${significant(row.h2Streams / row.h2Connections)}` : "–"),
    (row) => zero(row.h2Connections)],
  ["Made", "", (row) => words(row.created, count)],
  ["Reused", "", (row) => words(row.reused, count)],
  ["Reuse", "", (row) => (row.created + row.reused ? percent(row.reused / (row.created + row.reused)) : "–")],
  ["Evicted", "", (row) => words(row.evicted, count), (row) => zero(row.evicted)],
]);

function peer(row) {
  const name = [row.peer];
  if (row.tls) name.push(make("span", { class: "sub", text: row.serverName ? `TLS, ${row.serverName}` : "TLS" }));
  return name;
}

const errors = new Table("errors", "None since the start.", [
  ["Type", "left wrap", (row) => row.type],
  ["Blamed on", "left", (row) => row.source],
  ["Service", "left", (row) => row.service],
  ["Now", "", (row) => words(row.rate, rate), (row) => bad(row.rate)],
  ["Since the start", "", (row) => words(row.count, count)],
]);

// MARK: log level

const level = byId("level");

// Counts changes: an answer to what was asked before one does not know of it.
let levelChanges = 0;

function showLevel(process, changesKnown) {
  byId("level-field").hidden = process.logLevel === null;
  if (process.logLevel === null || changesKnown !== levelChanges) return;
  if (level.options.length !== process.logLevels.length) {
    level.replaceChildren(...process.logLevels.map((name) => make("option", { value: name, text: name })));
  }
  level.disabled = false;
  if (level.value !== process.logLevel) level.value = process.logLevel;
}

level.addEventListener("change", async () => {
  const wanted = level.value;
  levelChanges += 1;
  try {
    const answer = await fetch("api/log-level", { method: "POST", headers: { "X-AsyncPingora-Admin": "page" }, body: wanted });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    say("");
  } catch (error) {
    say(`The log level was not changed: ${error.message}`);
    if (overview) level.value = overview.process.logLevel;
  } finally {
    levelChanges += 1;
  }
});

// MARK: asking

let instance = "";
let pause = INTERVAL;
let timer = 0;
let isAsking = false;

const phases = {
  setup: ["starting", "Starting"], bootstrap: ["starting", "Starting"], bootstrapComplete: ["starting", "Starting"],
  running: ["running", "Running"], gracefulUpgradeTransferringDescriptors: ["draining", "Handing over"],
  terminated: ["gone", "Ended"],
};

function say(text) {
  setText(byId("note"), text);
  byId("note").hidden = !text;
}

function show(levelChangesKnown) {
  const { process } = overview;
  const [state, status] = phases[process.phase] ?? ["draining", "Shutting down"];
  document.body.dataset.state = state;
  setText(byId("status"), status);
  setText(byId("name"), process.name);
  setText(byId("uptime"), span(process.uptime));
  setText(byId("pid"), `${process.pid}`);
  byId("version-field").hidden = process.version === null;
  setText(byId("version"), process.version ?? "");
  document.title = `${process.name}: ${words(samples[samples.length - 1]?.requests, rate)}`;
  showLevel(process, levelChangesKnown);
  setText(byId("services-aside"), overview.window ? `rates and percentiles over ${span(Math.round(overview.window))}` : "");
  setText(byId("pools-aside"), overview.poolsOmitted ? `and ${grouped.format(overview.poolsOmitted)} more peers` : "");
  setText(byId("errors-aside"), overview.errorsOmitted ? `and ${grouped.format(overview.errorsOmitted)} more kinds` : "");
  services.show(overview.services);
  pools.show(overview.pools);
  errors.show(overview.errors);
  drawCharts();
}

async function load(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.json();
}

function take(history) {
  // Another process answers: what is known is of the one before.
  if (history.instance !== instance) samples = [];
  instance = history.instance;
  for (const row of history.rows) {
    const sample = Object.fromEntries(history.columns.map((name, index) => [name, row[index]]));
    if (!samples.length || sample.sequence > samples[samples.length - 1].sequence) samples.push(sample);
  }
  const surplus = samples.length - SLOTS;
  if (surplus > 0) samples.splice(0, surplus);
}

async function ask() {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  try {
    const changesKnown = levelChanges;
    const last = samples[samples.length - 1];
    const after = last ? `?after=${last.sequence}&instance=${encodeURIComponent(instance)}` : "";
    const [now, history] = await Promise.all([load("api/overview.json"), load(`api/history.json${after}`)]);
    if (document.body.dataset.state === "gone") say("");
    overview = now;
    take(history);
    show(changesKnown);
    pause = INTERVAL;
  } catch (error) {
    pause = Math.min(pause * 2, LONGEST_PAUSE);
    document.body.dataset.state = "gone";
    setText(byId("status"), "Unreachable");
    say(`No answer from the server; trying again every ${span(pause / 1000)}.`);
  } finally {
    isAsking = false;
    timer = setTimeout(ask, document.hidden ? Math.max(pause, 5000) : pause);
  }
}

byId("charts").append(...charts.map((chart) => chart.element));
charts.forEach(follow);
new ResizeObserver(drawCharts).observe(byId("charts"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});
drawCharts();
ask();
