"use strict";
// Draws the curves in #data: one chart per picked tag. State lives in `state` and in the address, so that a view can be shared.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560, HEIGHT = 300;
const MARGIN = { left: 54, right: 12, top: 8, bottom: 38 };
const INNER = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
const GRID_POINTS = 400;

const data = JSON.parse(document.getElementById("data").textContent);
for (const run of data.runs) {
  run.iterations = decode(run.iterations);
  run.hours = run.hours && decode(run.hours);
  for (const tag of Object.keys(run.series)) {
    const { x, y } = run.series[tag];
    run.series[tag] = { iterations: x ? decode(x) : run.iterations, y: decode(y), evaluated: Boolean(x) };
  }
}

const axes = {
  ...(data.knowsSamples && { samples: "samples (environment steps)" }),
  iterations: "iterations",
  ...(data.runs.some((run) => run.hours) && { hours: "hours of training" }),
};
const state = { tags: [], off: new Set(), axis: Object.keys(axes)[0], smoothing: 0.6, seeds: true, mean: true, zoom: null };

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// ---------------------------------------------------------------- numbers

/** Exponential moving average with its start corrected; NaN stays a gap. */
function smooth(values, weight) {
  if (weight === 0) return values;
  const result = new Float64Array(values.length);
  let average = 0, total = 0;
  values.forEach((value, place) => {
    if (!Number.isFinite(value)) { result[place] = NaN; return; }
    average = average * weight + (1 - weight) * value;
    total = total * weight + (1 - weight);
    result[place] = average / total;
  });
  return result;
}

function interpolate(x, y, at) {
  if (!(at >= x[0] && at <= x[x.length - 1])) return NaN;
  let low = 0, high = x.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle; else high = middle;
  }
  if (x[high] === x[low]) return y[low];
  return y[low] + (y[high] - y[low]) * (at - x[low]) / (x[high] - x[low]);
}

/** Horizontal positions of a run's values: iterations, samples or hours. */
function positions(run, iterations) {
  if (state.axis === "iterations") return iterations;
  if (state.axis === "samples") return iterations.map((iteration) => iteration * data.variants[run.variant].samples);
  if (!run.hours) return null;
  if (iterations === run.iterations) return run.hours;
  const last = run.iterations.length - 1;
  return iterations.map((iteration) =>
    interpolate(run.iterations, run.hours, Math.min(Math.max(iteration, run.iterations[0]), run.iterations[last])));
}

/** The picked seeds of a tag by variant, smoothed: [{run, x, y}] per variant. */
function curves(tag) {
  return data.variants.map((_, variant) => data.runs
    .filter((run) => run.variant === variant && !state.off.has(run.key) && run.series[tag])
    .map((run) => {
      const { iterations, y, evaluated } = run.series[tag];
      // Checkpoints are too few and too far apart to be smoothed.
      return { run, x: positions(run, iterations), y: evaluated ? y : smooth(y, state.smoothing) };
    })
    .filter((curve) => curve.x && curve.y.some(Number.isFinite)));
}

/** Mean and 95 % t interval over seeds, where all of them have data; null for no seed. */
function summarize(seeds, tag) {
  if (!seeds.length) return null;
  const same = seeds.every((seed) => seed.x.length === seeds[0].x.length && seed.x.every((x, at) => x === seeds[0].x[at]));
  const finite = seeds.map(({ x, y }) => {
    const keep = [...y.keys()].filter((place) => Number.isFinite(y[place]));
    return { x: keep.map((place) => x[place]), y: keep.map((place) => y[place]) };
  });
  const start = Math.max(...finite.map((seed) => seed.x[0]));
  const end = Math.min(...finite.map((seed) => seed.x[seed.x.length - 1]));
  const grid = same ? [...seeds[0].x]
    : Array.from({ length: GRID_POINTS }, (_, place) => start + (end - start) * place / (GRID_POINTS - 1));
  const result = { x: [], mean: [], low: [], high: [], count: seeds.length };
  grid.forEach((at, place) => {
    const values = same ? seeds.map((seed) => seed.y[place]) : finite.map((seed) => interpolate(seed.x, seed.y, at));
    if (!values.every(Number.isFinite)) return;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const half = values.length < 2 ? NaN : data.t[values.length] * Math.sqrt(squares / (values.length - 1) / values.length);
    const [least, most] = data.shares.includes(tag) ? [0, 1] : [-Infinity, Infinity];
    result.x.push(at);
    result.mean.push(mean);
    result.low.push(Math.max(mean - half, least));
    result.high.push(Math.min(mean + half, most));
  });
  return result;
}

/** About `count` round numbers between low and high. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const result = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
    result.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  }
  return result;
}

function format(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= unit) return `${Number((value / unit).toPrecision(4))} ${letter}`;
  }
  return size !== 0 && size < 1e-3 ? value.toExponential(2) : `${Number(value.toPrecision(4))}`;
}

// ---------------------------------------------------------------- drawing

function element(parent, name, attributes = {}, text = "") {
  const svg = ["svg", "g", "path", "line", "rect", "text", "clipPath"].includes(name);
  const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  parent.append(node);
  return node;
}

function path(x, y, scale) {
  let d = "", pen = "M";
  for (let place = 0; place < y.length; place++) {
    if (!Number.isFinite(y[place])) { pen = "M"; continue; }
    d += `${pen}${scale.x(x[place]).toFixed(1)} ${scale.y(y[place]).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

function extent(arrays) {
  let low = Infinity, high = -Infinity;
  for (const array of arrays) for (const value of array) {
    if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return low <= high ? [low, high] : null;
}

/** Limits of the chart: the zoomed part, else all; vertically what is drawn there. */
function limits(variants, means) {
  const xs = extent(variants.flat().map((seed) => seed.x));
  if (!xs) return null;
  const [left, right] = state.zoom ?? [Math.min(0, xs[0]), xs[1] > Math.min(0, xs[0]) ? xs[1] : xs[0] + 1];
  const inside = ({ x }, values) => values.filter((_, place) => x[place] >= left && x[place] <= right);
  const drawn = variants.flat().map((seed) => inside(seed, [...seed.y]));
  if (state.mean) means.forEach((mean) => mean && drawn.push(inside(mean, mean.mean)));
  const ys = extent(drawn) ?? [0, 1];
  let [low, high] = ys;
  if (state.mean) {
    // A band of two or three seeds can be very wide; it may leave the chart rather than flatten the curves.
    const bands = extent(means.flatMap((mean) => mean ? [inside(mean, mean.low), inside(mean, mean.high)] : []));
    const room = 0.3 * (high - low);
    if (bands) { low = Math.min(low, Math.max(bands[0], low - room)); high = Math.max(high, Math.min(bands[1], high + room)); }
  }
  const pad = 0.04 * (high - low) || Math.abs(high) * 0.1 || 0.1;
  return { left, right, low: low - pad, high: high + pad };
}

function chart(tag) {
  const figure = element(document.getElementById("charts"), "figure", { "data-tag": tag });
  element(figure, "figcaption", {}, tag);
  const svg = element(figure, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${tag} against ${axes[state.axis]}` });
  const variants = curves(tag);
  const means = variants.map((seeds) => summarize(seeds, tag));
  const box = limits(variants, means);
  if (!box) {
    element(svg, "text", { class: "empty", x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "none of the picked seeds has this tag");
    return;
  }
  const scale = {
    x: (value) => MARGIN.left + (value - box.left) / (box.right - box.left) * INNER.width,
    y: (value) => MARGIN.top + (box.high - value) / (box.high - box.low) * INNER.height,
  };
  drawAxes(svg, box, scale);
  const clip = `clip-${[...document.querySelectorAll("figure")].length}`;
  element(element(svg, "clipPath", { id: clip }), "rect", { x: MARGIN.left, y: MARGIN.top, width: INNER.width, height: INNER.height });
  const plot = element(svg, "g", { "clip-path": `url(#${clip})` });
  variants.forEach((seeds, variant) => {
    const { color } = data.variants[variant];
    const alone = !state.mean;
    if (state.seeds) for (const seed of seeds) {
      element(plot, "path", { class: "seed", stroke: color, d: path(seed.x, seed.y, scale), ...(alone && { "stroke-opacity": 0.9 }) });
    }
  });
  if (state.mean) means.forEach((mean, variant) => mean && drawMean(plot, mean, data.variants[variant], scale));
  interact(figure, svg, box, scale, variants, means);
}

function drawMean(plot, mean, variant, scale) {
  if (mean.count > 1) {
    const forth = path(mean.x, mean.high, scale), back = path([...mean.x].reverse(), [...mean.low].reverse(), scale);
    if (forth) element(plot, "path", { class: "band", fill: variant.color, d: `${forth}${back.replace("M", "L")}Z` });
  }
  element(plot, "path", { class: "mean", stroke: variant.color, "stroke-dasharray": variant.dash, d: path(mean.x, mean.mean, scale) });
}

function drawAxes(svg, box, scale) {
  const bottom = MARGIN.top + INNER.height, right = MARGIN.left + INNER.width;
  for (const value of ticks(box.left, box.right, 6)) {
    element(svg, "line", { class: "grid", x1: scale.x(value), x2: scale.x(value), y1: MARGIN.top, y2: bottom });
    element(svg, "text", { x: scale.x(value), y: bottom + 15, "text-anchor": "middle" }, format(value));
  }
  for (const value of ticks(box.low, box.high, 6)) {
    element(svg, "line", { class: "grid", x1: MARGIN.left, x2: right, y1: scale.y(value), y2: scale.y(value) });
    element(svg, "text", { x: MARGIN.left - 6, y: scale.y(value) + 4, "text-anchor": "end" }, format(value));
  }
  element(svg, "path", { class: "frame", d: `M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}` });
  element(svg, "text", { x: MARGIN.left + INNER.width / 2, y: HEIGHT - 5, "text-anchor": "middle" }, axes[state.axis]);
}

// ---------------------------------------------------------------- hover and zoom

function interact(figure, svg, box, scale, variants, means) {
  const cursor = element(svg, "line", { class: "cursor", y1: MARGIN.top, y2: MARGIN.top + INNER.height, visibility: "hidden" });
  const brush = element(svg, "rect", { class: "brush", y: MARGIN.top, height: INNER.height, width: 0, visibility: "hidden" });
  const tip = element(figure, "div", { class: "tip", hidden: "" });
  let start = null;
  const valueAt = (event) => {
    const bounds = svg.getBoundingClientRect();
    const place = ((event.clientX - bounds.left) / bounds.width * WIDTH - MARGIN.left) / INNER.width;
    return box.left + Math.min(Math.max(place, 0), 1) * (box.right - box.left);
  };
  svg.addEventListener("pointerdown", (event) => { start = valueAt(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener("pointermove", (event) => {
    const at = valueAt(event);
    cursor.setAttribute("x1", scale.x(at)); cursor.setAttribute("x2", scale.x(at)); cursor.setAttribute("visibility", "visible");
    if (start !== null) {
      const [from, to] = [scale.x(Math.min(start, at)), scale.x(Math.max(start, at))];
      brush.setAttribute("x", from); brush.setAttribute("width", to - from); brush.setAttribute("visibility", "visible");
    }
    fillTip(tip, at, variants, means);
    const bounds = figure.getBoundingClientRect(), x = event.clientX - bounds.left;
    tip.style.left = x > bounds.width / 2 ? "auto" : `${x + 14}px`;
    tip.style.right = x > bounds.width / 2 ? `${bounds.width - x + 14}px` : "auto";
    tip.style.top = `${event.clientY - bounds.top + 14}px`;
  });
  svg.addEventListener("pointerup", (event) => {
    const at = valueAt(event);
    const moved = start !== null && Math.abs(scale.x(at) - scale.x(start)) > 6;
    const from = start;
    start = null;
    if (moved) { state.zoom = [Math.min(from, at), Math.max(from, at)]; draw(); }
    else brush.setAttribute("visibility", "hidden");
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; cursor.setAttribute("visibility", "hidden"); });
  svg.addEventListener("dblclick", () => { state.zoom = null; draw(); });
}

/** Value of a curve at the nearest point that has one. */
function nearest({ x, y }, at) {
  let best = NaN, distance = Infinity;
  for (let place = 0; place < y.length; place++) {
    if (Number.isFinite(y[place]) && Math.abs(x[place] - at) < distance) { best = y[place]; distance = Math.abs(x[place] - at); }
  }
  return best;
}

function fillTip(tip, at, variants, means) {
  tip.hidden = false;
  tip.replaceChildren();
  element(tip, "div", {}, `${format(at)} ${axes[state.axis]}`);
  const table = element(tip, "table");
  const row = (color, name, text) => {
    const cell = element(element(table, "tr"), "td");
    element(cell, "span", { class: "swatch", style: `background:${color}` });
    cell.append(name);
    element(cell.parentNode, "td", {}, text);
  };
  variants.forEach((seeds, variant) => {
    const { name, color } = data.variants[variant], mean = means[variant];
    if (mean && mean.x.length && state.mean) {
      const [value, low, high] = [mean.mean, mean.low, mean.high].map((y) => nearest({ x: mean.x, y }, at));
      row(color, `${name}, ${mean.count > 1 ? `mean of ${mean.count}` : "one seed"}`,
        format(value) + (Number.isFinite(low) ? ` [${format(low)}, ${format(high)}]` : ""));
    }
    if (state.seeds && variants.flat().length <= 12) for (const seed of seeds) row("transparent", `${name}, seed ${seed.run.seed}`, format(nearest(seed, at)));
  });
}

// ---------------------------------------------------------------- controls

function draw() {
  document.getElementById("charts").replaceChildren();
  for (const tag of data.tags.filter((tag) => state.tags.includes(tag))) chart(tag);
  document.getElementById("smoothing-value").textContent = state.smoothing.toFixed(2);
  document.getElementById("reset-zoom").disabled = !state.zoom;
  const hash = new URLSearchParams({ tags: state.tags.join("|"), axis: state.axis, smoothing: state.smoothing });
  if (state.off.size) hash.set("off", [...state.off].join("|"));
  if (!state.seeds) hash.set("seeds", 0);
  if (!state.mean) hash.set("mean", 0);
  if (state.zoom) hash.set("zoom", state.zoom.map((edge) => Number(edge.toPrecision(6))).join("|"));
  try {
    history.replaceState(null, "", `#${hash}`);
  } catch {
    // Inside another page, such as Snakemake's report, this one has no address of its own.
  }
}

function checkbox(parent, name, checked, change) {
  const label = element(parent, "label");
  const input = element(label, "input", { type: "checkbox", "data-name": name });
  input.checked = checked;
  input.addEventListener("change", () => change(input.checked));
  label.append(" ");
  return { label, input };
}

function runControls() {
  const box = document.getElementById("runs");
  data.variants.forEach((variant, place) => {
    const own = data.runs.filter((run) => run.variant === place);
    const group = element(box, "div", { class: "variant" });
    const inputs = [];
    const { label, input } = checkbox(group, variant.name, own.some((run) => !state.off.has(run.key)), (on) => {
      own.forEach((run, at) => { state.off[on ? "delete" : "add"](run.key); inputs[at].checked = on; });
      draw();
    });
    const sample = element(label, "svg", { width: 26, height: 8 });
    element(sample, "path", { d: "M0 4H26", stroke: variant.color, "stroke-width": 2.2, "stroke-dasharray": variant.dash });
    label.append(variant.name);
    const seeds = element(group, "div", { class: "seeds" });
    for (const run of own) {
      const seed = checkbox(seeds, run.key, !state.off.has(run.key), (on) => {
        state.off[on ? "delete" : "add"](run.key);
        input.checked = own.some((other) => !state.off.has(other.key));
        draw();
      });
      seed.label.append(`${run.seed}`);
      inputs.push(seed.input);
    }
  });
}

function tagControls() {
  const box = document.getElementById("tags");
  const labels = data.tags.map((tag) => {
    const { label } = checkbox(box, tag, state.tags.includes(tag), (on) => {
      state.tags = on ? [...state.tags, tag] : state.tags.filter((other) => other !== tag);
      draw();
    });
    label.append(tag);
    return [tag, label];
  });
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const [tag, label] of labels) label.hidden = !words.every((word) => tag.toLowerCase().includes(word));
  });
}

function otherControls() {
  const axis = document.getElementById("axis");
  for (const [name, label] of Object.entries(axes)) element(axis, "option", { value: name }, label);
  axis.value = state.axis;
  axis.addEventListener("change", () => { state.axis = axis.value; state.zoom = null; draw(); });
  const smoothing = document.getElementById("smoothing");
  smoothing.value = state.smoothing;
  smoothing.addEventListener("input", () => { state.smoothing = Number(smoothing.value); draw(); });
  for (const name of ["seeds", "mean"]) {
    const input = document.getElementById(`show-${name}`);
    input.checked = state[name];
    input.addEventListener("change", () => { state[name] = input.checked; draw(); });
  }
  document.getElementById("reset-zoom").addEventListener("click", () => { state.zoom = null; draw(); });
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
}

function readAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (hash.get(name) ?? "").split("|").filter(Boolean);
  state.tags = hash.has("tags") ? list("tags").filter((tag) => data.tags.includes(tag)) : data.picked;
  state.off = new Set(list("off"));
  if (hash.get("axis") in axes) state.axis = hash.get("axis");
  const smoothing = Number(hash.get("smoothing"));
  if (hash.has("smoothing") && smoothing >= 0 && smoothing <= 0.99) state.smoothing = smoothing;
  state.seeds = hash.get("seeds") !== "0";
  state.mean = hash.get("mean") !== "0";
  const zoom = list("zoom").map(Number);
  if (zoom.length === 2 && zoom.every(Number.isFinite) && zoom[0] < zoom[1]) state.zoom = zoom;
}

readAddress();
const seeds = data.variants.map(({ name }, place) => `${name}: ${data.runs.filter((run) => run.variant === place).length} seeds`);
document.getElementById("subtitle").textContent = `${seeds.join("; ")}. `
  + (data.block > 1 ? `Each point is the mean of ${data.block} successive iterations.` : "Every iteration is shown.");
otherControls();
runControls();
tagControls();
draw();
document.body.dataset.ready = "true";
