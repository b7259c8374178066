// The usage: figures, charts and tables of a span of the log, all asked for in one batch, so that they are of one moment.

import { h, nodes } from "./dom.js";
import { chart, COLOURS } from "./chart.js";
import { asked, KINDS, ms, Names, narrowed, NONE, status, WITHOUT } from "./entries.js";
import { LOG } from "./session.js";
import { buckets, changed, span, spans, within } from "./span.js";
import { control, count, refused, repeating, table } from "./ui.js";

export const title = "Usage";

export function offered(session) {
  return session.may("read", LOG);
}

const percentile = (value) => ({ function: "Percentile", onField: "duration_us", value });
const REQUESTS = { function: "Count" };
const REFUSED = { function: "Count", filter: { status__gte: 400, status__lt: 500 } };
const FAILED = { function: "Count", filter: { status__gte: 500 } };
const LATENCY = { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) };
const FIGURES = {
  requests: REQUESTS, refused: REFUSED, failed: FAILED, ...LATENCY,
  given: { function: "Sum", onField: "rows" }, sent: { function: "Sum", onField: "response_bytes" },
};
const MOMENT = { requests: REQUESTS, refusals: { function: "Count", filter: { status__gte: 400 } }, ...LATENCY };

/** The tables: what their entries are told apart by, and the title. The one of errors is of entries that have one. */
const TOPS = [["key", "Keys"], ["namespace", "Namespaces"], ["intent", "Intents"], ["code", "Errors"], ["address", "Addresses"]];
const TOP = 10;

export async function show(place) {
  const head = h("div", {});
  const results = h("div", {});
  const names = new Names(place.session);
  let asking = new AbortController();
  let drawn = new AbortController();

  /** Asks for all and shows it; whether that went well. */
  async function load() {
    asking.abort();
    asking = new AbortController();
    const signal = AbortSignal.any([place.signal, asking.signal]);
    results.setAttribute("aria-busy", "true");
    let content;
    try {
      const told = await ask(place, names, signal);
      drawn.abort();
      drawn = new AbortController();
      content = shown(told, place, names, AbortSignal.any([place.signal, drawn.signal]));
    } catch (error) {
      if (signal.aborted) return !place.signal.aborted; // asked again meanwhile
      content = refused(error);
    }
    renew(results, content);
    results.removeAttribute("aria-busy");
    return Array.isArray(content);
  }

  function turn() {
    head.replaceChildren(...nodes([spans(place, "usage"), asked(place.query, "usage")]));
  }

  /** Leaves out what this page's key asks, or does not. The address tells so, but no other view is shown: the focus stays. */
  function leaveOut() {
    place.query = changed(place.query, { without: without.checked ? "own" : null });
    history.replaceState(null, "", `#/usage?${place.query}`);
    turn();
    load();
  }

  const without = h("input", { type: "checkbox", checked: place.query.has("without"), onchange: leaveOut });
  const fresh = repeating({ label: "Keep fresh", seconds: 10, work: load, signal: place.signal });
  turn();
  await load();
  return h("div", {}, head,
    h("div", { class: "bar" }, h("button", { type: "button", onclick: load }, "Refresh"), fresh,
      control({ name: "without", label: WITHOUT, input: without }).element),
    results);
}

/** Replaces what is shown. What was open stays open, and the focus where it was. */
function renew(results, content) {
  const places = () => [...results.querySelectorAll("a, button, input, summary, [tabindex]")];
  const open = [...results.querySelectorAll("details")].map((each) => each.open);
  const focus = places().indexOf(document.activeElement);
  results.replaceChildren(...nodes(content));
  results.querySelectorAll("details").forEach((each, number) => { each.open ||= open[number] ?? false; });
  if (focus >= 0) places()[focus]?.focus({ preventScroll: true });
}

/** All that is shown, of one moment; only names of keys are asked for afterwards. */
async function ask({ session, query }, names, signal) {
  const whole = span(query);
  const { filter, exclude } = narrowed(session, query, whole);
  const totals = (wanted, more, meta) =>
    [{ intent: "aggregate", namespace: LOG, filter: { ...filter, ...more }, exclude, ...meta }, wanted];
  const parts = buckets(whole);
  const top = (field) => totals(
    { requests: REQUESTS, refused: REFUSED, p95: LATENCY.p95 }, field === "code" ? { code__isnull: false } : {},
    { groupBy: field === "code" ? ["code", "status"] : [field], ordering: ["-requests", field], limit: TOP },
  );
  const requests = [
    totals(FIGURES),
    ...TOPS.map(([name]) => top(fieldOf(name))),
    // A bucket is asked for by its moments: date parts are those of UTC, and percentiles of hours make none of a day.
    ...parts.map((part) => totals(MOMENT, within(part))),
  ];
  const [figures, ...rest] = await session.client.batch(requests, { signal });
  const [tops, moments] = [rest.slice(0, TOPS.length), rest.slice(TOPS.length)];
  await names.learn(tops[0].data.map(({ key }) => key), { signal });
  return { whole, figures: figures.data[0], tops, parts, moments: moments.map(({ data }) => data[0]) };
}

function fieldOf(name) {
  return KINDS.find(([each]) => each === name)[1];
}

function shown({ whole, figures, tops, parts, moments }, place, names, signal) {
  const times = parts.map(({ start }) => start);
  const line = (label, name, colour) => ({ label, values: moments.map((moment) => moment[name]), colour });
  return [
    h("p", { class: "help" }, "From ", exact(whole.from), " to ", exact(whole.end), `, times of ${zone()}. `,
      h("a", { href: inLog(place.query, {}) }, "All of it in the log")),
    h("dl", { class: "figures" }, facts(figures).map(([word, value, text]) =>
      h("div", {}, h("dt", {}, word), h("dd", {}, h("data", { value }, text))))),
    h("div", { class: "grid" },
      chart({
        title: "Requests", times, bars: true, show: count, signal,
        series: [line("Requests", "requests", COLOURS.main), line("Refused or failed (4xx, 5xx)", "refusals", COLOURS.bad)],
      }),
      chart({
        title: "Latency in milliseconds", times, show: ms, signal,
        series: [line("p50", "p50", COLOURS.third), line("p95", "p95", COLOURS.main), line("p99", "p99", COLOURS.fourth)],
      })),
    h("div", { class: "grid wide" }, TOPS.map(([name, words], number) => {
      const { data, extras: { filtered } } = tops[number];
      const some = filtered > data.length && h("span", { class: "hint" }, ` ${data.length} of ${count(filtered)}`);
      return h("section", {}, h("h2", {}, words, some),
        table({ caption: words, columns: columns(name, place.query, names), rows: data, empty: "None in this time." }));
    })),
  ];
}

function inLog(query, values) {
  return `#/log?${changed(query, values)}`;
}

/** The figures on top: each with a word, the exact number, and the text that is shown. */
function facts({ requests, refused, failed, p50, p95, p99, given, sent }) {
  const share = requests ? refused / requests : 0;
  return [
    ["Requests", requests, count(requests)], ["Refused (4xx)", refused, count(refused)], ["Failed (5xx)", failed, count(failed)],
    ["Share refused", share, share.toLocaleString("en-GB", { style: "percent", maximumFractionDigits: 1 })],
    ["p50, ms", p50, ms(p50)], ["p95, ms", p95, ms(p95)], ["p99, ms", p99, ms(p99)],
    ["Rows given", given ?? 0, count(given ?? 0)], ["Sent", sent ?? 0, bytes(sent ?? 0)],
  ];
}

/** The columns of a table; its numbers lead into the log. */
function columns(name, query, names) {
  const field = fieldOf(name);
  const only = (row) => ({ [name]: row[field] ?? NONE, ...(name === "code" && { status: row.status }) });
  const text = (row) => (name === "key" ? names.text(row.key) : row[field] ?? NONE);
  function link(row, number, word, values) {
    if (!number) return "0";
    const name = `${count(number)} ${word} in the log: ${text(row)}`;
    return h("a", { href: inLog(query, { ...only(row), ...values }), "aria-label": name }, count(number));
  }
  const refusals = /^4/.test(query.get("status")) ? query.get("status") : "4xx";
  const number = (heading, cell) => ({ title: heading, isNumber: true, cell });
  return [
    { title: KINDS.find(([each]) => each === name)[2], cell: (row) => (name === "key" ? names.link(row.key) : text(row)) },
    name === "code" && { title: "Status", cell: (row) => status(row.status) },
    number("Requests", (row) => link(row, row.requests, "requests")),
    name !== "code" && number("Refused", (row) => link(row, row.refused, "refused", { status: refusals })),
    number("p95, ms", (row) => ms(row.p95)),
  ].filter(Boolean);
}

/** Bytes in a unit that keeps the number short. */
function bytes(number) {
  const unit = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(unit.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, Number(number))) / 3)));
  return (Number(number) / 1000 ** step).toLocaleString("en-GB", { style: "unit", unit: unit[step], maximumFractionDigits: 1 });
}

function exact(at) {
  return h("time", { datetime: new Date(at).toISOString() }, new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
}

function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
