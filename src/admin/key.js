// One key: what it is and may do, what it was used for, and what is done to it.

import { COLOURS, chart } from "./chart.js";
import { h } from "./dom.js";
import { status } from "./entries.js";
import { audit, grave, offered as audits } from "./findings.js";
import { handOut, settingsForm } from "./key-form.js";
import { isWide } from "./permissions.js";
import { KEYS, LOG } from "./session.js";
import { badge, confirm, control, copy, count, later, moment, say, select, table } from "./ui.js";

const DAY = 86_400_000;
/** So long before its end a key is told of. */
export const SOON = 14 * DAY;

/** In badges, whether a key works, and whether it will for long. */
export function states(key, now = Date.now()) {
  if (key.revoked) return [badge("revoked", "bad")];
  if (key.disabled) return [badge("disabled", "bad")];
  const left = key.expires ? Date.parse(key.expires) - now : Infinity;
  if (left <= 0) return [badge("expired", "bad")];
  return [left < SOON ? badge("expires soon", "warning") : badge("active", "good"), !key.last_used && [" ", badge("never used")]];
}

/** Whether it is the key that is signed in. */
export function isOwn(session, key) {
  return key.public_id === session.me.public_id;
}

/** A key, by the public id of its secret. @throws {Refusal} */
async function find({ session, signal }, id) {
  return (await session.client.ask({ intent: "retrieveOne", namespace: KEYS, uniqueObject: { public_id: id } }, {}, { signal })).data;
}

/** All about one key. */
export async function showKey(place, id) {
  const { session, signal } = place;
  const key = await find(place, id);
  place.named(key.name);
  const [by] = key.created_by ? await session.client.list(KEYS, ["name"], { filter: { public_id: key.created_by } }, { signal }) : [];
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return [
    h("p", {}, h("a", { href: "#/keys" }, "All keys")),
    h("h2", {}, key.name, isOwn(session, key) && [" ", badge("this key")]),
    acts(place, key),
    h("dl", { class: "facts" },
      fact("State", states(key)),
      fact("Public id", [h("code", {}, key.public_id), " ", copy(key.public_id, "Copy the public id")]),
      fact("Permissions", key.permissions.length ? h("ul", { class: "plain" }, key.permissions.map((one) =>
        h("li", {}, h("code", {}, one), isWide([one]) && [" ", badge("everything", "warning")]))) : "none: it may do nothing"),
      fact("Made", [moment(key.created), by ? [" by ", h("a", { href: `#/keys/${key.created_by}` }, by.name)]
        : key.created_by ? [" by ", h("code", {}, key.created_by)] : " by the operator"]),
      fact("Expires", moment(key.expires)),
      key.disabled && fact("Disabled", moment(key.disabled)),
      key.revoked && fact("Revoked", moment(key.revoked)),
      fact("Requests a minute", key.rate == null ? "any number" : count(key.rate)),
      fact("Allowed addresses", key.allowed_ips?.join(", ") ?? "all"),
      fact("Last used", [moment(key.last_used), key.last_ip && ` from ${key.last_ip}`])),
    audits(session) && later(signal, () => findings(place, key)),
    session.may("read", LOG) && [h("h2", {}, "Use in the last 30 days"), later(signal, () => use(place, key))],
  ];
}

/** The buttons of what may be done to a key, each of which asks first. */
function acts(place, key) {
  const { session } = place;
  const own = isOwn(session, key) ? " You are signed in with this key, so this signs you out." : "";
  const target = { id: key.id };
  const button = (label, act, isGrave = false) => h("button", { type: "button", class: isGrave && "danger", onclick: act }, label);
  /** A button for a controller that asks for nothing more. */
  const simple = (intent, label, text, { isGrave = false, beside = {} } = {}) => session.can(intent, KEYS) && button(label, async () => {
    const act = () => session.client.call(KEYS, intent, target, beside);
    if (!await confirm({ title: `${label}: ${key.name}`, text, verb: label, danger: isGrave, act })) return;
    say(`${label}: done.`);
    place.again();
  }, isGrave);

  async function rotate() {
    const overlap = control({
      name: "overlap", label: "The old secret works on for", help: "Time to give the new one to all who use the key.",
      input: select([["", "no longer"], ["1h", "1 hour"], ["1d", "1 day"], ["7d", "7 days"]], "1d"), read: (text) => text || undefined,
    });
    const text = `The key gets a new secret; all else about it stays as it is.${own
      && " You are signed in with the old secret, and are signed out when that ends."}`;
    const act = (beside) => session.client.call(KEYS, "rotate", target, beside);
    const given = await confirm({ title: `Rotate: ${key.name}`, text, verb: "Rotate", danger: false, controls: [overlap], act });
    if (!given) return;
    if (own) session.me.public_id = given.public_id;
    handOut({ title: `New secret: ${key.name}`, given, done: () => place.go(`#/keys/${given.public_id}`) });
  }

  async function remove() {
    const act = async () => (await session.client.ask({ intent: "deleteOne", namespace: KEYS, uniqueObject: target })).message;
    const text = "It is refused from now on and leaves the list. What it did stays in the log, but nothing tells any more "
      + `whose it was: revoke it instead to keep that.${own}`;
    if (!await confirm({ title: `Delete: ${key.name}`, text, verb: "Delete", act })) return;
    say("Deleted.");
    place.go("#/keys");
  }

  const buttons = [
    ...(key.revoked ? [] : [
      session.may("update", KEYS) && h("a", { class: "button", href: `#/keys/${key.public_id}/edit` }, "Edit"),
      session.can("rotate", KEYS) && button("Rotate", rotate),
      simple("rotate", "End the old secret", `If a secret of before a rotation still works, it ends now. The newest one works on.${own
        && " If the old one is what you are signed in with, this signs you out."}`, { beside: { endOverlap: true } }),
      key.disabled
        ? simple("enable", "Enable", "It may again do all that it could before.")
        : simple("disable", "Disable", `It is refused until it is enabled again.${own}`, { isGrave: true }),
      simple("revoke", "Revoke", `It is refused for good: nobody can undo this. It stays in the list of all keys.${own}`, { isGrave: true }),
    ]),
    session.may("delete", KEYS) && button("Delete", remove, true),
  ].filter(Boolean);
  return buttons.length > 0 && h("div", { class: "buttons" }, buttons);
}

/** What the audit finds of a key. */
async function findings(place, key) {
  const own = (await audit(place)).filter((one) => one.key?.id === key.public_id);
  return own.length > 0 && h("section", { class: "card", "aria-label": "Findings" },
    h("h2", {}, h("a", { href: "#/findings" }, "Findings")),
    h("ul", { class: "plain" }, own.map((one) => h("li", {}, grave(one), " ", one.reason))));
}

/** What the usage log has of a key's secret: by day, by namespace, by address, and its last entries. */
async function use({ session, signal }, key) {
  const today = Math.floor(Date.now() / DAY) * DAY;
  const days = Array.from({ length: 30 }, (_, at) => today - (29 - at) * DAY);
  const of = { namespace: LOG, filter: { key: key.public_id, at__gte: new Date(days[0]).toISOString() } };
  const totals = {
    requests: { function: "Count" }, refused: { function: "Count", filter: { status__gte: 400 } }, last: { function: "Max", onField: "at" },
  };
  const group = (by, more) => [{ ...of, intent: "aggregate", groupBy: [by], ...more }, totals];
  const top = { ordering: ["-requests"], limit: 5 };
  const fields = Object.fromEntries(["at", "namespace", "intent", "status", "remote_addr"].map((name) => [name, null]));
  const [byDay, byNamespace, byAddress, entries] = (await session.client.batch([
    group("at__date"), group("namespace", top), group("remote_addr", top),
    [{ namespace: LOG, intent: "retrieve", filter: { key: key.public_id }, ordering: ["-at"], limit: 10, count: false }, fields],
  ], { signal })).map(({ data }) => data);
  const onDay = new Map(byDay.map((one) => [Date.parse(one.at__date), one]));
  const values = (name) => days.map((day) => onDay.get(day)?.[name] ?? 0);
  const figure = (title, name) => ({ title, isNumber: true, cell: (row) => count(row[name]) });
  const totalled = (caption, name, rows) => table({
    caption, rows,
    columns: [
      { title: caption, cell: (row) => row[name] ?? "none" },
      figure("Requests", "requests"), figure("Refused", "refused"), { title: "Last", cell: (row) => moment(row.last) },
    ],
  });
  return [
    chart({
      title: "Requests by day (UTC)", times: days, bars: true, show: count, signal,
      series: [
        { label: "Requests", values: values("requests"), colour: COLOURS.main },
        { label: "Refused", values: values("refused"), colour: COLOURS.bad },
      ],
    }),
    h("div", { class: "grid" }, totalled("Namespace", "namespace", byNamespace), totalled("Address", "remote_addr", byAddress)),
    h("h2", {}, "Last entries"),
    table({
      caption: "Last entries of the log", rows: entries, empty: "There are none of this secret.",
      columns: [
        { title: "Time", cell: (one) => moment(one.at) },
        { title: "Intent", cell: (one) => one.intent ?? "" },
        { title: "Namespace", cell: (one) => one.namespace ?? "" },
        { title: "Status", cell: (one) => status(one.status) },
        { title: "Address", cell: (one) => one.remote_addr ?? "" },
      ],
    }),
    h("p", {}, h("a", { href: `#/log?key=${encodeURIComponent(key.public_id)}` }, "All entries in the log")),
  ];
}

/** Changing what a key is called and may do. */
export async function changeKey(place, id) {
  const { session } = place;
  if (!session.may("update", KEYS)) return h("p", {}, "This key may not change keys.");
  const key = await find(place, id);
  place.named(`Edit ${key.name}`);
  const back = `#/keys/${key.public_id}`;
  async function submit(values) {
    if (Object.keys(values).length) {
      const meta = { intent: "update", namespace: KEYS, uniqueObject: { id: key.id } };
      say((await session.client.ask(meta, values)).message);
    }
    place.go(back);
  }
  return [
    h("h2", {}, "Edit ", key.name),
    settingsForm({ session, key, verb: "Save", submit, beside: h("a", { class: "button", href: back }, "Cancel") }),
  ];
}
