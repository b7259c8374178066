// The relations of the models as a picture: a band for each app, a box for each model, and an arrow for each reference.

import { h, svg, unique } from "./dom.js";

const HEIGHT = 40;
const GAP = 26;
const PAD = { x: 20, top: 34, bottom: 18, band: 16 };
const LETTER = 8.5;

/** The references between these models, `{ from, field, to }` each. */
export function relations(models) {
  const by = new Map(models.map((model) => [model.namespace, model]));
  return models.flatMap((from) => from.fields.filter(({ to }) => to).map((field) => ({ from, field, to: by.get(field.to) })));
}

/** The picture. A box is a link to the definition; the relations are told in words beside it. */
export function picture(models) {
  const arrows = grouped(relations(models).filter(({ to }) => to));
  const { boxes, bands, width, height } = laid(models, arrows);
  const head = unique("head");
  const lines = arrows.map((arrow) => line(arrow, boxes, head));
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const marker = { id: head, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" };
  const drawing = svg("svg", { class: "picture", ...size, role: "group", "aria-label": "The models, by app" },
    svg("defs", {}, svg("marker", marker, svg("path", { d: "M0 0 8 4 0 8z" }))),
    bands.map(({ app, y, height: tall }) => [
      svg("rect", { class: "band", x: 0, y, width, height: tall, rx: 8 }), svg("text", { class: "app", x: PAD.x, y: y + 21 }, app)]),
    lines.map(({ path }) => path),
    [...boxes.values()].map(box),
    lines.map(({ label }) => label));
  return h("div", { class: "scroll", role: "region", "aria-label": "Picture of the relations", tabindex: "0" }, drawing);
}

function box({ model: { namespace }, x, y, width }) {
  return svg("a", { href: `#/models/${namespace}`, "aria-label": namespace },
    svg("rect", { x, y, width, height: HEIGHT, rx: 6 }),
    svg("text", { x: x + width / 2, y: y + HEIGHT / 2, "text-anchor": "middle", "dominant-baseline": "central" }, namespace.split(".")[1]));
}

/** Those between the same two models are one line, with all their names. */
function grouped(arrows) {
  const between = Map.groupBy(arrows, ({ from, to }) => `${from.namespace} ${to.namespace}`);
  return [...between.values()].map((all) => ({ ...all[0], name: all.map(({ field }) => field.name).join(", ") }));
}

/** A line from a model to the one that it refers to: into the side where that is, and around itself where it is the same. */
function line({ from, to, name }, boxes, head) {
  const a = boxes.get(from.namespace);
  const b = boxes.get(to.namespace);
  const middle = (one) => one.y + HEIGHT / 2;
  let start, end, bend;
  if (b.x > a.x) [start, end, bend] = [[a.x + a.width, middle(a)], [b.x, middle(b)], [1, -1]];
  else if (b.x < a.x) [start, end, bend] = [[a.x, middle(a)], [b.x + b.width, middle(b)], [-1, 1]];
  else [start, end, bend] = [[a.x + a.width, middle(a) - (a === b ? 10 : 0)], [b.x + b.width, middle(b) + (a === b ? 10 : 0)], [1, 1]];
  const reach = Math.max(60, Math.abs(end[0] - start[0]) / 2);
  const down = Math.abs(a.column - b.column) > 1 ? HEIGHT : 0; // under the boxes between them
  const [one, two] = [[start[0] + bend[0] * reach, start[1] + down], [end[0] + bend[1] * reach, end[1] + down]];
  const [x, y] = [0, 1].map((side) => (start[side] + 3 * one[side] + 3 * two[side] + end[side]) / 8);
  return {
    path: svg("path", { class: "line", d: `M${start} C${one} ${two} ${end}`, "marker-end": `url(#${head})` }),
    label: svg("text", { class: "name", x, y, "text-anchor": "middle", "dominant-baseline": "central", "aria-hidden": "true" }, name),
  };
}

/** Where the boxes stand: in the column behind all that refer to them, in the band of their app. */
function laid(models, arrows) {
  const columns = layers(models, arrows);
  const room = (names, least) => Math.max(least, ...names.map((name) => name.length * LETTER + 30));
  const width = room(models.map(({ namespace }) => namespace.split(".")[1]), 120);
  const gap = room(arrows.map(({ name }) => name), 100);
  const boxes = new Map();
  const bands = [];
  let y = 0;
  for (const [app, members] of Map.groupBy(models, ({ namespace }) => namespace.split(".")[0])) {
    const full = new Map();
    for (const model of members) {
      const column = columns.get(model);
      const row = full.get(column) ?? 0;
      full.set(column, row + 1);
      boxes.set(model.namespace, { model, column, x: PAD.x + column * (width + gap), y: y + PAD.top + row * (HEIGHT + GAP), width });
    }
    const rows = Math.max(...full.values());
    const height = PAD.top + rows * (HEIGHT + GAP) - GAP + PAD.bottom;
    bands.push({ app, y, height });
    y += height + PAD.band;
  }
  const right = Math.max(...[...boxes.values()].map((one) => one.x)) + width;
  return { boxes, bands, width: right + gap, height: y - PAD.band };
}

/** The column of each model: one behind the last of those that refer to it. References in a circle are cut where it was begun. */
function layers(models, arrows) {
  const columns = new Map();
  const open = new Set();
  function column(model) {
    if (columns.has(model)) return columns.get(model);
    open.add(model);
    const before = arrows.filter(({ from, to }) => to === model && !open.has(from)).map(({ from }) => column(from));
    open.delete(model);
    const found = Math.max(-1, ...before) + 1;
    columns.set(model, found);
    return found;
  }
  models.forEach(column);
  return columns;
}
