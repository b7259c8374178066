// Signing in with a key.

import { h } from "./dom.js";
import { Session } from "./session.js";
import { control, form } from "./ui.js";

/** The form; calls `begin` with the session. */
export function signIn(begin) {
  const key = control({
    name: "key", label: "API key", required: true, autofocus: true,
    help: "It is kept in this tab's memory, and nowhere else: reloading the page signs you out.",
    input: h("input", { type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "off", placeholder: "jql_…" }),
  });
  return h("div", { class: "narrow" },
    form({
      controls: [key], verb: "Sign in",
      submit: async ({ key }) => begin(await Session.begin(meant(key))),
    }),
    h("p", { class: "help" }, "The first key is made by ", h("code", {}, "jqlite bootstrap"), " or ", h("code", {}, "jqlite quickstart"), "; a lost one is replaced by ",
      h("code", {}, "jqlite keys create"), "."));
}

/** The key in what was typed, which may have been cut out of a header or a command. */
function meant(text) {
  return text.trim().replace(/^Bearer\s+/i, "").replace(/['"]$/, "");
}
