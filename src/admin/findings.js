// What the audit finds of the keys, the gravest first, each with the command that mends it.

import { h } from "./dom.js";
import { KEYS } from "./session.js";
import { badge, copy, count } from "./ui.js";

export const title = "Findings";

const SEVERITIES = { high: "bad", medium: "warning", low: "" };

export function offered(session) {
  return session.can("audit", KEYS);
}

/** The findings in the order of `audit`, with what it says of them as `message`. @throws {Refusal} */
export async function audit({ session, signal }) {
  const { data, message } = await session.client.ask({ intent: "audit", namespace: KEYS, schema: "controller" }, {}, { signal });
  return Object.assign(data, { message });
}

/** A badge for how grave a finding is. */
export function grave({ severity }) {
  return badge(severity, SEVERITIES[severity]);
}

export async function show(place) {
  const findings = await audit(place);
  const bySeverity = Map.groupBy(findings, ({ severity }) => severity);
  return [
    findings.length === 0 && h("p", {}, "There is nothing to mend."),
    [...bySeverity.values()].map((all) => [
      h("h2", {}, grave(all[0]), all.length === 1 ? " 1 finding" : ` ${count(all.length)} findings`),
      [...Map.groupBy(all, ({ kind }) => kind).values()].map((some) => h("section", { class: "card" },
        h("h3", {}, some[0].means), h("ul", { class: "plain" }, some.map(finding)))),
    ]),
    h("p", { class: "help" }, findings.message),
  ];
}

function finding({ key, address, reason, evidence, command }) {
  const seen = Object.entries(evidence).map(([name, value]) => `${name.replaceAll("_", " ")}: ${[value].flat().join(", ")}`);
  return h("li", { class: "mending" },
    h("p", {}, key ? h("a", { href: `#/keys/${key.id}` }, key.name) : h("code", {}, address), ": ", reason),
    h("p", { class: "help" }, seen.join("; ")),
    h("pre", { tabindex: "0", role: "group", "aria-label": "The command that mends it" }, command), copy(command, "Copy the command"));
}
