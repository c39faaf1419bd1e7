"use strict";
// Draws the curves in #data with Plotly, one chart per ticked tag. The form holds what is shown; the address has a copy.

const GRID_POINTS = 400;
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("controls");
const charts = new Map();  // tag -> the element that Plotly draws into
let zoom = null;           // [left, right] of the horizontal axis, or null for everything

for (const run of data.runs) {
  run.iterations = decode(run.iterations);
  run.hours = run.hours && decode(run.hours);
  for (const series of Object.values(run.series)) {
    Object.assign(series, { iterations: series.x ? decode(series.x) : run.iterations, y: decode(series.y), n: series.n && decode(series.n), evaluated: "x" in series });
  }
}

function decode(text) {
  return new Float32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
}

// ---------------------------------------------------------------- numbers

/** Exponential moving average with its start corrected; NaN stays a gap. */
function smooth(values, weight) {
  let average = 0, total = 0;
  return Float64Array.from(values, (value) => {
    if (!Number.isFinite(value)) return NaN;
    average = average * weight + (1 - weight) * value;
    total = total * weight + (1 - weight);
    return average / total;
  });
}

function interpolate(x, y, at) {
  if (!(at >= x[0] && at <= x[x.length - 1])) return NaN;
  const right = Math.max(1, x.findIndex((value) => value >= at)), left = right - 1;
  return x[right] === x[left] ? y[left] : y[left] + (y[right] - y[left]) * (at - x[left]) / (x[right] - x[left]);
}

/** Horizontal positions of a run's values on the chosen axis; null where the run has no clock. */
function positions(run, iterations, axis) {
  if (axis === "iterations") return iterations;
  if (axis === "samples") return iterations.map((iteration) => iteration * data.variants[run.variant].samples);
  if (!run.hours || iterations === run.iterations) return run.hours;
  const [first, last] = [run.iterations[0], run.iterations[run.iterations.length - 1]];
  return iterations.map((iteration) => interpolate(run.iterations, run.hours, Math.min(Math.max(iteration, first), last)));
}

/** The ticked seeds of a tag, by variant: [{run, x, y}], smoothed. Checkpoints are too few to be smoothed. */
function curves(tag, view) {
  return data.variants.map((_, variant) => data.runs
    .filter((run) => run.variant === variant && view.runs.includes(run.key) && run.series[tag])
    .map((run) => {
      const { iterations, y, n, evaluated } = run.series[tag];
      return { run, x: positions(run, iterations, view.axis), y: evaluated ? y : smooth(y, view.smoothing), n };
    })
    .filter((curve) => curve.x && curve.y.some(Number.isFinite)));
}

const logit = (share) => Math.log(share / (1 - share)), expit = (odds) => 1 / (1 + Math.exp(-odds));

/** Student's t interval of a mean: [low, high]. */
function tInterval(mean, error, seeds) {
  return [mean - data.t[seeds] * error, mean + data.t[seeds] * error];
}

/**
 * Student's t interval of a mean of shares on the scale of its logit: [low, high], the same as the function rate_interval.
 * `episodes` is how many there are of all seeds, NaN where it is not known.
 */
function shareInterval(mean, error, seeds, episodes) {
  const inner = episodes > 0 ? (mean * episodes + 0.5) / (episodes + 1) : mean;
  const floor = episodes > 0 ? data.normal * Math.sqrt(inner * (1 - inner) / episodes) : 0;
  const half = Math.max(data.t[seeds] * error, floor) / (inner * (1 - inner));
  if (!(half > 0)) return [NaN, NaN];
  return [Math.min(expit(logit(inner) - half), mean), Math.max(expit(logit(inner) + half), mean)];
}

/** Mean and 95 % interval over seeds, where all of them have data. */
function summarize(seeds, tag) {
  const result = { x: [], mean: [], low: [], high: [], count: seeds.length };
  if (!seeds.length) return result;
  const same = seeds.every(({ x }) => x.length === seeds[0].x.length && x.every((value, at) => value === seeds[0].x[at]));
  const finite = seeds.map(({ x, y, n }) => {
    const there = (_, at) => Number.isFinite(y[at]);
    return { x: x.filter(there), y: y.filter(there), n: n?.filter(there) };
  });
  const start = Math.max(...finite.map(({ x }) => x[0])), end = Math.min(...finite.map(({ x }) => x[x.length - 1]));
  const grid = same ? seeds[0].x : Array.from({ length: GRID_POINTS }, (_, at) => start + (end - start) * at / (GRID_POINTS - 1));
  const counted = seeds.every(({ n }) => n);
  grid.forEach((at, place) => {
    const here = (key) => same ? seeds.map((seed) => seed[key][place]) : finite.map((seed) => interpolate(seed.x, seed[key], at));
    const values = here("y");
    if (!values.every(Number.isFinite)) return;
    const episodes = counted ? here("n").reduce((total, value) => total + value, 0) : NaN;
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
    const error = Math.sqrt(squares / (values.length - 1) / values.length);
    const share = data.shares.includes(tag) && values.every((value) => value >= 0 && value <= 1);
    const [low, high] = share ? shareInterval(mean, error, values.length, episodes) : tInterval(mean, error, values.length);
    result.x.push(at);
    result.mean.push(mean);
    result.low.push(low);
    result.high.push(high);
  });
  return result;
}

/** Vertical limits of what is drawn between left and right; a very wide band of two or three seeds may leave the chart. */
function limits(traces, left, right) {
  const extent = (kinds) => {
    let [low, high] = [Infinity, -Infinity];
    for (const { x, y, meta } of traces) if (kinds.includes(meta)) y.forEach((value, at) => {
      if (Number.isFinite(value) && x[at] >= left && x[at] <= right) [low, high] = [Math.min(low, value), Math.max(high, value)];
    });
    return [low, high];
  };
  let [low, high] = extent(["seed", "mean"]);
  const bands = extent(["low", "band"]), room = 0.3 * (high - low);
  if (bands[0] <= bands[1]) [low, high] = [Math.min(low, Math.max(bands[0], low - room)), Math.max(high, Math.min(bands[1], high + room))];
  const margin = 0.04 * (high - low) || 0.1 * Math.abs(high) || 0.1;
  return [low - margin, high + margin];
}

// ---------------------------------------------------------------- drawing

function traces(tag, view) {
  const variants = curves(tag, view), means = variants.map((seeds) => summarize(seeds, tag));
  const line = { type: "scatter", mode: "lines" }, silent = { hoverinfo: "skip" };
  const few = variants.flat().length <= 12;
  return data.variants.flatMap(({ name, color, dash }, variant) => {
    const { x, mean, low, high, count } = means[variant];
    const seeds = variants[variant].map(({ run, x, y }) => ({
      ...line, x, y, meta: "seed", name: `${name}, seed ${run.seed}`, opacity: view.mean ? 0.45 : 0.9, line: { color, width: 1 },
      ...(few ? { hovertemplate: "%{y:.4~g}" } : silent),
    }));
    const edge = { ...line, ...silent, x, line: { width: 0, color }, fillcolor: `${color}2e` };
    const band = count > 1 ? [{ ...edge, y: low, meta: "low" }, { ...edge, y: high, meta: "band", fill: "tonexty" }] : [];
    const middle = {
      ...line, x, y: mean, meta: "mean", name: `${name}, ${count > 1 ? `mean of ${count}` : "one seed"}`, line: { color, width: 2.2, dash },
      customdata: low.map((value, at) => [value, high[at]]),
      hovertemplate: count > 1 ? "%{y:.4~g} [%{customdata[0]:.4~g}, %{customdata[1]:.4~g}]" : "%{y:.4~g}",
    };
    return [...(view.seeds ? seeds : []), ...(view.mean && count ? [...band, middle] : [])];
  });
}

function layout(shown, view) {
  const ends = shown.flatMap(({ x }) => [x[0], x[x.length - 1]]);
  const range = zoom ?? [Math.min(0, ...ends), Math.max(...ends) || 1];
  const axis = { gridcolor: "#e4e4e4", zeroline: false, linecolor: "#444", showline: true, automargin: true };
  const empty = { text: "none of the ticked seeds has this tag", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 };
  return {
    height: 310, margin: { l: 50, r: 12, t: 26, b: 40 }, showlegend: false, font: { size: 11, color: "#444", family: "system-ui, sans-serif" },
    hovermode: "x unified", hoverlabel: { namelength: -1 }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis, title: { text: data.axes[view.axis] }, range, unifiedhovertitle: { text: `%{x:.4~s} ${data.axes[view.axis]}` } },
    yaxis: { ...axis, fixedrange: true, type: view.log ? "log" : "linear", ...(view.log ? { autorange: true } : { range: limits(shown, ...range) }) },
    ...(!shown.length && { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [empty] }),
  };
}

function figure(tag) {
  const box = document.createElement("figure"), plot = document.createElement("div");
  box.dataset.tag = tag;
  box.append(Object.assign(document.createElement("figcaption"), { textContent: tag }), plot);
  charts.set(tag, plot);
  return box;
}

function listen(plot) {
  plot.on("plotly_relayout", (change) => {
    if ("xaxis.range[0]" in change) { zoom = [change["xaxis.range[0]"], change["xaxis.range[1]"]]; draw(); }
  });
  plot.on("plotly_doubleclick", showAll);
}

function draw() {
  const fields = new FormData(form);
  const view = { axis: form.axis.value, smoothing: Number(form.smoothing.value), runs: fields.getAll("run") };
  for (const name of ["seeds", "mean", "log"]) view[name] = fields.getAll(name).includes("on");
  const ticked = fields.getAll("tag");
  const config = { responsive: true, displaylogo: false, doubleClick: false, modeBarButtons: [["toImage"]] };
  for (const tag of data.tags) {
    const fresh = ticked.includes(tag) && !charts.has(tag);
    if (fresh) {
      const after = data.tags.slice(data.tags.indexOf(tag)).find((other) => charts.has(other));
      document.getElementById("charts").insertBefore(figure(tag), charts.get(after)?.parentNode ?? null);
    } else if (!ticked.includes(tag) && charts.has(tag)) {
      Plotly.purge(charts.get(tag));
      charts.get(tag).parentNode.remove();
      charts.delete(tag);
    }
    if (charts.has(tag)) {
      const shown = traces(tag, view);
      Plotly.react(charts.get(tag), shown, layout(shown, view), config);
      if (fresh) listen(charts.get(tag));
    }
  }
  document.getElementById("smoothing-value").textContent = view.smoothing.toFixed(2);
  document.getElementById("reset-zoom").disabled = !zoom;
  for (const group of form.querySelectorAll(".variant")) group.querySelector("input").checked = Boolean(group.querySelector(".seeds :checked"));
  if (zoom) fields.set("zoom", zoom.map((edge) => Number(edge.toPrecision(6))).join("|"));
  try {
    history.replaceState(null, "", `#${new URLSearchParams(fields)}`);
  } catch {
    // Inside another page, such as Snakemake's report, this one has no address.
  }
}

function showAll() {
  zoom = null;
  draw();
}

// ---------------------------------------------------------------- controls

/** Fill the form from the address; fields that it does not name stay as they are. */
function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  for (const input of form.elements) {
    if (!address.has(input.name)) continue;
    const values = address.getAll(input.name);
    if (input.type === "checkbox") input.checked = values.includes(input.value);
    else if (input.type === "range" || [...input.options ?? []].some((option) => option.value === values[0])) input.value = values[0];
  }
  const edges = (address.get("zoom") ?? "").split("|").map(Number);
  if (edges.length === 2 && edges[0] < edges[1]) zoom = edges;
}

form.addEventListener("input", ({ target }) => {
  if (target.id === "filter") {
    const words = target.value.toLowerCase().split(/\s+/);
    for (const label of document.querySelectorAll("#tags label")) label.hidden = !words.every((word) => label.innerText.toLowerCase().includes(word));
    return;
  }
  if (target.matches(".variant > label input")) for (const seed of target.closest(".variant").querySelectorAll(".seeds input")) seed.checked = target.checked;
  if (target.name === "axis") zoom = null;
  draw();
});
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("reset-zoom").addEventListener("click", showAll);
readAddress();
draw();
document.body.dataset.ready = "true";
