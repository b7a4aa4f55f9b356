"use strict";

// Small charts of a few series over time, drawn as SVG. Everything that comes from the server goes in as text or as a number.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element; `attributes.text` is its text. */
function make(tag, attributes = {}, children = []) {
  return fill(document.createElement(tag), attributes, children);
}

function makeSVG(tag, attributes = {}, children = []) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets an element's text if it is another, so that what is selected stays selected. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The smallest of 1, 2, 2.5, 5 times a power of `base` that is not below `value`. */
function niceCeiling(value, base) {
  if (!(value > 0)) return 0;
  let power = base ** Math.floor(Math.log(value) / Math.log(base));
  if (power > value) power /= base;
  const steps = base === 10 ? [1, 2, 2.5, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return power * (steps.find((step) => step * power >= value * 0.999999) ?? base);
}

/**
 * One chart. `definition`: title, series ([key, label, colour]), format (number to [text, unit]), headline (key shown large), stacked,
 * isArea, base (2 for bytes), floor (the least upper end of the axis), isBad (value to whether it is shown as a problem).
 */
class Chart {
  constructor(definition) {
    this.definition = definition;
    this.value = make("p", { class: "value" });
    this.keys = definition.series.map(([key, label, colour]) => {
      const number = make("b", { text: "–" });
      const item = make("li", {}, [make("span", { class: `key s-${colour}` }), label, number]);
      return { key, number, item };
    });
    this.legend = make("ul", { class: "legend" }, this.keys.map((key) => key.item));
    this.plot = makeSVG("svg", { class: "plot", role: "img", "data-chart": definition.key });
    this.element = make("article", { class: "chart" }, [
      make("h3", { text: definition.title }),
      this.value,
      this.legend,
      this.plot,
    ]);
  }

  /** Draws `samples`, oldest first, over `slots` places; `cursor` is the index of the one that is looked at, null for the latest. */
  draw(samples, slots, cursor) {
    const shown = samples[cursor ?? samples.length - 1];
    this.tell(shown);
    const width = this.plot.clientWidth || 320;
    const height = this.plot.clientHeight || 132;
    const box = { left: 0, right: width, top: 8, bottom: height - 18 };
    const peak = this.peak(samples);
    const top = Math.max(niceCeiling(peak, this.definition.base ?? 10), this.definition.floor ?? 0) || 1;
    const x = (index) => box.right - (samples.length - 1 - index) * (width / (slots - 1));
    const y = (value) => box.bottom - (value / top) * (box.bottom - box.top);
    const parts = [...this.grid(box, top, y)];
    if (peak === null) {
      parts.push(makeSVG("text", { class: "empty", x: width / 2, y: (box.top + box.bottom) / 2, text: this.definition.empty }));
    } else {
      parts.push(...this.shapes(samples, x, y, box));
    }
    parts.push(...this.labels(box, top, y, slots));
    if (cursor !== null && shown) parts.push(makeSVG("line", { class: "cursor", x1: x(cursor), x2: x(cursor), y1: box.top, y2: box.bottom }));
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.replaceChildren(...parts);
  }

  /** The values of one sample, in words. */
  tell(sample) {
    const { headline, format, title, isBad } = this.definition;
    const value = sample ? headline(sample) : null;
    const [text, unit] = value === null ? ["–", ""] : format(value);
    this.value.replaceChildren(text, ...(unit ? [make("small", { text: unit })] : []));
    this.value.classList.toggle("bad", value !== null && Boolean(isBad?.(value)));
    for (const { key, number } of this.keys) {
      const own = sample?.[key] ?? null;
      setText(number, own === null ? "–" : format(own).filter(Boolean).join(" "));
    }
    this.plot.setAttribute("aria-label", `${title}: ${text} ${unit}`.trim());
  }

  /** The largest value drawn; null when there is none. */
  peak(samples) {
    let peak = null;
    for (const sample of samples) {
      let sum = null;
      for (const { key } of this.keys) {
        const value = sample[key];
        if (value === null || value === undefined) continue;
        sum = this.definition.stacked ? (sum ?? 0) + value : Math.max(sum ?? 0, value);
      }
      if (sum !== null && (peak === null || sum > peak)) peak = sum;
    }
    return peak;
  }

  *grid(box, top, y) {
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(top * share)) + 0.5;
      yield makeSVG("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at });
    }
  }

  /** Drawn last, with an edge in the card's colour: lines pass behind them. */
  *labels(box, top, y, slots) {
    for (const share of [0.5, 1]) {
      const text = this.definition.format(top * share).filter(Boolean).join(" ");
      yield makeSVG("text", { x: box.left, y: Math.round(y(top * share)) - 3, text });
    }
    yield makeSVG("text", { x: box.left, y: box.bottom + 14, text: slots === 300 ? "5 min ago" : `${slots} s ago` });
    yield makeSVG("text", { x: box.right, y: box.bottom + 14, "text-anchor": "end", text: "now" });
  }

  *shapes(samples, x, y, box) {
    const { stacked, isArea, series } = this.definition;
    const below = new Array(samples.length).fill(0);
    const lines = [];
    for (const [key, , colour] of series) {
      const tops = samples.map((sample, index) => {
        const value = sample[key];
        if (value === null || value === undefined) return null;
        return stacked ? (below[index] += value) : value;
      });
      const bases = stacked ? samples.map((sample, index) => below[index] - (sample[key] ?? 0)) : null;
      for (const run of runs(tops)) {
        const edge = run.map((index) => `${x(index).toFixed(1)},${y(tops[index]).toFixed(1)}`);
        if (stacked || isArea) {
          const floor = bases
            ? run.map((index) => `${x(index).toFixed(1)},${y(bases[index]).toFixed(1)}`).reverse()
            : [`${x(run[run.length - 1]).toFixed(1)},${box.bottom}`, `${x(run[0]).toFixed(1)},${box.bottom}`];
          yield makeSVG("path", { class: `area s-${colour}${stacked ? " stacked" : ""}`, d: `M${edge.join("L")}L${floor.join("L")}Z` });
        }
        if (stacked) continue;
        // One moment alone is a dot.
        const form = run.length === 1 ? ["line dot", `M${edge[0]}h0`] : ["line", `M${edge.join("L")}`];
        lines.push(makeSVG("path", { class: `${form[0]} s-${colour}`, d: form[1], "data-points": run.length }));
      }
    }
    yield* lines;
  }
}

/** The runs of indices whose value is known. */
function runs(values) {
  const all = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index > 0 && values[index - 1] !== null && all.length) all[all.length - 1].push(index);
    else all.push([index]);
  });
  return all;
}
