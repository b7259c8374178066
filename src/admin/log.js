// The log: entries with filters and pages, one of them with all its fields, and those that come in meanwhile.

import { h, unique } from "./dom.js";
import { asked, KINDS, ms, Names, narrowed, NONE, status, STATUS, WITHOUT } from "./entries.js";
import { LOG } from "./session.js";
import { changed, span, spans } from "./span.js";
import { control, copy, count, dialog, form, refused, repeating, say, table } from "./ui.js";

export const title = "Log";

export function offered(session) {
  return session.may("read", LOG);
}

const PAGE = 50;
/** The most entries that stay in the page while it follows the log. */
const KEPT = 500;
/** How far entries are counted. */
const COUNTED = 10_000;
/** Between two times that new entries are told of, in milliseconds. */
const QUIET = 10_000;

export async function show(place) {
  const names = new Names(place.session);
  const columns = columnsOf(place, names);
  const list = h("div", { class: "log" });
  const mistake = h("div", {});
  const after = place.query.get("after");
  let newest = 0; // the id of the newest entry of all when the log was last asked

  /** Has `work` done, and shows what it throws; whether that went well. */
  async function attempt(work) {
    try {
      await work();
      mistake.replaceChildren();
      return true;
    } catch (error) {
      if (!place.signal.aborted) mistake.replaceChildren(refused(error));
      return false;
    }
  }

  /** Shows a page. */
  async function load() {
    const page = await read(place, { ...(after && { after }), ordering: "-at", limit: PAGE, count: { upTo: COUNTED } });
    newest = page.newest;
    await names.learn(page.data.map(({ key }) => key), place);
    list.replaceChildren(about(page), tableOf(columns, page.data), turns(place, page, () => attempt(load)));
  }

  const tell = politely();
  /** Adds what came in since, but for the questions of this page itself. */
  async function follow() {
    const own = { key: place.session.secret, namespace: "system.Batch" };
    const page = await read(place, { ordering: "-id", limit: KEPT, count: false }, { id__gt: newest }, own);
    newest = page.newest;
    await names.learn(page.data.map(({ key }) => key), place);
    add(list, columns, page.data);
    tell(page.data.length);
  }

  await attempt(load);
  const isOpen = !after && !place.query.has("to");
  const live = isOpen && repeating({ label: "Live", seconds: 2, work: () => attempt(follow), signal: place.signal });
  return h("div", {}, spans(place, "log"), filters(place, () => attempt(load)), asked(place.query, "log"), live, mistake, list);
}

/** The entries that the address asks for, and the id of the newest entry of all, of one moment. */
async function read({ session, query, signal }, meta, more, own) {
  const { filter, exclude = own } = narrowed(session, query, span(query));
  const [last, page] = await session.client.batch([
    [{ intent: "retrieve", namespace: LOG, ordering: "-id", limit: 1, count: false }, { id: null }],
    [{ intent: "retrieve", namespace: LOG, filter: { ...filter, ...more }, exclude, ...meta }],
  ], { signal });
  return { ...page, newest: last.data[0]?.id ?? 0 };
}

function about({ data, extras }) {
  const all = `${extras.filteredAtLeast ? "at least " : ""}${count(extras.filtered)}`;
  return h("p", { class: "help" }, `${count(data.length)} of ${all} entries.`);
}

function tableOf(columns, rows) {
  return table({ caption: "Entries of the log, the newest first", columns, rows, empty: "No such entry in this time." });
}

function turns({ query, go }, { extras }, load) {
  const after = query.get("after");
  const turn = (to) => go(`#/log?${changed(query, { after: to })}`);
  return h("nav", { class: "pages", "aria-label": "Pages" },
    h("button", { type: "button", onclick: () => (after ? turn(null) : load()) }, "Newest"),
    h("button", { type: "button", disabled: !extras.next, onclick: () => turn(extras.next) }, "Older"));
}

/** Adds rows on top, and takes away the oldest. */
function add(list, columns, rows) {
  if (!rows.length) return;
  const fresh = tableOf(columns, rows);
  const body = list.querySelector("tbody");
  if (body) body.prepend(...fresh.querySelectorAll("tbody > tr"));
  else list.querySelector(".empty").replaceWith(fresh);
  while (body?.rows.length > KEPT) body.lastElementChild.remove();
  list.querySelector(".help").textContent = `${count(list.querySelectorAll("tbody > tr").length)} entries are shown.`;
}

/** Tells how many entries are new, now and then. */
function politely() {
  let waiting = 0;
  let last = -Infinity;
  return (number) => {
    waiting += number;
    if (!waiting || performance.now() - last < QUIET) return;
    say(waiting === 1 ? "1 new entry." : `${count(waiting)} new entries.`);
    waiting = 0;
    last = performance.now();
  };
}

function columnsOf(place, names) {
  const text = (field) => ({ title: KINDS.find(([, each]) => each === field)[2], cell: (row) => row[field] ?? "–" });
  return [
    { title: "Time", cell: (row) => {
      const at = new Date(row.at).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
      return h("button", { type: "button", class: "plain", "aria-haspopup": "dialog", onclick: () => open(place, names, row) }, at);
    } },
    { title: "Status", cell: (row) => status(row.status) },
    text("namespace"), text("intent"),
    { title: "Key", cell: (row) => (row.key == null ? "–" : names.text(row.key)) },
    { title: "ms", isNumber: true, cell: (row) => ms(row.duration_us) },
    { title: "Rows", isNumber: true, cell: (row) => count(row.rows) },
    text("remote_addr"),
  ];
}

/** Shows an entry with all its fields; those that entries are told apart by lead to the others that share them. */
function open(place, names, row) {
  const kinds = [...KINDS, ["status", "status", "Status"]];
  const fact = ([field, value]) => {
    const [name, , words] = kinds.find(([, each]) => each === field) ?? [];
    const href = () => `#/log?${changed(place.query, { [name]: value ?? NONE })}`;
    const only = name && [" ", h("a", { href: href(), "aria-label": `only this ${words.toLowerCase()}` }, "only this")];
    return [h("dt", {}, field), h("dd", {}, shown(names, field, value), only)];
  };
  const content = [
    h("dl", { class: "facts" }, Object.entries(row).map(fact)),
    h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => opened.close() }, "Close"),
      copy(JSON.stringify(row, (_, value) => (typeof value === "bigint" ? String(value) : value), 2), "Copy as JSON")),
  ];
  const opened = dialog({ title: "An entry of the log", content });
  place.signal.addEventListener("abort", opened.close);
}

function shown(names, field, value) {
  if (value == null) return "–";
  if (field === "status") return status(value);
  if (field === "key") return [names.link(value), names.text(value) !== value && [" ", h("code", {}, value)]];
  if (field === "at") return [new Date(value).toLocaleString([], { dateStyle: "full", timeStyle: "long" }), " ", h("code", {}, value)];
  if (field === "duration_us") return `${count(value)} (${ms(value)} ms)`;
  return typeof value === "number" && field !== "id" ? count(value) : String(value);
}

/** The form of filters; `load` shows the same again. */
function filters({ session, query, go }, load) {
  const offer = (input, values) => {
    const id = unique("offer");
    input.setAttribute("list", id);
    return h("datalist", { id }, values.map((value) => h("option", { value })));
  };
  const text = (name, label, { values = [], help, ...properties } = {}) => {
    const input = h("input", { value: query.get(name), autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...properties });
    const one = control({ name, label, input, help });
    if (values.length) one.element.append(offer(input, values));
    return one;
  };
  const controls = [
    text("status", "Status", {
      values: ["200", "refused", "4xx", "5xx", "401", "403", "404", "429"],
      help: "a number, 4xx, 5xx, or refused for both", pattern: STATUS, title: "A number, 4xx, 5xx, or refused",
    }),
    text("namespace", "Namespace", { values: [...session.models.keys()] }),
    text("intent", "Intent", { values: session.language.intents.map(({ name }) => name) }),
    text("key", "Key", { help: "its public id, or none" }),
    text("code", "Error", { help: "such as JQL:AuthorizationException" }),
    text("address", "Address"),
    text("request_id", "Request id"),
    text("slower", "Slower than, in ms", { type: "number", min: "0", step: "any" }),
    control({
      name: "without", label: WITHOUT, read: (checked) => (checked ? "own" : null),
      input: h("input", { type: "checkbox", checked: query.has("without") }),
    }),
  ];
  const isUsed = controls.some(({ name }) => query.get(name));
  const submit = (values) => {
    const to = `#/log?${changed(query, values)}`;
    if (to === location.hash) return load();
    return go(to);
  };
  return h("details", { class: "card", open: isUsed }, h("summary", {}, "Filter"),
    h("div", { class: "filters" }, form({ controls, verb: "Show", label: "Filter", submit })));
}
