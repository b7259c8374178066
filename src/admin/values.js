// What records hold: how it is asked for, and how a value of each type is shown.

import { h } from "./dom.js";
import { exact, write } from "./jql.js";
import { moment } from "./ui.js";

/** The envelope of a request, as the client's `ask` gives it, but with exact numbers. */
export async function ask(session, meta, beside = {}, options = {}) {
  return (await session.client.send(write({ __meta__: meta, ...beside }), { ...options, parse: exact })).envelope;
}

/** A value as a text. */
export function plain(value) {
  return typeof value === "string" ? value : write(value);
}

/** The address of a record. */
export function address(namespace, id) {
  return `#/records/${namespace}/${encodeURIComponent(plain(id))}`;
}

/** The address of the records that a filter leaves. */
export function filtered(namespace, filter) {
  return `#/records/${namespace}?${new URLSearchParams({ filter: write(filter) })}`;
}

/** The field that a path leads to; undefined where there is none, or the key may not go there. */
export function resolve(session, namespace, path) {
  let at = { to: namespace };
  for (const name of path.split("__")) {
    if (at.type === "json") at = { type: "json", isInside: true };
    else if (at.to) at = within(session.models.get(at.to), name);
    else at = session.language.parts[at.type]?.includes(name) && { type: name === "date" ? "date" : "integer" };
    if (!at) return undefined;
  }
  return at;
}

function within(model, name) {
  const back = model.reverse.find((one) => one.name === name);
  const field = model.fields.find((one) => one.name === (name === "pk" ? "id" : name) || (one.type === "ref" && `${one.name}_id` === name));
  return field ?? (back && { type: "refs", to: back.from });
}

/** The lookups that go with what a path leads to. */
export function lookups(session, at) {
  const of = session.language.lookups;
  if (/^refs?$/.test(at?.type)) return of.integer;
  return (!at?.isInside && of[at?.type]) || [...new Set(Object.values(of).flat())];
}

/** The order in which the records of a model come: its own, as far as that does not lead where the key may not read. */
export function ordering(model) {
  return model.ordering.length ? model.ordering : ["id"];
}

/** The field by which people know the records of a model, its first short text; null where there is none, or none may be read. */
export function naming(session, namespace) {
  if (!session.may("read", namespace)) return null;
  const { fields } = session.models.get(namespace);
  return (fields.find(({ type }) => type === "string") ?? fields.find(({ type }) => type === "text"))?.name ?? null;
}

const FEW = 5;
const beginning = { __transform__: { truncate: { length: 200 } } };

/** What asks for a field: with a reference comes what its record is called. In a list, long texts and lists are cut. */
export function asking(session, field, isList = false) {
  if (!field.to) return isList && (field.type === "text" || field.type === "string") ? beginning : null;
  const name = naming(session, field.to);
  return { ...(field.type === "refs" && isList && { __meta__: { limit: FEW + 1 } }), id: null, ...(name && { [name]: beginning }) };
}

/** The id in what a reference was answered with. */
export function idOf(related) {
  return related?.id ?? related;
}

/** What a related record is called. */
export function called(session, namespace, related) {
  return related?.[naming(session, namespace)]?.trim() || plain(idOf(related));
}

/** A value of a field, to look at. In a list, what is long is shortened. */
export function shown(session, field, value, isList = false) {
  if (value === null) return muted("null");
  if (field.type === "ref") return link(session, field.to, value);
  if (field.type === "refs") return links(session, field.to, value, isList ? FEW : value.length);
  if (field.type === "json") return json(value, isList);
  if (field.type === "datetime") return moment(value);
  if (field.type === "time") return value.replace(/\.?0+$/, "");
  if (value === "") return muted("empty text");
  return isList || typeof value !== "string" ? plain(value) : h("span", { class: "long" }, value);
}

function muted(word) {
  return h("span", { class: "none" }, word);
}

function links(session, namespace, records, most) {
  if (!records.length) return muted("none");
  const parts = records.slice(0, most).flatMap((one, number) => [number > 0 && ", ", link(session, namespace, one)]);
  return [parts, records.length > most && ", …"];
}

function link(session, namespace, related) {
  const id = idOf(related);
  if (id === related) return plain(id);
  return h("a", { href: address(namespace, id), title: `${namespace} ${plain(id)}` }, called(session, namespace, related));
}

function json(value, isList) {
  const text = write(value);
  if (text.length <= 40) return h("code", {}, text);
  return h("details", { open: !isList }, h("summary", {}, h("code", {}, `${text.slice(0, 40)}…`)), h("pre", {}, write(value, 2)));
}
