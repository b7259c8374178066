// What the audit finds of the keys, the gravest first, each with the command that mends it.

import { h } from "./dom.js";
import { badge, copy, count } from "./ui.js";

export const title = "Findings";

const KEYS = "system.ApiKey";
const SEVERITIES = { high: "bad", medium: "warning", low: "" };

export function offered(session) {
  return session.can("audit", KEYS);
}

export async function show({ session, signal }) {
  const { findings, notes } = await session.client.call(KEYS, "audit", null, {}, { signal });
  return [
    findings.length === 0 && h("p", { class: "empty" }, "Nothing to mend."),
    Object.keys(SEVERITIES).map((severity) => group(severity, findings.filter((one) => one.severity === severity))),
    notes.map((note) => h("p", { class: "help" }, note)),
  ];
}

function group(severity, found) {
  if (!found.length) return null;
  const kinds = Map.groupBy(found, ({ kind }) => kind);
  return [
    h("h2", {}, badge(severity, SEVERITIES[severity]), found.length === 1 ? " 1 finding" : ` ${count(found.length)} findings`),
    [...kinds.values()].map((all) => h("section", { class: "card" },
      h("h3", {}, all[0].means.replace(/^./, (first) => first.toUpperCase())), h("ul", { class: "plain" }, all.map(finding)))),
  ];
}

function finding({ key, address, reason, evidence, command }) {
  return h("li", { class: "mending" },
    h("p", {}, key ? h("a", { href: `#/keys/${key.public_id}` }, key.name) : h("code", {}, address), ": ", reason),
    h("pre", { tabindex: "0", "aria-label": "Command" }, command), copy(command, "Copy the command"));
}
