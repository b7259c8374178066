// A filter, put together of conditions, each a row, and written as JSON too.

import { h, unique } from "./dom.js";
import { exact, write } from "./jql.js";
import { control, form, select } from "./ui.js";
import { lookups, plain, resolve } from "./values.js";

const LISTS = ["in", "range"];

/** The form of a filter of a model's records; `apply` gets the filter as JSON, or "" for none. */
export function filterForm({ session, namespace, filter, apply }) {
  let rows = [];
  const paths = h("datalist", { id: unique("paths") }, known(session, namespace).map((path) => h("option", { value: path })));
  const conditions = h("div", { class: "conditions" });
  const json = control({
    name: "filter", label: "The filter as JSON", input: h("textarea", { class: "code", spellcheck: "false" }),
    help: "What the rows above say. Here it can say more, with __or__ and __not__.",
  });

  /** Makes rows of a filter; one that says more than rows can is left as JSON. */
  function open(text) {
    let found;
    try {
      found = split(text.trim() ? exact(text) : {});
    } catch {
      found = null;
    }
    rows = [];
    conditions.replaceChildren();
    if (found) (found.length ? found : [{ path: "", lookup: "exact", text: "" }]).forEach(add);
    else conditions.append(h("p", { class: "help" }, "This filter says more than rows can: it is changed as JSON."));
    more.hidden = !found;
    json.input.value = text;
  }

  function add(condition) {
    const one = row({ session, namespace, list: paths.id, condition, number: rows.length + 1, changed, remove });
    rows.push(one);
    conditions.append(one.element);
    return one;
  }

  function remove(one) {
    rows = rows.filter((other) => other !== one);
    one.element.remove();
    changed();
    (rows.at(-1) ?? add({ path: "", lookup: "exact", text: "" })).focus();
  }

  /** What the rows say, as JSON. */
  function said(indent) {
    const all = joined(rows.map((one) => one.read()));
    return Object.keys(all).length ? write(all, indent) : "";
  }

  function changed() {
    json.input.value = said(2);
  }

  const more = h("button", { type: "button", onclick: () => add({ path: "", lookup: "exact", text: "" }).focus() }, "Add a condition");
  const clear = h("button", { type: "button", onclick: () => { open(""); return apply(""); } }, "Clear");
  const hidden = h("details", {}, h("summary", {}, "As JSON"), json.element);
  open(filter);
  hidden.open = more.hidden;
  const whole = form({
    controls: [], verb: "Apply", label: "Filter", beside: [more, clear],
    submit: () => {
      json.fail(null);
      let text;
      try {
        text = json.input.value.trim() && write(exact(json.input.value));
      } catch (error) {
        hidden.open = true;
        json.fail(`This is not JSON: ${error.message}`);
        json.input.focus();
        return null;
      }
      if (text !== said()) open(text);
      return apply(text);
    },
  });
  whole.prepend(paths, conditions, hidden);
  return whole;
}

/** The paths to offer: the model's fields, and those of the records that they refer to. */
function known(session, namespace) {
  const { fields, reverse } = session.models.get(namespace);
  const steps = [...fields.filter((field) => field.to), ...reverse.map(({ name, from }) => ({ name, to: from }))];
  const beyond = steps.flatMap(({ name, to }) => session.models.get(to).fields.map((field) => `${name}__${field.name}`));
  return [...fields.map((field) => field.name), ...beyond];
}

/** A filter as conditions, or null where it is more than a list of them. */
function split(filter) {
  const found = [];
  for (const [key, value] of Object.entries(filter)) {
    if (key === "__and__" && value.every((one) => Object.keys(one).length === 1 && Object.keys(one)[0] in filter)) {
      found.push(...value.map((one) => Object.entries(one)[0]));
    } else if (/^__(and|or|not)__$/.test(key)) return null;
    else found.push([key, value]);
  }
  return found.map(([key, value]) => condition(key, value));
}

function condition(key, value) {
  const [, path, lookup] = key.match(/^(.+)__([a-z_]+)$/) ?? [null, key, "exact"];
  return { key, path, lookup, value };
}

/** Conditions as a filter. Two on the same field with the same lookup stand beside each other in an `__and__`. */
function joined(conditions) {
  const filter = Object.create(null);
  const again = [];
  for (const [key, value] of conditions.filter(Boolean)) {
    if (key in filter) again.push({ [key]: value });
    else filter[key] = value;
  }
  if (again.length) filter.__and__ = again;
  return filter;
}

/** One condition: the path to a field, a lookup and a value. */
function row({ session, namespace, list, condition: { key = "", path: head, lookup: tail, value }, number, changed, remove }) {
  const at = (path) => resolve(session, namespace, path);
  const isLookup = !key || (at(head) && lookups(session, at(head)).includes(tail));
  const isNull = value === null;
  const path = h("input", { "aria-label": `Field of condition ${number}`, list, value: isLookup ? head : key, placeholder: "field",
    autocomplete: "off", spellcheck: "false", oninput: refit });
  const lookup = h("select", { "aria-label": `Lookup of condition ${number}`, onchange: refit });
  const place = h("span", {});
  let input = h("input", { value: isNull ? "true" : value === undefined ? "" : written(value) });

  /** Offers the lookups of the field, and the control that the lookup's value takes. */
  function refit(event) {
    const field = path.value.trim() ? at(path.value.trim()) : undefined;
    const chosen = event ? lookup.value : isNull ? "isnull" : isLookup ? tail : "exact";
    const offered = lookups(session, field);
    lookup.replaceChildren(...offered.map((name) => h("option", { selected: name === chosen }, name)));
    const fitting = valueInput(input, field, lookup.value);
    if (fitting !== input || !event) {
      input = fitting;
      input.setAttribute("aria-label", `Value of condition ${number}`);
      input.addEventListener("input", changed);
      place.replaceChildren(input);
    }
    if (event) changed();
  }
  refit();

  const one = {
    element: null,
    focus: () => path.focus(),
    read() {
      const name = path.value.trim();
      if (!name) return null;
      const said = lookup.value === "exact" ? name : `${name}__${lookup.value}`;
      return [said, understood(at(name), lookup.value, input.value)];
    },
  };
  one.element = h("div", { class: "condition" }, path, lookup, place,
    h("button", { type: "button", "aria-label": `Remove condition ${number}`, onclick: () => remove(one) }, "Remove"));
  return one;
}

/** The control of a condition's value: the one that is there, unless it does not fit. */
function valueInput(now, field, lookup) {
  const text = now.value;
  const isFlag = lookup === "isnull" || (field?.type === "boolean" && lookup === "exact");
  const few = isFlag ? ["true", "false"] : lookup === "exact" ? field?.choices?.map(plain) : null;
  if (few && (isFlag || !text || few.includes(text))) return select(few, text);
  const input = now.tagName === "INPUT" ? now : h("input", { autocomplete: "off", value: text });
  const like = { date: "2026-01-31", datetime: "2026-01-31T09:30:00Z", time: "09:30" }[field?.type];
  input.placeholder = LISTS.includes(lookup) ? "values, commas between" : like ?? "value";
  return input;
}

/** A value of a filter as a text. */
function written(value) {
  const isList = Array.isArray(value) && value.every((one) => typeof one !== "object" && !/^\s|[,[]|\s$/.test(plain(one)));
  return isList ? value.map(plain).join(", ") : plain(value);
}

/** A text as the value that is sent. The server makes of a text what the field's type takes, but inside json each kind is its own. */
function understood(field, lookup, text) {
  if (lookup === "isnull") return text === "true";
  const one = (part) => (field?.isInside ? parsed(part) ?? part : part);
  const items = () => text.split(",").map((part) => one(part.trim())).filter((part) => part !== "");
  if (LISTS.includes(lookup)) return parsed(text, Array.isArray) ?? items();
  return parsed(text, (value) => value?.__field__) ?? one(text);
}

function parsed(text, fits = () => true) {
  try {
    const value = exact(text);
    return fits(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
