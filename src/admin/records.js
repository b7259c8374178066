// The records of the models: the list of one model's records, filtered, searched, in an order, page by page.

import { h } from "./dom.js";
import { filterForm } from "./filter.js";
import { asJson, write } from "./jql.js";
import { record } from "./record.js";
import { control, count, form, pages, refused, say, select, table } from "./ui.js";
import { address, asking, ask, naming, ordering, plain, shown } from "./values.js";

export const title = "Records";

const SIZE = 50;
const COUNTED = 10_000;
const COLUMNS = 6;

export function offered(session) {
  return session.own.length > 0;
}

export async function show(place) {
  const { session, path: [namespace, ...rest] } = place;
  if (!namespace) return chooser(place, null);
  const model = session.own.find((one) => one.namespace === namespace);
  if (!model) return h("p", {}, "There is no such model, or this key may not see it.");
  if (rest.length) return record(place, model, rest);
  const content = session.may("read", namespace) ? await list(place, model) : unread(place, model);
  return h("div", { class: "sided" }, chooser(place, model), h("div", {}, heading(session, model), content));
}

/** The way to the other models: links, and where there is no room beside the records, a choice. */
function chooser({ session, go }, current) {
  const apps = Map.groupBy(session.own, ({ namespace }) => namespace.split(".")[0]);
  const link = ({ namespace }) => h("li", {}, h("a", {
    href: `#/records/${namespace}`, "aria-current": namespace === current?.namespace && "page",
  }, namespace.split(".")[1]));
  const items = [...apps].map(([app, models]) => h("li", {}, app, h("ul", {}, models.map(link))));
  const nav = h("nav", { class: "models", "aria-label": "Models" }, h("ul", {}, items));
  if (!current) return nav;
  const model = control({ name: "model", label: "Model", input: select(session.own.map(({ namespace }) => namespace), current.namespace) });
  const choice = form({ controls: [model], verb: "Go", label: "Choose a model", submit: ({ model: chosen }) => go(`#/records/${chosen}`) });
  choice.classList.add("bar");
  return h("div", { class: "choice" }, nav, choice);
}

function heading(session, { namespace }) {
  return h("div", { class: "bar" }, h("h2", {}, namespace),
    session.can("create", namespace) && h("a", { class: "button", href: `#/records/${namespace}/new` }, "New record"),
    h("a", { href: `#/models/${namespace}` }, "Its definition"));
}

/** Where records may be changed and not read, they are reached by their id. */
function unread({ session, go }, { namespace }) {
  const may = session.can("update", namespace) || session.can("deleteOne", namespace);
  const id = control({ name: "id", label: "The id of a record", required: true, input: h("input", { autocomplete: "off" }) });
  return [h("p", {}, "This key may not read these records."), may && h("div", { class: "narrow" },
    form({ controls: [id], verb: "Open", submit: (values) => go(address(namespace, values.id.trim())) }))];
}

/** The records, and what says which of them. What is chosen lives in the address. */
async function list({ session, query, signal }, model) {
  const { namespace } = model;
  const all = model.fields.filter(({ name }) => name !== "id");
  const wanted = query.get("columns")?.split(",");
  const state = {
    filter: query.get("filter") ?? "", search: query.get("search") ?? "", order: query.get("order") ?? "",
    page: Math.max(1, Number.parseInt(query.get("page"), 10) || 1),
    columns: wanted ? all.filter(({ name }) => wanted.includes(name)) : all.slice(0, COLUMNS),
  };
  const results = h("div", {});
  let running = new AbortController();
  signal.addEventListener("abort", () => running.abort());

  /** Shows what the state says, leaves it in the address, and gives the focus back to where it was. */
  async function turn(change, focus) {
    Object.assign(state, { page: 1 }, change);
    const isUsual = write(state.columns) === write(all.slice(0, COLUMNS));
    const columns = !isUsual && state.columns.map(({ name }) => name).join(",");
    const kept = Object.entries({ ...state, page: state.page > 1 && state.page, columns }).filter(([, value]) => value);
    const said = new URLSearchParams(kept).toString();
    history.pushState(null, "", `#/records/${namespace}${said && `?${said}`}`);
    say(await load());
    if (focus) results.querySelector(focus)?.focus();
  }

  /** Gives what is to be said of it: nothing where it is told already, or something else was asked for meanwhile. */
  async function load() {
    running.abort();
    running = new AbortController();
    const asked = running.signal;
    let told = "";
    results.setAttribute("aria-busy", "true");
    try {
      const { data, extras } = await ask(session, meta(session, model, state), fields(session, state), { signal: asked });
      told = fill(data, extras);
    } catch (error) {
      if (!asked.aborted) results.replaceChildren(refused(error));
    }
    if (!asked.aborted) results.removeAttribute("aria-busy");
    return told;
  }

  function fill(data, { filtered: total, filteredAtLeast: isMore }) {
    const told = isMore ? `${count(total)} records or more` : `${count(total)} record${total === 1 ? "" : "s"}`;
    const bar = pages({
      offset: (state.page - 1) * SIZE, shown: data.length, total: isMore ? null : total, size: SIZE,
      turn: (offset) => turn({ page: offset / SIZE + 1 }, ".scroll"),
    });
    const columns = [{ name: "id" }, ...state.columns].map((field) => column({ session, model, state, turn }, field));
    const records = table({ caption: `Records of ${namespace}`, columns, rows: data, empty: "No records." });
    results.replaceChildren(h("p", { class: "total" }, told), records, bar);
    return told;
  }

  await load();
  const words = model.search.length > 0 && search(model, state, turn);
  return [words, filters({ session, model, state, turn }), chosen(all, state, turn), results];
}

/** What is asked for. */
function meta(session, model, { filter, search, order, page }) {
  return {
    intent: "retrieve", namespace: model.namespace, limit: SIZE, offset: (page - 1) * SIZE, count: { upTo: COUNTED },
    ...(filter && { filter: asJson(filter, "The filter in the address") }), ...(search && { search: { value: search } }),
    ordering: order ? order.split(",") : ordering(model),
  };
}

function fields(session, { columns }) {
  return { id: null, ...Object.fromEntries(columns.map((field) => [field.name, asking(session, field, true)])) };
}

/** A column; where records can be put in its order, its heading is the button for that. */
function column({ session, model, state, turn }, field) {
  const { name, type } = field;
  const label = field.to && naming(session, field.to);
  const by = label ? `${name}__${label}` : name;
  const sort = state.order === by ? "ascending" : state.order === `-${by}` ? "descending" : null;
  const next = { ascending: `-${by}`, descending: "" }[sort] ?? by;
  const put = () => turn({ order: next }, `[data-column="${name}"]`);
  const button = h("button", { type: "button", class: "plain", "data-column": name, onclick: put },
    name, h("span", { "aria-hidden": "true" }, { ascending: " ↑", descending: " ↓" }[sort]));
  const link = (row) => h("a", { href: address(model.namespace, row.id) }, plain(row.id));
  const cell = (row) => (name === "id" ? link(row) : shown(session, field, row[name], true));
  return { title: type === "json" || type === "refs" ? name : button, sort, isNumber: /integer|float|decimal/.test(type), cell };
}

function search(model, state, turn) {
  const words = control({
    name: "search", label: `Search in ${model.search.join(", ")}`, input: h("input", { type: "search", value: state.search }),
  });
  const whole = form({ controls: [words], verb: "Search", submit: (values) => turn({ search: values.search.trim() }) });
  whole.setAttribute("role", "search");
  whole.classList.add("bar");
  return whole;
}

function filters({ session, model, state, turn }) {
  const whole = filterForm({ session, namespace: model.namespace, filter: state.filter, apply: (filter) => turn({ filter }) });
  return h("details", { open: state.filter !== "" }, h("summary", {}, "Filter"), whole);
}

/** The choice of columns. */
function chosen(all, state, turn) {
  const box = (field) => {
    const isChosen = (one, event) => (one === field ? event.target.checked : state.columns.includes(one));
    const change = (event) => turn({ page: state.page, columns: all.filter((one) => isChosen(one, event)) });
    return h("label", {}, h("input", { type: "checkbox", checked: state.columns.includes(field), onchange: change }), ` ${field.name}`);
  };
  const boxes = h("fieldset", { class: "columns" }, h("legend", {}, "Columns of the table"), all.map(box));
  return h("details", {}, h("summary", {}, "Columns"), boxes);
}
