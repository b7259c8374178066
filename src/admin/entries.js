// Entries of the usage log: which of them an address asks for, and how what stands in them is shown.

import { h } from "./dom.js";
import { KEYS } from "./session.js";
import { badge } from "./ui.js";
import { changed, within, wrong } from "./span.js";

/** What entries are told apart by: the name in the address, the field, and in words. */
export const KINDS = [
  ["key", "key", "Key"], ["namespace", "namespace", "Namespace"], ["intent", "intent", "Intent"], ["code", "code", "Error"],
  ["address", "remote_addr", "Address"], ["request_id", "request_id", "Request id"],
];

/** What the control is called that leaves out the entries of the page itself, `without` in the address. */
export const WITHOUT = "Leave out my own requests";

/** The word in an address for entries where there is none. */
export const NONE = "none";

/**
 * What narrows a request to the entries that an address asks for within a span.
 *
 * @throws {Refusal}
 */
export function narrowed(session, query, span) {
  const filter = within(span);
  for (const [name, field] of KINDS) {
    const value = query.get(name);
    if (value) filter[field] = value === NONE ? null : value;
  }
  const slower = query.get("slower");
  if (slower) {
    if (!(Number(slower) >= 0)) throw wrong(`“${slower}” is no number of milliseconds`);
    filter.duration_us__gt = Math.round(Number(slower) * 1000);
  }
  Object.assign(filter, statuses(query.get("status")));
  return { filter, ...(query.has("without") && { exclude: { key: session.secret } }) };
}

export const STATUS = "[1-5][0-9][0-9]|[1-5]xx|refused";

function statuses(text) {
  if (!text) return {};
  if (!new RegExp(`^(${STATUS})$`).test(text)) throw wrong(`there is no status “${text}”`, "write a number, 4xx, 5xx, or refused");
  if (text === "refused") return { status__gte: 400 };
  const first = Number(text[0]) * 100;
  return text.endsWith("xx") ? { status__gte: first, status__lt: first + 100 } : { status: Number(text) };
}

/** What an address asks for beside the span, each with a link to the same without it. */
export function asked(query, view) {
  const names = [...KINDS.map(([name, , words]) => [name, words]), ["status", "Status"], ["slower", "Slower than (ms)"]];
  const all = names.filter(([name]) => query.get(name)).map(([name, words]) => h("li", {}, `${words}: `, h("b", {}, query.get(name)), " ",
    h("a", { href: `#/${view}?${changed(query, { [name]: null })}`, "aria-label": `all, not only this ${words.toLowerCase()}` }, "all")));
  return all.length ? h("ul", { class: "asked", "aria-label": "Only these entries" }, all) : null;
}

const WORDS = {
  400: "malformed", 401: "not signed in", 403: "refused", 404: "not found", 405: "wrong method", 408: "too slow", 409: "conflict",
  413: "too large", 415: "not JSON", 429: "too many", 500: "failed", 503: "unavailable",
};

/** A status, with a word. */
export function status(number) {
  const word = WORDS[number] ?? (number < 400 ? "ok" : number < 500 ? "refused" : "failed");
  return badge(`${number} ${word}`, number < 400 ? "good" : number < 500 ? "warning" : "bad");
}

/** Microseconds as milliseconds; a dash for none. */
export function ms(duration) {
  if (duration == null) return "–";
  return (Number(duration) / 1000).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** Names of keys by their public ids, as far as this key may read them; each is asked for once. */
export class Names {
  #session;
  #names = new Map();

  constructor(session) {
    this.#session = session;
  }

  /** Learns those of `ids` that are not known yet. */
  async learn(ids, options) {
    const unknown = [...new Set(ids)].filter((id) => id && !this.#names.has(id));
    if (!unknown.length || !this.#session.may("read", KEYS)) return;
    const meta = { filter: { public_id__in: unknown }, limit: unknown.length, count: false };
    const keys = await this.#session.client.list(KEYS, ["public_id", "name"], meta, options);
    unknown.forEach((id) => this.#names.set(id, null));
    keys.forEach((key) => this.#names.set(key.public_id, key.name));
  }

  /** The name of a key, or its id where that is not known. */
  text(id) {
    return id == null ? "no known key" : this.#names.get(id) ?? id;
  }

  /** The same, as a link to the key where there is one to see. */
  link(id) {
    return this.#names.get(id) == null ? this.text(id) : h("a", { href: `#/keys/${encodeURIComponent(id)}`, title: id }, this.text(id));
  }
}
