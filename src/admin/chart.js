// A chart over time, drawn by uPlot, with its figures as a table for those who do not see it.

import { h } from "./dom.js";
import { table } from "./ui.js";

/** Colours of series, as names of the style sheet's variables. */
export const COLOURS = { main: "--chart-1", bad: "--chart-2", third: "--chart-3", fourth: "--chart-4" };

/**
 * A chart: `times` are milliseconds since 1970, `series` have a `label`, `values` (null is a gap), and a colour of COLOURS; `show` makes a
 * text of a value. With `bars`, those of a moment lie before each other, so that the largest comes first.
 */
export function chart({ title, times, series, show = String, bars = false, signal }) {
  const canvas = h("div", { class: "canvas", "aria-hidden": "true" });
  const columns = [
    { title: "Time", cell: (at) => h("time", { datetime: new Date(times[at]).toISOString() }, moment(times[at])) },
    ...series.map((one) => ({ title: one.label, isNumber: true, cell: (at) => (one.values[at] == null ? "" : show(one.values[at])) })),
  ];
  const figures = h("details", {}, h("summary", {}, "The figures as a table"),
    table({ caption: title, columns, rows: times.map((_, at) => at), empty: "Nothing in this time." }));
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, title), canvas, figures);
  draw({ canvas, times, series, show, bars, signal });
  return figure;
}

/** Draws it once it is in the page, again in its new size, and again in the colours of light or dark. */
function draw({ canvas, times, series, show, bars, signal }) {
  let plot = null;
  const step = times.length > 1 ? (times[1] - times[0]) / 1000 : 60;
  /** The colour that a variable of the style sheet stands for now: as the value of one it would not be told light from dark. */
  function colour(name) {
    canvas.style.color = `var(${name})`;
    const { color } = getComputedStyle(canvas);
    canvas.style.color = "";
    return color;
  }
  function make() {
    plot?.destroy();
    const line = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    plot = new uPlot({
      width: canvas.clientWidth, height: 200,
      legend: { live: true },
      cursor: { points: { size: 6 } },
      scales: {
        x: { range: (_, from, to) => [from, to + step] }, // the last moment is as long as the others
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      axes: [
        { ...line, values: (_, marks, __, ___, apart) => marks.map((at, place) => mark(at, apart, marks[place - 1])) },
        { ...line, size: 64, values: (_, values) => values.map(show) },
      ],
      series: [{ value: (_, at) => (at == null ? "–" : moment(at * 1000)) }, ...series.map((one) => ({
        label: one.label, stroke: colour(one.colour), width: bars ? 0 : 2, spanGaps: false, points: { filter: alone(one.values) },
        value: (_, value) => (value == null ? "–" : show(value)),
        ...(bars && { fill: colour(one.colour), paths: uPlot.paths.bars({ size: [0.8, 60], align: 1 }), points: { show: false } }),
      }))],
    }, [times.map((time) => time / 1000), ...series.map((one) => one.values)], canvas);
  }
  const sizes = new ResizeObserver(() => {
    if (!canvas.clientWidth) return;
    if (!plot) make();
    else plot.setSize({ width: canvas.clientWidth, height: 200 });
  });
  sizes.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot && make(), { signal });
  signal.addEventListener("abort", () => {
    sizes.disconnect();
    plot?.destroy();
  });
}

/** Where a value has none beside it, so that no line leads there: it is drawn as a point. */
function alone(values) {
  const places = values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
  return (_, __, all) => (all ? null : places);
}

function moment(at) {
  return new Date(at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

/** What stands at a mark of the axis, in seconds: the time, and the day where that is another than at the mark before. */
function mark(at, apart, before) {
  const [here, there] = [new Date(at * 1000), new Date(before * 1000)];
  const day = here.toLocaleDateString([], { day: "numeric", month: "short" });
  if (apart >= 86_400) return day;
  return here.toLocaleTimeString([], { timeStyle: "short" }) + (here.toDateString() === there.toDateString() ? "" : `\n${day}`);
}
