// The keys: which there are and what of them needs attention; making one. A single key is shown by key.js.

import { h } from "./dom.js";
import { audit, offered as audits } from "./findings.js";
import { SOON, changeKey, isOwn, showKey, states } from "./key.js";
import { handOut, settingsForm } from "./key-form.js";
import { WIDE_LISTS, inShort, isWide } from "./permissions.js";
import { KEYS } from "./session.js";
import { badge, count, later, moment, pages, select, table } from "./ui.js";

export const title = "Keys";

const SIZE = 25;

export function offered(session) {
  return session.may("read", KEYS) || session.may("create", KEYS);
}

export async function show(place) {
  const [id, what] = place.path;
  if (id === "new" || !place.session.may("read", KEYS)) return make(place);
  if (id) return what === "edit" ? changeKey(place, id) : showKey(place, id);
  return list(place);
}

/** What wants attention of a key that is usable, by the word that stands for it in the address. */
const REASONS = {
  soon: { label: "expires within 14 days", filter: () => ({ expires__lt: inMilliseconds(SOON) }) },
  endless: { label: "never expires", filter: () => ({ expires: null }) },
  unused: { label: "never used", filter: () => ({ last_used: null }) },
  wide: { label: "may do everything", filter: () => ({ permissions__in: WIDE_LISTS }) },
};

/** Which keys the list can show. */
const SHOWN = {
  usable: { label: "usable", filter: usable },
  all: { label: "all", filter: () => ({}) },
  attention: { label: "needs attention", filter: () => usable({ __or__: Object.values(REASONS).map(({ filter }) => filter()) }) },
  ...Object.fromEntries(Object.entries(REASONS).map(([word, { label, filter }]) =>
    [word, { label: `usable, ${label}`, filter: () => usable(filter()) }])),
};

/** The condition of keys that work, and of which `also` holds. */
function usable(also = {}) {
  return { revoked: null, disabled: null, __and__: [{ __or__: [{ expires: null }, { expires__gt: inMilliseconds(0) }] }, also] };
}

function inMilliseconds(number) {
  return new Date(Date.now() + number).toISOString();
}

/** The list, with what needs attention above it. */
async function list(place) {
  const { session, query, signal } = place;
  const word = query.get("name") ?? "";
  const which = Object.hasOwn(SHOWN, query.get("show")) ? query.get("show") : "usable";
  const offset = SIZE * (Math.max(1, parseInt(query.get("page"), 10) || 1) - 1);
  const named = word ? [{ __or__: [{ name__icontains: word }, { public_id: word }] }] : [];
  const of = { namespace: KEYS, intent: "retrieve" };
  const [{ data: keys, extras }, ...counts] = await session.client.batch([
    [{ ...of, filter: { __and__: [SHOWN[which].filter(), ...named] }, ordering: ["-id"], limit: SIZE, offset }],
    ...Object.keys(REASONS).map((reason) => [{ namespace: KEYS, intent: "count", filter: SHOWN[reason].filter() }]),
  ], { signal });
  const to = (changes) => address({ name: word, show: which, ...changes });
  return [
    session.may("create", KEYS) && h("p", {}, h("a", { class: "button primary", href: "#/keys/new" }, "Create a key")),
    attention(place, Object.keys(REASONS).map((reason, at) => [reason, counts[at].data.count])),
    search(place, word, which),
    table({
      caption: "Keys", rows: keys, empty: "There is no such key.",
      columns: [
        { title: "Name", cell: (key) => [h("a", { href: `#/keys/${key.public_id}` }, key.name), isOwn(session, key) && mark("this key")] },
        { title: "State", cell: (key) => states(key) },
        { title: "Permissions", cell: ({ permissions }) => [inShort(permissions), isWide(permissions) && mark("everything", "warning")] },
        { title: "Expires", cell: (key) => moment(key.expires) },
        { title: "Last used", cell: (key) => moment(key.last_used) },
      ],
    }),
    pages({ offset, shown: keys.length, total: extras.filtered, size: SIZE, turn: (at) => place.go(to({ page: at / SIZE + 1 })) }),
  ];
}

/** A badge behind a text. */
function mark(...words) {
  return [" ", badge(...words)];
}

/** Where the list is shown so. */
function address(values) {
  const told = Object.entries(values).filter(([name, value]) => value && !(name === "show" && value === "usable") && value !== 1);
  return told.length ? `#/keys?${new URLSearchParams(told)}` : "#/keys";
}

function search(place, word, which) {
  const name = h("input", { type: "search", value: word, maxlength: "100", autocomplete: "off" });
  const show = select(Object.entries(SHOWN).map(([value, { label }]) => [value, label]), which);
  function go(event) {
    event.preventDefault();
    place.go(address({ name: name.value.trim(), show: show.value }));
  }
  return h("form", { class: "bar", role: "search", onsubmit: go },
    h("label", {}, "Name", name), h("label", {}, "Which", show), h("button", { type: "submit" }, "Show"));
}

/** What needs attention, each with how many keys it is about; and what the audit finds, where the key may ask for it. */
function attention(place, counts) {
  const found = counts.filter(([, number]) => number > 0)
    .map(([reason, number]) => h("li", {}, h("a", { href: address({ show: reason }) }, `${REASONS[reason].label}: ${count(number)}`)));
  const audited = audits(place.session) && later(place.signal, async () => {
    const findings = await audit(place);
    const old = findings.filter(({ kind }) => kind.startsWith("old-secret")).length;
    return h("p", {}, h("a", { href: "#/findings" }, `Findings of the audit: ${count(findings.length)}`),
      old > 0 && `, of them old secrets: ${count(old)}`);
  });
  return h("section", { class: "card", "aria-label": "Needs attention" },
    h("h2", {}, "Needs attention"), found.length ? h("ul", { class: "marks" }, found) : h("p", {}, "Nothing."), audited);
}

/** Making a key, which shows its text once. */
function make(place) {
  const { session } = place;
  if (!session.may("create", KEYS)) return h("p", {}, "This key may not make keys.");
  async function submit(values) {
    const { data, message } = await session.client.ask({ intent: "create", namespace: KEYS }, values);
    const then = () => (session.may("read", KEYS) ? place.go(`#/keys/${data.public_id}`) : place.again());
    // Behind its first sentence stands which models that it may use are not there.
    const lacks = data.permissions.length ? "" : "It has no permissions: it may do nothing until it is given some.";
    const note = [message.split(". ").slice(1).join(". "), lacks].filter(Boolean).join(" ");
    handOut({ title: `New key: ${data.name}`, given: data, note, done: then });
  }
  const back = session.may("read", KEYS) && h("a", { class: "button", href: "#/keys" }, "Cancel");
  place.named("Create a key");
  return [h("h2", {}, "Create a key"), settingsForm({ session, verb: "Create the key", submit, beside: back })];
}
