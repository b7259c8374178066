// Requests to begin with, made for the models that the key was told of.

/** Pairs of a label and a request. None is made that the key may not send. */
export function examples(session) {
  const models = [...session.models.values()].sort((one, other) => rank(session, other) - rank(session, one));
  const can = (intent, also = () => true) => models.find((model) => session.can(intent, model.namespace) && also(model));
  const nested = can("retrieve", (model) => relations(session, model).length);
  return [
    ["Retrieve with a filter", retrieve(can("retrieve"))],
    ["Records within records", within(session, nested)],
    ["Count", request(can("count"), "count")],
    ["Totals of groups", totals(can("aggregate"))],
    ["Create, as a dry run", create(session, can("create", (model) => !model.namespace.startsWith("system.")))],
    ["Several requests at once", batch(session, models.filter((model) => session.can("count", model.namespace)))],
  ].filter(([, made]) => made);
}

/** The owner's models before the system's, and those that show more before others. */
function rank(session, model) {
  const shows = 3 * relations(session, model).length + model.fields.filter(({ choices }) => choices).length;
  return model.namespace.startsWith("system.") ? shows - 1000 : shows;
}

/** The fields and ways back that lead to models that the key may read. */
function relations(session, { fields, reverse = [] }) {
  return [...fields.filter(({ to }) => to), ...reverse.map(({ name, from }) => ({ name, to: from, isMany: true }))]
    .filter(({ to }) => session.may("read", to));
}

const request = (model, intent, meta, beside) => model && { __meta__: { intent, namespace: model.namespace, ...meta }, ...beside };
const asked = (fields) => Object.fromEntries(fields.map(({ name }) => [name, null]));
const plain = ({ fields }) => fields.filter(({ to, type }) => !to && type !== "json");
const some = (model, many) => asked(plain(model).slice(0, many));

/** A condition that some records meet. */
function condition({ fields }) {
  const chosen = fields.find(({ choices }) => choices?.length);
  return chosen ? { [chosen.name]: chosen.choices[0] } : { id__isnull: false };
}

function retrieve(model) {
  return model && request(model, "retrieve", { filter: condition(model), ordering: ["-id"], limit: 10 }, some(model, 5));
}

function within(session, model) {
  if (!model) return null;
  const inner = relations(session, model).map(({ name, to, type, isMany }) => {
    const meta = isMany || type === "refs" ? { __meta__: { limit: 3 } } : {};
    return [name, { ...meta, ...some(session.models.get(to), 2) }];
  });
  return request(model, "retrieve", { limit: 10 }, { ...some(model, 2), ...Object.fromEntries(inner.slice(0, 3)) });
}

function totals(model) {
  if (!model) return null;
  const group = model.fields.find(({ choices }) => choices) ?? model.fields.find(({ to }) => to) ?? model.fields[0];
  const number = plain(model).find(({ name, type }) => name !== "id" && ["integer", "decimal", "float"].includes(type));
  const sum = number && { total: { function: "Sum", onField: number.name } };
  return request(model, "aggregate", { groupBy: [group.name], ordering: ["-records"] }, { records: { function: "Count" }, ...sum });
}

/** A record with what it needs, which is not kept. */
function create(session, model) {
  if (!model) return null;
  const wanted = model.fields.filter(({ required, writable }) => required && writable);
  const written = wanted.length ? wanted : plain(model).filter(({ writable }) => writable).slice(0, 1);
  const answer = session.may("read", model.namespace) ? some(model, 4) : asked(written);
  const values = Object.fromEntries(written.map((field) => [field.name, sample(field)]));
  return request(model, "create", { dryRun: true, return: answer }, values);
}

/** A value that fits. */
function sample({ type, name, choices, min, min_length: least = 0, max_length: most }) {
  if (choices?.length) return choices[0];
  const known = {
    integer: min ?? 1, float: min ?? 1, decimal: min ?? "1", boolean: true, json: {}, ref: 1, refs: [],
    date: "2026-01-31", datetime: "2026-01-31T09:30:00Z", time: "09:30", uuid: "00000000-0000-4000-8000-000000000000",
  };
  return known[type] ?? `A ${name}`.padEnd(least, "x").slice(0, most);
}

function batch(session, models) {
  if (models.length < 2) return null;
  const requests = models.slice(0, 2).map((model) => request(model, "count"));
  return { __meta__: { schema: "controller", intent: "execute", namespace: "system.Batch" }, requests };
}
