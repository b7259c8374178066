// The control of each type of field.

import { h } from "./dom.js";
import { asJson, exact, write } from "./jql.js";
import { picker, several } from "./picker.js";
import { control, select } from "./ui.js";
import { called, idOf, plain } from "./values.js";

/** The input of each type. `show` makes its text of a value, `take` a value of its text; without them they are the same. */
const INPUTS = {
  string: { input: ({ max_length }, value) => (value?.includes("\n") ? h("textarea") : line({ maxlength: max_length })) },
  text: { input: ({ max_length }) => h("textarea", { maxlength: max_length }) },
  integer: { input: ({ min }) => number(min, "numeric") },
  float: { input: ({ min }) => number(min, "decimal") },
  decimal: { input: ({ min }) => number(min, "decimal") },
  date: { input: () => h("input", { type: "date" }) },
  time: { input: (_, value) => h("input", { type: "time", step: step(value) }), show: (value) => value.slice(0, 12).replace(/\.000$/, "") },
  datetime: { input: (_, value) => h("input", { type: "datetime-local", step: step(value) }), show: local, take: utc },
  json: { input: () => h("textarea", { class: "code", spellcheck: "false" }), show: (value) => write(value, 2) },
};

function line(properties = {}) {
  return h("input", { autocomplete: "off", ...properties });
}

/** A number is a text here, so that each of its digits is kept. Where it may be negative, small keyboards need the minus. */
function number(min, mode) {
  return line({ inputmode: min != null && Number(plain(min)) >= 0 ? mode : "text" });
}

/** Seconds are always there to be set, parts of them where the value has some. */
function step(value) {
  return value?.slice(0, -1).match(/\.\d*[1-9]/) ? 0.001 : 1;
}

/** A moment in this place's time, as its input takes it. */
function local(text) {
  const at = new Date(text);
  const padded = (part, digits = 2) => String(part).padStart(digits, "0");
  const day = [padded(at.getFullYear(), 4), padded(at.getMonth() + 1), padded(at.getDate())].join("-");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => padded(part)).join(":");
  return `${day}T${time}.${padded(at.getMilliseconds(), 3)}`.replace(/\.000$/, "");
}

function utc(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : at.toISOString();
}

/**
 * The control of a field. `value` is what the record holds, undefined where that is not known; `isNew` says that there is no record yet.
 * What it reads is undefined as long as it holds what it began with: only what was changed is sent.
 */
export function fieldControl({ session, field, value, isNew = false }) {
  const mark = isNew && field.required && h("span", { class: "required" }, " (required)");
  const about = { name: field.name, label: [field.name, mark], help: help(field, isNew) };
  if (field.type === "refs") return many(session, field, value, about);
  if (field.to) return one(session, field, value, isNew, about);
  if (field.choices || field.type === "boolean") return chosen(field, value, isNew, about);
  return written(field, value, isNew, about);
}

/** What people should know to fill it in. */
function help(field, isNew) {
  return [
    field.help,
    field.type === "ref" && (field.to ? `a record of ${field.to}` : "the id of a record that this key may not read"),
    field.type === "refs" && (field.to ? `records of ${field.to}` : "ids of records that this key may not read, commas between them"),
    field.type === "datetime" && `in the time of ${Intl.DateTimeFormat().resolvedOptions().timeZone}`,
    ...limits(field),
    isNew && field.default != null && !field.choices && `${write(field.default)} where nothing is given`,
  ].filter(Boolean).join("; ") || null;
}

/** What a field asks of its values, in words. */
export function limits(field) {
  return [
    field.max_digits != null && `at most ${field.max_digits} digits, ${field.decimal_places} of them behind the point`,
    field.min != null && `at least ${plain(field.min)}`,
    field.max != null && `at most ${plain(field.max)}`,
    field.min_length != null && `at least ${field.min_length} characters`,
    field.max_length != null && `at most ${field.max_length} characters`,
    field.pattern != null && `matches ${field.pattern}`,
    field.unique && field.name !== "id" && "no two alike",
  ].filter(Boolean);
}

/** A control of a text, or of what is written as one. */
function written(field, value, isNew, about) {
  const { input: make, show = plain, take = (text) => text } = INPUTS[field.type] ?? { input: () => line() };
  const input = make(field, value);
  if (value != null) input.value = show(value);
  const begun = input.value;
  const none = nothing(field, value, isNew, (isNone) => { if (isNone) input.value = ""; });
  input.addEventListener("input", () => none.set(false));
  function read(text) {
    if (none.isSet()) return none.wasSet ? undefined : null;
    if (text === begun && !none.wasSet) return undefined;
    return field.type === "json" ? asJson(text, `"${field.name}"`, `/${field.name}`) : take(text);
  }
  return none.beside(control({ ...about, input, read }));
}

/** The choice of null for a field that may be null; `turn` is told when it is made or taken back. */
function nothing(field, value, isNew, turn) {
  if (!field.null) return { wasSet: false, isSet: () => false, set() {}, beside: (made) => made };
  const wasSet = value === null || (isNew && field.default == null);
  const label = `${field.name}: no value (null)`;
  const box = h("input", { type: "checkbox", checked: wasSet, "aria-label": label, onchange: () => turn(box.checked) });
  return {
    wasSet,
    isSet: () => box.checked,
    set: (isNone) => { box.checked = isNone; },
    beside(made) {
      made.element.append(h("label", { class: "nothing" }, box, " no value (null)"));
      return made;
    },
  };
}

/** A control of one of few values, which are told apart by their JSON. */
function chosen(field, value, isNew, about) {
  const options = (field.choices ?? [true, false]).map((each) => [write(each), plain(each)]);
  const isNone = isNew && field.null && field.default == null;
  if (value != null && !options.some(([each]) => each === write(value))) options.push([write(value), plain(value)]);
  if (field.null && !isNone) options.push(["null", "no value (null)"]);
  const atFirst = isNone ? "no value (null)" : field.default != null ? `${plain(field.default)}, unless chosen` : "choose…";
  if (value === undefined) options.unshift(["", isNew ? atFirst : "as it is"]);
  const begun = value === undefined ? "" : write(value);
  return control({ ...about, input: select(options, begun), read: (text) => (text === begun ? undefined : exact(text)) });
}

/** A control of a reference, whose record is searched for. */
function one(session, field, value, isNew, about) {
  let now = value ?? null;
  const label = () => (now ? called(session, field.to, now) : "");
  const { input, list, keep } = picker({
    session, namespace: field.to, begun: label(),
    pick(related) {
      now = related;
      none.set(false);
      return label();
    },
  });
  const none = nothing(field, value, isNew, (isNone) => keep(isNone ? "" : label()));
  function read() {
    if (none.isSet()) return none.wasSet ? undefined : null;
    return write(idOf(now)) === write(idOf(value ?? null)) ? undefined : idOf(now);
  }
  const made = control({ ...about, input, read });
  input.after(list);
  return none.beside(made);
}

/** A control of a list of references. */
function many(session, field, value = [], about) {
  const ids = (records) => write(records.map(idOf));
  const read = (records) => (ids(records) === ids(value) ? undefined : records.map(idOf));
  return control({ ...about, input: several({ session, field, records: value }), read });
}
