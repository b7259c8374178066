// The models: what each of them says of its records, how they refer to each other, and the way to change them.

import { h, nodes } from "./dom.js";
import { limits } from "./fields.js";
import { asJson, write } from "./jql.js";
import { picture, relations } from "./picture.js";
import { MODELS } from "./session.js";
import { badge, confirm, control, copy, form, say, table } from "./ui.js";
import { ask, plain } from "./values.js";

export const title = "Models";

export function offered(session) {
  return session.own.length > 0 || session.may("read", MODELS) || session.can("apply", MODELS);
}

export async function show(place) {
  const { session, path: [name] } = place;
  if (name === "edit") return session.can("apply", MODELS) ? editor(place) : h("p", {}, "This key may not change the models.");
  if (!name) return overview(session);
  const model = session.models.get(name);
  return model ? definition(place, model) : h("p", {}, "There is no such model, or this key may not see it.");
}

function link(session, namespace) {
  return session.models.has(namespace) ? h("a", { href: `#/models/${namespace}` }, namespace) : namespace;
}

/** All models and their relations. */
function overview(session) {
  const models = session.own;
  const columns = [
    { title: "Model", cell: ({ namespace }) => link(session, namespace) },
    { title: "Fields", isNumber: true, cell: ({ fields }) => fields.length },
    { title: "This key may", cell: ({ actions }) => actions.join(", ") },
    { title: "Records", cell: (model) => models.includes(model) && h("a", { href: `#/records/${model.namespace}` }, "Records") },
  ];
  const change = h("div", { class: "buttons" }, h("a", { class: "button", href: "#/models/edit" }, "Change the models"));
  return [
    session.can("apply", MODELS) && change,
    models.length > 0 && [h("h2", {}, "How they refer to each other"), picture(models), related(session, models)],
    h("h2", {}, "Models"),
    table({ caption: "Models", columns, rows: [...session.models.values()], empty: "There are no models yet." }),
  ];
}

/** The relations as a table, which says what the picture shows. */
function related(session, models) {
  const columns = [
    { title: "Field", cell: ({ from, field }) => `${from.namespace}.${field.name}` },
    { title: "Refers to", cell: ({ field }) => [field.type === "refs" ? "many of " : "one of ", link(session, field.to)] },
    { title: "The way back", cell: ({ field }) => field.related_name },
  ];
  const whole = table({ caption: "Relations", columns, rows: relations(models), empty: "No model refers to another." });
  return h("details", {}, h("summary", {}, "The relations as a table"), whole);
}

/** What a model says. */
async function definition({ session, signal, named }, model) {
  const { namespace } = model;
  named(namespace);
  const columns = [
    { title: "Field", cell: ({ name }) => name },
    { title: "Type", cell: ({ type, to }) => (to ? [`${type} to `, link(session, to)] : type) },
    { title: "Values", cell: rules },
    { title: "Note", cell: ({ help }) => help },
  ].slice(0, model.fields.some(({ help }) => help) ? 4 : 3);
  const lists = [
    ["Order of the records", model.ordering?.join(", ")],
    ["Search looks in", model.search?.join(", ")],
    ["No two alike in", model.unique_together?.map((fields) => fields.join(" with ")).join("; ")],
    ["Version", model.versioned && "each record has one, which each update raises"],
    ["This key may", model.actions.join(", ")],
  ].filter(([, said]) => said);
  const back = (model.reverse ?? []).map(({ name, from, field }) => h("li", {}, link(session, from), ` by ${field}, as ${name}`));
  const isOwn = !namespace.startsWith("system.");
  return [
    h("p", {}, h("a", { href: "#/models" }, "All models")),
    h("div", { class: "bar" }, h("h2", {}, namespace), isOwn && h("a", { href: `#/records/${namespace}` }, "Its records")),
    h("dl", { class: "facts" }, lists.map(([term, said]) => [h("dt", {}, term), h("dd", {}, said)])),
    table({ caption: `Fields of ${namespace}`, columns, rows: model.fields }),
    back.length > 0 && [h("h2", {}, "What refers to it"), h("ul", {}, back)],
    isOwn && session.may("read", MODELS) && await source(session, namespace, signal),
  ];
}

/** What the values of a field must be, in words. */
function rules(field) {
  const { choices, required, writable, unique } = field;
  return [
    required && badge("required"), field.null && badge("may be null"), unique && badge("unique"), !writable && badge("set by the server"),
    h("span", {}, [
      choices && `one of ${choices.map(plain).join(", ")}`,
      ...limits({ ...field, unique: false }),
      field.default != null && `${write(field.default)} where nothing is given`,
    ].filter(Boolean).join("; ")),
  ].filter(Boolean).flatMap((part) => [part, " "]);
}

/** The definition as it was applied, in JSON. */
async function source(session, namespace, signal) {
  const found = await definitions(session, { filter: { namespace } }, signal);
  const text = write(found, 2);
  return [h("h2", {}, "As JSON"), copy(text), h("pre", { tabindex: "0", "aria-label": `${namespace} as JSON` }, text)];
}

/** The definitions by namespace. */
async function definitions(session, meta, signal) {
  const found = {};
  let after = null;
  do {
    const page = { intent: "retrieve", namespace: MODELS, ...meta, ...(after && { after }) };
    const { data, extras } = await ask(session, page, { namespace: null, definition: null }, { signal });
    for (const { namespace, definition: said } of data) if (!namespace.startsWith("system.")) found[namespace] = said;
    after = extras.next;
  } while (after);
  return found;
}

/** All models as one text to change: what would come of it is told before it is applied. */
async function editor({ session, signal, go, named }) {
  named("Change the models");
  const mayRead = session.may("read", MODELS);
  const input = h("textarea", { class: "code tall", spellcheck: "false", autocapitalize: "off" });
  input.value = mayRead ? write(await definitions(session, {}, signal), 2) : "{}";
  const text = control({
    name: "definitions", label: "All models as JSON", input, read: (said) => asJson(said, "This", "/definitions"),
    help: mayRead ? "A model that is not here is dropped." : "This key may not read the models. One that is not here is dropped.",
  });
  const told = h("div", {});
  const call = (intent, beside) => session.client.call(MODELS, intent, null, beside);
  input.addEventListener("input", () => told.replaceChildren());

  async function look({ definitions: models }) {
    told.replaceChildren();
    const seen = input.value;
    const change = await call("diff", { models });
    if (input.value !== seen) return; // it was changed meanwhile
    const isPossible = change.changes.length > 0 && !change.obstacles.length;
    const button = h("button", { type: "button", class: "primary", onclick: () => apply(models, change) }, "Apply…");
    told.replaceChildren(...outcome(change), h("div", { class: "buttons" }, isPossible && button));
    told.querySelector("h2, p").focus();
  }

  async function apply(models, { losses }) {
    const consent = control({ name: "allowDataLoss", label: "Go on without these", input: h("input", { type: "checkbox" }) });
    const applied = await confirm({
      title: "Apply these models?", verb: "Apply", danger: losses.length > 0, controls: losses.length ? [consent] : [],
      text: losses.length ? `This would be lost, and cannot be brought back: ${losses.join("; ")}.` : "Nothing that is stored is lost.",
      act: (said) => call("apply", { models, ...said }),
    });
    if (!applied) return;
    await session.learn();
    say(`The models are applied: version ${applied.version}.`);
    go("#/models");
  }

  const cancel = h("a", { class: "button", href: "#/models" }, "Cancel");
  return [form({ controls: [text], verb: "See what would change", label: "Models", submit: look, beside: cancel }), told];
}

/** What other models would change, lose, and stumble over. */
function outcome({ changes, losses, obstacles }) {
  const list = (words, items, kind) => items.length > 0
    && [h("h2", { tabindex: "-1" }, words), h("ul", { class: kind }, items.map((item) => h("li", {}, item)))];
  if (!changes.length && !obstacles.length) return [h("p", { tabindex: "-1" }, "Nothing would change.")];
  return nodes([
    list("What would change", changes), list("What would be lost", losses, "bad"), list("What stands against it", obstacles, "bad"),
  ]);
}
