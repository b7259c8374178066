// How related records are found and chosen: a combobox that searches the records of a model, and a list of several of them.

import { h, unique } from "./dom.js";
import { ask, asking, called, idOf, naming, ordering, plain } from "./values.js";

const FOUND = 20;

/**
 * A combobox. `pick` gets the record that was chosen and gives the text that then stands in the input; what is typed and not chosen is
 * taken back. The list stands behind the input.
 */
export function picker({ session, namespace, begun = "", pick, label }) {
  const list = h("ul", { id: unique("found"), class: "found", role: "listbox", "aria-label": `Records of ${namespace}`, hidden: true });
  const input = h("input", {
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id, "aria-label": label,
    autocomplete: "off", spellcheck: "false", value: begun, oninput: () => later(), onkeydown, onblur: close, onclick: () => find(),
  });
  let records = [];
  let at = -1;
  let kept = begun;
  let waits = 0;
  let search = new AbortController();

  /** Waits for a pause in the typing. */
  function later() {
    clearTimeout(waits);
    waits = setTimeout(find, 150);
  }

  async function find() {
    search.abort();
    search = new AbortController();
    const { signal } = search;
    try {
      const meta = { ...meant(session, namespace, input.value === kept ? "" : input.value.trim()), limit: FOUND, count: false };
      records = (await ask(session, meta, asking(session, { to: namespace }), { signal })).data;
      offer();
    } catch (error) {
      if (signal.aborted) return;
      records = [];
      offer(error.message);
    }
  }

  function offer(problem) {
    const options = problem ? [] : records.map((record, number) => h("li", {
      id: unique("option"), role: "option",
      onmousedown: (event) => event.preventDefault(), onclick: () => take(number),
    }, called(session, namespace, record), h("span", { class: "help" }, ` ${plain(record.id)}`)));
    const none = h("li", { role: "option", "aria-disabled": "true", class: "help" }, problem ?? "Nothing found.");
    list.replaceChildren(...(options.length ? options : [none]));
    list.hidden = document.activeElement !== input;
    input.setAttribute("aria-expanded", String(!list.hidden));
    at = -1;
    input.removeAttribute("aria-activedescendant");
  }

  function move(step) {
    if (!records.length) return;
    list.children[at]?.removeAttribute("aria-selected");
    at = (at + step + records.length) % records.length;
    const option = list.children[at];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  }

  function take(number) {
    kept = pick(records[number]);
    close();
  }

  function onkeydown(event) {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (isOpen) move(event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1);
      else find();
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      if (at >= 0) take(at);
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      event.preventDefault();
      close();
    }
  }

  function close() {
    clearTimeout(waits);
    search.abort();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.value = kept;
  }

  /** Puts another text in the place of what was chosen. */
  function keep(text) {
    kept = text;
    close();
  }
  return { input, list, keep };
}

/** The records that a text may mean: the one of that id, or those in which its words occur. */
function meant(session, namespace, text) {
  const model = session.models.get(namespace);
  const name = naming(session, namespace);
  const isId = model.fields.find((field) => field.name === "id").type === "uuid" ? /^[0-9a-f-]{32,36}$/i : /^\d{1,18}$/;
  const meta = { intent: "retrieve", namespace, ordering: ordering(model) };
  if (!text) return meta;
  if (isId.test(text)) return { ...meta, filter: { __or__: [{ id: text }, ...(name ? [{ [`${name}__icontains`]: text }] : [])] } };
  return { ...meta, search: { value: text } };
}

/** A group in which records are added to a list and taken out; or, where they may not be read, their ids are written. */
export function several({ session, field, records }) {
  let now = [...records];
  if (!field.to) {
    const before = now.map((one) => plain(idOf(one))).join(", ");
    const ids = h("input", { autocomplete: "off", "aria-label": `${field.name}: ids, commas between them`, value: before });
    const group = h("fieldset", {}, ids);
    group.gather = () => (ids.value === before ? now : ids.value.split(",").map((id) => id.trim()).filter(Boolean));
    group.focus = () => ids.focus();
    return group;
  }
  const items = h("ul", { class: "several" });
  const { input, list } = picker({
    session, namespace: field.to, label: `Add to ${field.name}`,
    pick(record) {
      if (!now.some((one) => plain(one.id) === plain(record.id))) now.push(record);
      fill();
      return "";
    },
  });
  input.placeholder = "Add…";
  function fill() {
    items.replaceChildren(...now.map((one) => {
      const name = called(session, field.to, one);
      const remove = () => {
        now = now.filter((other) => other !== one);
        fill();
        input.focus();
      };
      const label = `Remove ${name} from ${field.name}`;
      return h("li", {}, name, h("button", { type: "button", class: "plain", "aria-label": label, onclick: remove }, "Remove"));
    }));
  }
  fill();
  const group = h("fieldset", {}, items, h("div", { class: "adding" }, input, list));
  group.gather = () => now;
  group.focus = () => input.focus();
  return group;
}
