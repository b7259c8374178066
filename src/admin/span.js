// The time span that the usage and the log are of: what the address says of it, the links to others, and the buckets of its charts.
// The log tells moments in UTC; here they are milliseconds since 1970, and days are those of whoever looks.

import { h } from "./dom.js";
import { Refusal } from "./jql.js";
import { control, form } from "./ui.js";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

/** The spans up to now: the name in the address, in words, and how long. */
const SPANS = [
  ["15m", "15 minutes", 15 * MINUTE], ["1h", "1 hour", 60 * MINUTE], ["24h", "24 hours", DAY], ["7d", "7 days", 7 * DAY],
  ["30d", "30 days", 30 * DAY],
];

/** How long buckets are that are shorter than a day, and how many there are about. */
const LENGTHS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);
const MOST = 50;

/**
 * The span that an address asks for: it begins at `from`, and ends before `to`, or goes on where that is null; `end` is then now.
 *
 * @throws {Refusal}
 */
export function span(query, now = Date.now()) {
  const to = moment(query, "to");
  const end = to ?? now;
  const name = query.get("span") ?? "24h";
  const known = SPANS.find(([each]) => each === name);
  if (!known) throw wrong(`there is no span “${name}”`, `those there are: ${SPANS.map(([each]) => each).join(", ")}`);
  const from = moment(query, "from") ?? end - known[2];
  if (from >= end) throw wrong("the span ends before it begins");
  return { from, to, end };
}

function moment(query, name) {
  const text = query.get(name);
  if (!text) return null;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw wrong(`“${text}” is no moment`, "write it as 2026-01-31T09:30:00Z");
  return at;
}

export function wrong(errorMessage, hint) {
  return new Refusal(400, [{ errorMessage, hint }]);
}

/** The conditions of a span. */
export function within({ from, to }) {
  return { at__gte: new Date(from).toISOString(), ...(to != null && { at__lt: new Date(to).toISOString() }) };
}

/** The starts of the buckets of a span, round in this place's time, and each with the span of what is counted in it. */
export function buckets({ from, to, end }) {
  const starts = [];
  const length = LENGTHS.find((each) => (end - from) / each < MOST);
  if (length) {
    const zone = new Date(from).getTimezoneOffset() * MINUTE;
    for (let at = Math.floor((from - zone) / length) * length + zone; at < end; at += length) starts.push(at);
  } else {
    // Days are not all of one length.
    const days = Math.ceil((end - from) / DAY / MOST);
    const first = new Date(from);
    const day = (number) => new Date(first.getFullYear(), first.getMonth(), first.getDate() + number).getTime();
    for (let number = 0; day(number) < end; number += days) starts.push(day(number));
  }
  return starts.map((start, place) => ({ start, from: Math.max(start, from), to: starts[place + 1] ?? to }));
}

/** The links to all spans of a view, and a form for one between two moments. */
export function spans(place, view) {
  const isBetween = place.query.has("from") || place.query.has("to");
  const to = (values) => `#/${view}?${changed(place.query, { span: null, from: null, to: null, ...values })}`;
  const links = SPANS.map(([name, words]) => {
    const isThis = !isBetween && (place.query.get("span") ?? "24h") === name;
    const look = isThis ? "button primary" : "button";
    return h("li", {}, h("a", { class: look, href: to({ span: name }), "aria-current": isThis && "true" }, words));
  });
  const between = form({
    controls: ["from", "to"].map((name) => local(name, place.query.get(name))),
    verb: "Show", label: "A span between two moments",
    submit: (values) => place.go(to(values)),
  });
  return h("nav", { class: "spans", "aria-label": "Time span" }, h("ul", {}, links),
    h("details", { open: isBetween }, h("summary", {}, "Between two moments"), h("div", { class: "filters" }, between)));
}

/** A control for a moment, in this place's time; what is not changed stays as exact as it was. */
function local(name, text) {
  const at = new Date(text ?? NaN);
  const shown = Number.isNaN(at.getTime()) ? "" : new Date(at - at.getTimezoneOffset() * MINUTE).toISOString().slice(0, 19);
  const input = h("input", { type: "datetime-local", step: "1", value: shown });
  const given = input.value;
  const read = (value) => (value === given ? text : value ? new Date(value).toISOString() : null);
  return control({ name, label: name === "from" ? "From" : "To", input, read });
}

/** An address's query with other values; null and what is empty goes away, and so does the page. */
export function changed(query, values) {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries({ after: null, ...values })) {
    if (value == null || value === "") next.delete(name);
    else next.set(name, value);
  }
  return next;
}
