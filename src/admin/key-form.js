// The settings of a key as a form, for a new key or for one that is changed; and its text, which is shown once.

import { h } from "./dom.js";
import { permissionsInput } from "./permissions.js";
import { control, copy, dialog, form, moment, say, select } from "./ui.js";

const DAY = 86_400_000;

/**
 * A form with the settings of a key. `submit` gets all of them for a new key, and those that differ from `key`'s for one that there is.
 * What bounds the key that is signed in bounds them too.
 */
export function settingsForm({ session, key, verb, submit, beside }) {
  const { me } = session;
  const controls = [
    control({
      name: "name", label: "Name", required: true, help: "What it is for, or who has it.",
      input: h("input", { value: key?.name, maxlength: "100", autocomplete: "off" }),
    }),
    control({
      name: "permissions", label: "Permissions", input: permissionsInput(session, key?.permissions),
      help: "As few as will do. The list offers what the key may give that you are signed in with.",
    }),
    control({ name: "expires", label: "Expires", input: endInput(key, me.expires) }),
    control({
      name: "rate", label: "Requests a minute", required: me.rate != null,
      help: me.rate == null ? "Empty: any number." : `At most ${me.rate}, as your own key.`,
      input: h("input", { type: "number", min: "1", max: me.rate, step: "1", value: (key ?? me).rate }),
      read: (text) => (text === "" ? null : Number(text)),
    }),
    control({
      name: "allowed_ips", label: "Allowed addresses", required: me.allowed_ips != null,
      help: me.allowed_ips == null ? "Networks such as 10.0.0.0/8, or addresses, with commas between. Empty: from anywhere."
        : `Within ${me.allowed_ips.join(", ")}, as your own key.`,
      input: h("input", { value: (key ?? me).allowed_ips?.join(", "), autocomplete: "off", autocapitalize: "off", spellcheck: "false" }),
      read: networks,
    }),
  ];
  const differs = ([name, value]) => !key || JSON.stringify(value) !== JSON.stringify(key[name]);
  return h("div", { class: "settings" }, form({
    controls, verb, beside,
    submit: (values) => submit(Object.fromEntries(Object.entries(values).filter(differs))),
  }));
}

function networks(text) {
  const all = text.split(/[\s,]+/).filter(Boolean);
  return all.length ? all : null;
}

/** A fieldset that says when a key expires, for `control`; no later than `latest`, where there is that. */
function endInput(key, latest) {
  const at = (moment) => (latest && moment > latest ? latest : moment);
  const inDays = (days) => new Date(Date.now() + days * DAY).toISOString();
  const spans = [[30, "in 30 days"], [90, "in 90 days"], [365, "in a year"]].filter(([days]) => at(inDays(days)) !== latest);
  const options = [
    key && ["kept", "as it is", () => undefined],
    ...spans.map(([days, label]) => [String(days), label, () => inDays(days)]),
    latest && ["latest", "with your own key", () => latest],
    ["date", "on a date", () => at(new Date(`${date.value}T23:59:59`).toISOString())],
    !latest && ["never", "never", () => null],
  ].filter(Boolean);
  const first = ["kept", "90", "latest"].find((value) => options.some(([each]) => each === value));
  const choice = select(options, first, { "aria-label": "When it expires", onchange: show });
  const date = h("input", { type: "date", min: inDays(0).slice(0, 10), max: latest?.slice(0, 10) });
  const day = h("label", {}, "The last day", date);
  const warning = h("p", { class: "warning" },
    "A key that never expires works until somebody ends it, in whoever’s hands it then is.");
  function show() {
    day.hidden = choice.value !== "date";
    date.required = !day.hidden;
    warning.hidden = choice.value !== "never";
  }
  show();
  const input = h("fieldset", {}, key && h("p", { class: "help" }, "As it is: ", moment(key.expires)), choice, day,
    h("div", { role: "status" }, warning));
  const gather = () => options.find(([value]) => value === choice.value)[2]();
  return Object.assign(input, { gather, focus: () => choice.focus() });
}

/**
 * Shows the text of a key, this once. `given` is what the server answered, `note` what is to be said besides; `done` is called
 * when it is closed.
 */
export function handOut({ title, given, note, done }) {
  const object = JSON.stringify({ key: given.key, permissions: given.permissions });
  const field = (label, input, text) => h("div", { class: "control" },
    h("label", {}, label, input), h("div", { class: "buttons" }, copy(() => text, `Copy ${label.toLowerCase()}`)));
  const shown = dialog({
    title,
    content: [
      h("p", { class: "warning" },
        "This is shown only now: the server keeps no more than a hash of it. Whoever has it may do all that the key may."),
      note && h("p", {}, note),
      field("The key", h("input", { class: "code", readonly: true, value: given.key, autofocus: true, onfocus: all }), given.key),
      field("The object to hand out", h("textarea", { class: "code", readonly: true, rows: "4", onfocus: all }, object), object),
      h("div", { class: "buttons" }, h("button", { type: "button", class: "primary", onclick: () => shown.close() }, "Done")),
    ],
    isKept: true,
    done: () => {
      say("The text of the key is no longer in this page.");
      done();
    },
  });
}

/** Selects all of a field, so that it can be copied by hand. */
function all(event) {
  event.target.select();
}
