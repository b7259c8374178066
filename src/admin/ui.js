// What the views are built of: forms with the server's messages at their fields, tables, dialogs, and what is said aloud.

import { h, nodes, unique } from "./dom.js";
import { Refusal } from "./jql.js";

/** Says `text` to those who listen, and shows it for a while: in the dialog, where one is open, as nothing else can be heard then. */
export function say(text) {
  const said = [...document.querySelectorAll("dialog[open] > .said")].at(-1) ?? document.getElementById("said");
  said.textContent = text;
  clearTimeout(said.over);
  said.over = setTimeout(() => said.replaceChildren(), 8000);
}

/** What the server refused, each mistake with its hint. */
export function refused(error) {
  if (!(error instanceof Refusal)) console.error(error);
  const errors = error instanceof Refusal ? error.errors : [{ errorMessage: "Something went wrong in this page.", hint: String(error) }];
  return h("div", { class: "refused", role: "alert", tabindex: "-1" }, errors.map(mistake));
}

function mistake({ errorMessage, pointer, hint }) {
  const said = hint ? errorMessage.replace(/\.$/, "") : errorMessage;
  return h("p", {}, said, hint && ["; ", h("span", { class: "hint" }, hint)], pointer && h("code", {}, pointer));
}

/**
 * A labelled control of a form. `input` is an element that has a value, or a fieldset of several, with functions `gather()` and `focus()`.
 * `read` makes of its text what is sent; undefined is not sent. A pointer of the server into `name` leads its message here.
 */
export function control({ name, label, input, help, required = false, autofocus = false, read = (text) => text }) {
  const ids = { input: unique(name), help: unique("help"), error: unique("error") };
  const error = h("p", { class: "error", id: ids.error, hidden: true });
  const isGroup = input instanceof HTMLFieldSetElement;
  const isCheck = input.type === "checkbox";
  input.id ||= ids.input;
  if (required && !isGroup && !isCheck) input.required = true;
  if (autofocus) input.autofocus = true;
  input.setAttribute("aria-describedby", [help && ids.help, ids.error].filter(Boolean).join(" "));
  const mark = required && !isCheck ? h("span", { class: "required" }, " (required)") : null;
  const title = isGroup ? h("legend", {}, label, mark) : h("label", { for: input.id }, label, mark);
  if (isGroup) input.prepend(title);
  const about = help && h("p", { class: "help", id: ids.help }, help);
  const element = h("div", { class: isCheck ? "control check" : "control" },
    isCheck ? [input, title] : isGroup ? input : [title, input], about, error);
  return {
    name, element, input,
    read: () => read(isGroup ? input.gather() : isCheck ? input.checked : input.value),
    /** Shows a mistake here; none takes it away. */
    fail(message) {
      error.textContent = message ?? "";
      error.hidden = !message;
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

/**
 * A form. `submit` gets what the controls hold, by name; what it throws is shown, each of the server's mistakes at the control
 * that it points to, and the first of them has the focus. What stands `beside` the button may be a button that cancels.
 */
export function form({ controls, verb, submit, danger = false, beside = [], label }) {
  const above = h("div", {});
  const button = h("button", { type: "submit", class: danger ? "danger" : "primary" }, verb);
  async function send(event) {
    event.preventDefault();
    above.replaceChildren();
    controls.forEach((one) => one.fail(null));
    const held = document.activeElement;
    button.disabled = true;
    try {
      await submit(Object.fromEntries(controls.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined)));
    } catch (error) {
      if (error.name !== "AbortError") place(error);
    } finally {
      button.disabled = false;
      if (document.activeElement === document.body) held.focus(); // which a button loses when it is disabled
    }
  }
  function place(error) {
    const rest = [];
    let first = null;
    for (const one of error instanceof Refusal ? error.errors : []) {
      const at = controls.find(({ name }) => one.pointer === `/${name}` || one.pointer?.startsWith(`/${name}/`));
      if (!at) rest.push(one);
      else at.fail([one.errorMessage, one.hint].filter(Boolean).join("; "));
      first ??= at;
    }
    if (!first || rest.length) above.replaceChildren(refused(rest.length ? new Refusal(error.status, rest) : error));
    if (first) first.input.focus();
    else above.firstChild.focus();
  }
  return h("form", { onsubmit: send, "aria-label": label },
    above, controls.map((one) => one.element), h("div", { class: "buttons" }, button, beside));
}

/** A place for what `work` promises, which says so until it is there. What it throws is shown. */
export function later(signal, work) {
  const place = h("div", { "aria-busy": "true" }, h("p", { class: "empty" }, "Loading …"));
  const fill = (...content) => {
    place.replaceChildren(...nodes(content));
    place.removeAttribute("aria-busy");
  };
  work().then(fill, (error) => signal.aborted || fill(refused(error)));
  return place;
}

/** One of several values: `options` are values, or `[value, label]`. */
export function select(options, value, properties = {}) {
  const all = options.map((one) => (Array.isArray(one) ? one : [one, one]));
  return h("select", properties, all.map(([each, label]) => h("option", { value: each, selected: each === value }, label)));
}

/**
 * A table that scrolls by itself where it is too wide. A column has a `title`, and `cell(row)`, a text or an element; `isNumber` has it on
 * the right, and `sort` is ascending or descending where the rows are in its order. The first column names the row.
 */
export function table({ caption, columns, rows, empty = "None." }) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const side = (column) => ({ class: column.isNumber && "number" });
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) =>
        h("th", { scope: "col", "aria-sort": column.sort, ...side(column) }, column.title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column, number) =>
        h(number ? "td" : "th", { scope: number ? null : "row", ...side(column) }, column.cell(row))))))));
}

/**
 * A dialog with `content`, open until `close()` is called or Escape pressed; the focus returns to where it was. `done` is called then.
 * One that `isKept` is not closed by Escape.
 */
export function dialog({ title, content, done, isKept = false }) {
  const heading = unique("dialog");
  const element = h("dialog", { "aria-labelledby": heading }, h("h2", { id: heading }, title), content, h("p", { class: "said", role: "status" }));
  const before = document.activeElement;
  if (isKept) element.addEventListener("cancel", (event) => event.preventDefault());
  element.addEventListener("close", () => {
    element.remove();
    before?.focus();
    done?.();
  });
  document.body.append(element);
  element.showModal();
  return { element, close: () => element.close() };
}

/**
 * Asks before something that cannot be undone, or is not meant to be done by mistake. `act` does it, and what it throws is shown in the dialog.
 * Gives what `act` gave, or undefined if it was not done.
 */
export function confirm({ title, text, verb, danger = true, controls = [], act }) {
  return new Promise((done) => {
    let outcome; // a promise, once it was begun: who closes the dialog meanwhile still hears of it
    const told = (error) => { say(error.message); };
    const asked = dialog({ title, done: () => done(outcome?.catch(told)), content: [
      h("p", {}, text),
      form({
        controls, verb, danger,
        submit: async (values) => {
          outcome = Promise.resolve(act(values));
          try {
            await outcome;
          } catch (error) {
            if (asked.element.open) outcome = undefined;
            throw error;
          }
          asked.close();
        },
        beside: h("button", { type: "button", autofocus: true, onclick: () => asked.close() }, "Cancel"),
      }),
    ] });
  });
}

/** A button that copies `text`, and says so. */
export function copy(text, label = "Copy") {
  async function take() {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      say("Copied.");
    } catch {
      say("This browser does not let the page copy: select the text instead.");
    }
  }
  return h("button", { type: "button", onclick: take }, label);
}

/** A moment as the server tells it, in this place's time; without one, `or`. */
export function moment(text, or = "never") {
  if (!text) return or;
  const at = new Date(text);
  const shown = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return h("time", { datetime: text, title: text }, shown);
}

/** A mark with a word in it; `kind` is good, bad, warning, or nothing. */
export function badge(word, kind = "") {
  return h("span", { class: `badge ${kind}` }, word);
}

/** A number with its thousands parted. */
export function count(number) {
  return number.toLocaleString("en-GB");
}

/** The buttons between the pages of a list. `shown` is how many records this one has, `total` may be null. */
export function pages({ offset, shown, total, turn, size }) {
  const button = (label, to, may) => h("button", { type: "button", disabled: !may, onclick: () => turn(to) }, label);
  const all = total == null ? "" : ` of ${count(total)}`;
  const more = total == null ? shown === size : offset + shown < total;
  return h("nav", { class: "pages", "aria-label": "Pages" },
    button("Previous", Math.max(0, offset - size), offset > 0),
    h("span", {}, shown ? `${count(offset + 1)} to ${count(offset + shown)}${all}` : "none"),
    button("Next", offset + size, more));
}

/**
 * A checkbox that has `work` done at once and every so many seconds, as long as it is ticked and the tab is seen, until `signal`
 * aborts. It is unticked where `work` says that it did not go well.
 */
export function repeating({ label, seconds, work, signal }) {
  const input = h("input", { type: "checkbox", onchange: turn });
  let next;
  let isBusy = false;
  async function turn() {
    clearTimeout(next);
    if (isBusy || !input.checked || document.hidden || signal.aborted) return;
    isBusy = true;
    if (!await work()) input.checked = false;
    isBusy = false;
    next = setTimeout(turn, seconds * 1000);
  }
  document.addEventListener("visibilitychange", turn, { signal });
  return control({ name: "repeating", label, input }).element;
}
