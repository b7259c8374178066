// A JSON value as a folded tree. What is folded is built when it is opened, and long lists in steps.

import { h } from "./dom.js";
import { count } from "./ui.js";

const STEP = 100;
/** Of lists longer than this, the items begin folded. */
const MANY = 20;

/** `value` as a tree, its first levels open. */
export function tree(value) {
  return h("ul", { class: "tree" }, entry("", value, 3));
}

/** A member by its name; `levels` of what is in it are open. */
function entry(name, value, levels) {
  const key = name !== "" && h("span", { class: "key" }, name);
  const members = value && typeof value === "object" ? Object.entries(value) : [];
  if (!members.length) return h("li", {}, key, plain(value));
  const isList = Array.isArray(value);
  const many = `${count(members.length)} ${isList ? "item" : "member"}${members.length === 1 ? "" : "s"}`;
  const inner = h("ul", {});
  const details = h("details", { open: levels > 0 },
    h("summary", {}, key, h("span", { class: "hint" }, many, !isList && glance(members))), inner);
  const fill = () => inner.children.length || more(inner, members, members.length > MANY ? 0 : levels - 1);
  details.addEventListener("toggle", fill);
  if (details.open) fill();
  return h("li", {}, details);
}

/** Adds the next members to `list`, and a button for those that follow. */
function more(list, members, levels) {
  const shown = list.children.length;
  list.append(...members.slice(shown, shown + STEP).map(([name, value]) => entry(name, value, levels)));
  const left = members.length - shown - STEP;
  if (left <= 0) return;
  const next = h("li", {}, h("button", { type: "button", onclick: () => {
    next.remove();
    more(list, members, levels);
    list.children[shown + STEP].tabIndex = -1;
    list.children[shown + STEP].focus();
  } }, `Show ${count(Math.min(STEP, left))} more of ${count(left)}`));
  list.append(next);
}

function plain(value) {
  const kind = typeof value === "bigint" ? "number" : typeof value;
  const empty = Array.isArray(value) ? "[]" : "{}";
  return h("span", { class: kind }, kind === "object" && value ? empty : String(value));
}

/** The first plain values of an object, to know it by while it is folded. */
function glance(members) {
  const some = members.filter(([, value]) => value !== null && typeof value !== "object").slice(0, 3);
  const text = some.map(([name, value]) => `${name} ${value}`).join(", ");
  return h("span", { class: "glance" }, text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
