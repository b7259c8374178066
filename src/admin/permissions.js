// Picking permissions: a matrix of models and actions, and the text that it makes; a change of the one changes the other.

import { h, unique } from "./dom.js";

const ACTIONS = ["create", "read", "update", "delete"];
const COLUMNS = [...ACTIONS, "*"];
/** What allows everything. */
const WIDE = ["*.*:*", "system.*:*"];

/** Whether one of `permissions` allows everything, to the records or to the server. */
export function isWide(permissions) {
  return permissions.some((one) => WIDE.includes(one));
}

/** The lists that allow everything and nothing else, as a filter can name them. */
export const WIDE_LISTS = [[WIDE[0]], [WIDE[1]], WIDE, WIDE.toReversed()];

/** Whether whoever holds the permissions `held` has all of `permission`, and so may give it: as the server looks at it. */
export function gives(held, permission) {
  const [models, action] = permission.split(":");
  const allows = (each) => held.some((one) => {
    const [scope, allowed] = one.split(":");
    return covers(scope, models) && (allowed === "*" || allowed === each);
  });
  return (action === "*" ? ACTIONS : [action]).every(allows);
}

/** Whether the models of `scope` (`tickets.Ticket`, `tickets.*`, `*.*`) are all those of `models`, or more. */
function covers(scope, models) {
  const app = models.split(".")[0];
  return scope === models || scope === `${app}.*` || (scope === "*.*" && app !== "system");
}

/** The permissions in a text with commas between them. */
function permissionsOf(text) {
  return text.split(",").map((one) => one.trim()).filter(Boolean);
}

/** Permissions in a few words. */
export function inShort(permissions) {
  const more = permissions.length - 2;
  return permissions.slice(0, more > 1 ? 2 : 3).join(", ") + (more > 1 ? ` and ${more} more` : "") || "none";
}

/** What `session` may give, by rows: `[models, in words, its columns]`. Those of an app stand behind it, the server's own last. */
function offered(session) {
  const { permissions } = session.me;
  const apps = Map.groupBy([...session.models.keys()].sort(), (namespace) => namespace.split(".")[0]);
  const names = [...apps.keys()].sort((one, other) => (one === "system") - (other === "system"));
  const rows = [["*.*", "every model", COLUMNS]];
  for (const app of names) {
    rows.push([`${app}.*`, app === "system" ? "all of the server’s own" : `every model of ${app}`, COLUMNS]);
    for (const namespace of apps.get(app)) {
      const { actions } = session.models.get(namespace);
      rows.push([namespace, "", actions.length === ACTIONS.length ? COLUMNS : actions]);
    }
  }
  const may = ([models, words, columns]) => [models, words, columns.filter((action) => gives(permissions, `${models}:${action}`))];
  return rows.map(may).filter(([, , columns]) => columns.length);
}

/** A fieldset that holds permissions, for `control`; at first those of `value`. Offered is only what `session` may give. */
export function permissionsInput(session, value = []) {
  const ids = { text: unique("permissions"), lacking: unique("lacking") };
  const lacking = h("p", { class: "error", id: ids.lacking, role: "status" });
  const text = h("textarea", {
    class: "code", id: ids.text, rows: "3", spellcheck: "false", autocapitalize: "off", autocomplete: "off",
    "aria-describedby": ids.lacking, oninput: show,
  });
  text.value = value.join(",");
  const boxes = new Map();

  function box(models, action) {
    const permission = `${models}:${action}`;
    const input = h("input", { type: "checkbox", "aria-label": permission, onchange: () => toggle(permission, input.checked) });
    boxes.set(permission, input);
    return h("label", {}, input);
  }

  /** Writes a permission into the text, in place of those that it holds already; or takes it out. */
  function toggle(permission, wanted) {
    const others = permissionsOf(text.value).filter((one) => one !== permission && !(wanted && gives([permission], one)));
    text.value = (wanted ? [...others, permission] : others).join(",");
    show();
  }

  /** Has the boxes show what the text says. What a wider permission gives is ticked and cannot be taken out by itself. */
  function show() {
    const held = permissionsOf(text.value);
    for (const [permission, input] of boxes) {
      const isHeld = held.includes(permission);
      const wider = held.find((one) => one !== permission && gives([one], permission));
      input.checked = isHeld || wider !== undefined;
      input.disabled = !isHeld && wider !== undefined;
      input.title = wider ? `given by ${wider}` : "";
    }
    const beyond = held.filter((one) => /^[^:]+:[^:]+$/.test(one) && !gives(session.me.permissions, one));
    lacking.textContent = beyond.length ? `This key cannot give ${beyond.join(", ")}.` : "";
  }

  const heads = COLUMNS.map((action) => h("th", { scope: "col" }, action === "*" ? "all" : action));
  const rows = offered(session).map(([models, words, columns]) => h("tr", { class: words && "app" },
    h("th", { scope: "row" }, words && `${words} `, h("code", {}, models)),
    COLUMNS.map((action) => h("td", {}, columns.includes(action) && box(models, action)))));
  const matrix = h("div", { class: "scroll matrix", role: "region", "aria-label": "Models and actions", tabindex: "0" },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Model"), heads)), h("tbody", {}, rows)));
  show();
  const input = h("fieldset", {}, rows.length > 0 && matrix, h("label", { for: ids.text }, "As text"), text, lacking);
  return Object.assign(input, { gather: () => permissionsOf(text.value), focus: () => text.focus() });
}
