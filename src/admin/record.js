// One record: what it holds, what refers to it, and the forms that create, change and delete it.

import { h } from "./dom.js";
import { fieldControl } from "./fields.js";
import { confirm, count, form, refused, say } from "./ui.js";
import { address, ask, asking, called, filtered, naming, plain, shown } from "./values.js";

const COUNTED = 1000;
const MOST = 100; // requests in a batch

/** What stands behind the model in the address: `new`, an id, or an id and `edit`. */
export async function record(place, model, [word, act]) {
  const { session } = place;
  const { namespace } = model;
  const back = h("p", {}, h("a", { href: `#/records/${namespace}` }, `All records of ${namespace}`));
  place.named(word === "new" ? `New ${namespace}` : `${namespace} ${word}`);
  if (word === "new") {
    const making = session.can("create", namespace) ? creation(place, model) : h("p", {}, "This key may not make records here.");
    return [back, h("h2", {}, `New ${namespace}`), making];
  }
  if (!session.may("read", namespace)) return [back, h("h2", {}, `${namespace} ${word}`), unseen(place, model, word)];
  return [back, await (act === "edit" && session.can("update", namespace) ? edition : facts)(place, model, word)];
}

/** The record as the server has it, and which of its lists were too long to come as a whole. */
async function load({ session, signal }, model, id) {
  const fields = Object.fromEntries(model.fields.map((field) => [field.name, asking(session, field)]));
  const meta = { intent: "retrieveOne", namespace: model.namespace, uniqueObject: { id } };
  const { data, extras } = await ask(session, meta, fields, { signal });
  return { data, cut: extras.truncated ?? [] };
}

function headline(session, { namespace }, data) {
  const id = plain(data.id);
  const name = called(session, namespace, data);
  return h("h2", {}, `${namespace} ${id}`, name !== id && `: ${name}`);
}

/** What a record holds. */
async function facts(place, model, id) {
  const { session } = place;
  const { data, cut } = await load(place, model, id);
  const items = model.fields.map((field) =>
    [h("dt", {}, field.name), h("dd", {}, shown(session, field, data[field.name]), cut.includes(field.name) && " and more")]);
  return [
    headline(session, model, data),
    h("div", { class: "buttons" },
      session.can("update", model.namespace) && h("a", { class: "button primary", href: `${address(model.namespace, id)}/edit` }, "Edit"),
      session.can("deleteOne", model.namespace) && removal(place, model, data)),
    h("dl", { class: "facts card" }, items),
    await related(place, model, data.id),
  ];
}

/** The way to what refers to a record. */
function way({ from, field }, id, properties = {}) {
  return h("a", { href: filtered(from, { [field]: id }), ...properties }, `${from} by ${field}`);
}

/** What refers to the record, and how often. */
async function related({ session, signal }, model, id) {
  const all = model.reverse.slice(0, MOST);
  if (!all.length) return null;
  const asked = all.map(({ from, field }) =>
    [{ intent: "retrieve", namespace: from, filter: { [field]: id }, ordering: "id", limit: 1, count: { upTo: COUNTED } }, { id: null }]);
  const heading = h("h2", {}, "What refers to it");
  try {
    const answers = await session.client.batch(asked, { signal });
    const many = ({ filtered: total, filteredAtLeast: isMore }) => `: ${count(total)}${isMore ? " or more" : ""}`;
    return [heading, h("ul", {}, all.map((one, number) => h("li", {}, way(one, id), many(answers[number].extras))))];
  } catch (error) {
    return [heading, refused(error)];
  }
}

/** The button that deletes, once it was confirmed. Where other records stand against it, it leads to them. */
function removal({ session, go }, model, { id, version }) {
  const { namespace } = model;
  const name = `${namespace} ${plain(id)}`;
  async function act(holders) {
    try {
      await ask(session, { intent: "deleteOne", namespace, uniqueObject: { id, ...(model.versioned && { version }) } });
    } catch (error) {
      const leave = (event) => event.target.closest("dialog").close();
      const all = error.status === 409 && !isOld(model, error) ? model.reverse ?? [] : [];
      holders.replaceChildren(...all.flatMap((one, number) => [number ? ", " : " See ", way(one, id, { onclick: leave })]));
      throw error;
    }
    return true;
  }
  async function offer() {
    const holders = h("span", {});
    const text = [
      "This cannot be undone. Records that refer to it are deleted too, or lose the reference, or keep it, as their model says.", holders,
    ];
    if (!await confirm({ title: `Delete ${name}?`, text, verb: "Delete", act: () => act(holders) })) return;
    say(`${name} is deleted.`);
    go(`#/records/${namespace}`);
  }
  return h("button", { type: "button", class: "danger", onclick: offer }, "Delete…");
}

/** The controls of the fields that may be written. */
function controls(session, model, { data, cut = [], isNew = false }) {
  const fields = model.fields.filter(({ name, writable }) => writable && (isNew || name !== "id") && !cut.includes(name));
  return fields.map((field) => fieldControl({ session, field, value: data?.[field.name], isNew }));
}

function cancel(href) {
  return h("a", { class: "button", href }, "Cancel");
}

function creation({ session, go }, model) {
  const { namespace } = model;
  return h("div", { class: "narrow" }, form({
    controls: controls(session, model, { isNew: true }), verb: "Create", label: `New ${namespace}`,
    beside: cancel(`#/records/${namespace}`),
    async submit(values) {
      const { data } = await ask(session, { intent: "create", namespace }, values);
      say(`${namespace} ${plain(data.id)} is created.`);
      go(session.may("read", namespace) ? address(namespace, data.id) : `#/records/${namespace}`);
    },
  }));
}

/** The form of a record that the key may change or delete and not read: what is left empty stays as it is. */
function unseen(place, model, id) {
  const { session } = place;
  return h("div", { class: "narrow" }, h("p", {}, "This key may not read the record. What is left as it is here stays as it is."),
    session.can("update", model.namespace) && changing(place, model, { id }, {}),
    session.can("deleteOne", model.namespace) && removal(place, { ...model, versioned: false }, { id }));
}

/** The form that changes a record. */
function changing({ session, go }, model, { id, version }, { data, cut, beside, failed }) {
  const { namespace } = model;
  const name = `${namespace} ${plain(id)}`;
  return form({
    controls: controls(session, model, { data, cut }), verb: "Save", label: `Change ${name}`, beside,
    async submit(values) {
      const isChanged = Object.keys(values).length > 0;
      const uniqueObject = { id, ...(version != null && { version }) };
      try {
        if (isChanged) await ask(session, { intent: "update", namespace, uniqueObject }, values);
      } catch (error) {
        failed?.(error);
        throw error;
      }
      say(isChanged ? `${name} is saved.` : "Nothing was changed.");
      if (data) go(address(namespace, id));
    },
  });
}

/** The form, begun with what the server has; and begun anew, where that has become another. */
async function edition(place, model, id) {
  const { session } = place;
  const content = h("div", {});
  async function begin() {
    const { data, cut } = await load(place, model, id);
    const newer = h("div", {});
    const anew = () => begin().catch((error) => newer.replaceChildren(refused(error)));
    const again = h("button", { type: "button", onclick: anew }, "Load it as it is now");
    const failed = (error) => newer.replaceChildren(...(isOld(model, error)
      ? [h("p", {}, "It was changed by someone else after it was opened here. What you entered is not saved."), again] : []));
    const fixed = model.fields.filter(({ name, writable }) => !writable || name === "id" || cut.includes(name));
    const seen = fixed.map((field) => [h("dt", {}, field.name), h("dd", {}, shown(session, field, data[field.name], true))]);
    const one = { id: data.id, version: model.versioned ? data.version : null };
    const change = changing(place, model, one, { data, cut, failed, beside: cancel(address(model.namespace, id)) });
    const whole = h("div", { class: "narrow" }, newer, change);
    content.replaceChildren(headline(session, model, data), h("dl", { class: "facts" }, seen), whole);
    content.querySelector("form input, form select, form textarea")?.focus();
  }
  await begin();
  return content;
}

/** Whether a version was told that is an old one. */
function isOld(model, error) {
  return model.versioned && error.status === 409 && error.errors.some(({ pointer, errorMessage }) =>
    pointer === "/__meta__/uniqueObject" && errorMessage.includes("version"));
}
