// What may stand at a place of a JQL request, by the models and the language that the key was told of. Pure: it knows no page.

import { caretIn, member, texts } from "./scan.js";

/** What follows the keys of `__meta__`; the bar is where the caret goes. */
const AFTER = {
  authenticationClass: '"|"', schema: '"|"', intent: '"|"', namespace: '"|"', onField: '"|"',
  filter: "{|}", exclude: "{|}", having: "{|}", uniqueObject: "{|}", return: "{|}", cache: '{ "enabled": true }|', search: '{ "value": "|" }',
  ordering: '["|"]', groupBy: '["|"]', objects: "[{|}]", dryRun: "true|", outerRefMapping: '[{ "field": "|" }]', sequencedProcess: '[{ "function": "|" }]',
};
const META = "__meta__";
const COMMON = ["intent", "namespace", "schema", "authenticationClass"];
const NESTED = ["filter", "exclude", "search", "ordering", "limit", "offset"];
const SUBQUERY = ["intent", "namespace", "onField", "outerRefMapping", "sequencedProcess", "filter", "exclude", "search", "ordering"];
/** What stands beside controllers. */
const ARGUMENTS = {
  execute: ["requests", "atomic"], rotate: ["overlap", "endOverlap"], diff: ["models"], apply: ["models", "allowDataLoss"],
  snapshot: ["name"], restore: ["name"], clock: ["freeze", "set", "advance", "run"],
};

/**
 * The words that may stand where the caret is: `{ start, end, typed, isQuoted, words }`, of which the part from `start` to `end` is to be replaced. A
 * word has its `word`, the JSON it `puts` there with a bar where the caret goes, and a `hint`.
 */
export function complete(text, caret, session) {
  const { frames, ...place } = caretIn(text, caret);
  const last = frames.at(-1);
  const around = frames.slice(1, -1).reduce((shape, frame) => within(shape, frame), new Shapes(session).request());
  const isKey = last.expects === "key";
  const shape = isKey || last.node.kind === "root" ? around : within(around, last);
  const there = new Set(isKey ? last.node.members.map(({ name }) => name) : []);
  const follows = /^\s*:/.test(text.slice(place.end));
  const offered = isKey ? shape.keys?.(last.node, place.typed) : last.expects === "value" && shape.values?.(place.typed);
  const words = (offered || []).filter(({ word }) => !there.has(word)).filter(({ puts }) => isKey || !place.isQuoted || puts.startsWith('"'))
    .map((one) => (isKey ? { ...one, puts: `${JSON.stringify(one.word)}${follows ? "|" : `: ${one.puts}`}` } : one));
  return { ...place, words: matching(words, place.typed) };
}

/** Those that begin with what is typed; where none does, those that hold it. */
function matching(words, typed) {
  const sought = typed.toLowerCase();
  const begin = words.filter(({ word }) => word.toLowerCase().startsWith(sought));
  return begin.length ? begin : words.filter(({ word }) => word.toLowerCase().includes(sought));
}

/** What stands in the member of `shape` that `frame` is at. */
function within(shape, { node, name }) {
  return (node.kind === "list" ? shape.item?.() : shape.member?.(name, node)) ?? {};
}

/** A word and what it puts. */
const value = (one, hint = "") => ({ word: String(one), puts: `${JSON.stringify(one)}|`, hint });
const key = (word, hint = "", puts = AFTER[word] ?? "|") => ({ word, puts, hint });
const oneOf = (...all) => ({ values: () => all.map((one) => value(one)) });
const listOf = (shape) => ({ item: () => shape });
/** One, or a list of them. */
const someOf = (shape) => ({ ...shape, item: () => shape });
const object = (members) => ({ keys: () => Object.keys(members).map((name) => key(name)), member: (name) => members[name] });
const boolean = oneOf(true, false);

/** Whether an intent of that rule changes anything. */
export function isWrite(rule) {
  return rule.takes.includes("dryRun") || rule.of === "system.Fixture";
}

/**
 * What may stand where. A shape has, as far as they make sense, `keys(node, typed)`, the shape of a `member(name, node)` and of an `item()` of a list, and
 * `values(typed)`.
 */
class Shapes {
  constructor(session) {
    this.session = session;
    this.language = session.language;
  }

  /** A whole request, maybe one within a batch. */
  request(isInBatch = false) {
    const beside = (node) => this.beside(texts(member(node, META)), node);
    return {
      keys: (node, typed) => [key(META, "", "{|}"), ...(beside(node).keys?.(node, typed) ?? [])],
      member: (name, node) => (name === META ? this.meta(node, isInBatch) : beside(node).member?.(name, node)),
    };
  }

  /** What stands beside `__meta__`. */
  beside(told) {
    const model = told.namespace;
    const rule = this.rule(told);
    switch (rule?.beside) {
      case "fields": return this.fields(model);
      case "values": return this.written(model);
      case "totals": return { member: () => this.total(model) };
      case "arguments": return this.argumentsOf(rule.name);
      default: return {};
    }
  }

  argumentsOf(intent) {
    const shapes = { requests: listOf(this.request(true)), atomic: boolean, endOverlap: boolean, allowDataLoss: boolean };
    const after = { requests: "[{|}]", models: "{|}" };
    return { keys: () => (ARGUMENTS[intent] ?? []).map((name) => key(name, "", after[name])), member: (name) => shapes[name] };
  }

  rule({ intent, schema = "model" }) {
    return this.language.intents.find((one) => one.schema === schema && intent && [one.name, one.alias].includes(intent));
  }

  /** Whether the key may do that with `namespace`, or with any where none is told. */
  may(rule, namespace) {
    if (rule.of === "system.Batch") return !namespace || namespace === rule.of;
    if (namespace) return this.session.can(rule.name, namespace);
    return [...this.session.models.keys()].some((each) => this.session.can(rule.name, each));
  }

  intents({ schema = "model", namespace }, isInBatch) {
    return this.language.intents.filter((rule) => rule.schema === schema && this.may(rule, namespace) && !(isInBatch && rule.of === "system.Batch"))
      .map((rule) => value(rule.name, isWrite(rule) ? "writes" : ""));
  }

  namespaces({ schema = "model", intent }) {
    const rules = this.language.intents.filter((rule) => rule.schema === schema && (!intent || rule.name === intent || rule.alias === intent));
    const all = [...this.session.models.keys(), "system.Batch"];
    return all.filter((each) => rules.some((rule) => (!rule.of || rule.of === each) && this.may(rule, each))).map((each) => value(each));
  }

  /** The `__meta__` of `outer`, a request. */
  meta(outer, isInBatch) {
    const rule = (node) => this.rule(texts(node));
    return {
      keys: (node) => [...new Set([...COMMON, ...(rule(node)?.takes ?? [])])].map((name) => key(name, rule(node)?.needs.includes(name) ? "needed" : "")),
      member: (name, node) => {
        const told = texts(node);
        if (name === "intent") return { values: () => this.intents(told, isInBatch) };
        if (name === "namespace") return { values: () => this.namespaces(told) };
        if (rule(node)?.beside !== "totals") return this.metaMember(name, told.namespace);
        const groups = this.groups(told.namespace, node, outer);
        if (name === "having") return this.conditions((path) => walkGroups(this, groups, path), (typed) => this.groupPaths(groups, typed, true));
        if (name === "ordering") return someOf(this.signed((typed) => this.groupPaths(groups, typed)));
        return this.metaMember(name, told.namespace);
      },
    };
  }

  /** A key of any `__meta__`, about the records of `namespace`. */
  metaMember(name, namespace) {
    const path = (options) => ({ values: (typed) => this.paths(namespace, typed, options).map(({ word, hint }) => value(word, hint)) });
    switch (name) {
      case "schema": return oneOf("model", "controller");
      case "authenticationClass": return oneOf("apiKey");
      case "filter": case "exclude": return this.filter(namespace);
      case "uniqueObject": return this.uniqueObject(namespace);
      case "ordering": return someOf(this.signed((typed) => this.paths(namespace, typed)));
      case "groupBy": return someOf(path({ parts: true }));
      case "onField": return path({ parts: true });
      case "return": return this.fields(namespace);
      case "objects": return listOf(this.written(namespace));
      case "search": return object({ value: {} });
      case "cache": return object({ enabled: boolean });
      case "count": return { ...boolean, ...object({ upTo: {} }) };
      case "dryRun": return boolean;
      default: return {};
    }
  }

  /** Paths that may have a minus before them. */
  signed(paths) {
    return {
      values: (typed) => {
        const sign = typed.startsWith("-") ? "-" : "";
        return paths(typed.slice(sign.length)).map(({ word, hint }) => value(sign + word, hint));
      },
    };
  }

  uniqueObject(namespace) {
    const model = this.session.models.get(namespace);
    const together = new Set(["id", "version", ...(model?.unique_together ?? []).flat()]);
    const fields = (model?.fields ?? []).filter((field) => field.unique || together.has(field.name));
    return { keys: () => fields.map((field) => key(field.name, field.type, after(field))), member: (name) => this.valueOf(fields.find((one) => one.name === name)) };
  }

  /** The fields and the ways back of a model, of which only those that the key may read are told. */
  readable(namespace) {
    if (!this.session.may("read", namespace)) return [];
    const { fields, reverse } = this.session.models.get(namespace);
    const to = (each) => (this.session.may("read", each) ? each : null);
    return [
      ...fields.map((field) => ({ ...field, leads: field.to && to(field.to), isMany: field.type === "refs" })),
      ...reverse.filter(({ from }) => to(from)).map(({ name, from }) => ({ name, type: "refs", to: from, leads: from, isMany: true })),
    ];
  }

  /** The fields that are asked for, those of related records within them. */
  fields(namespace, isNested = false) {
    const all = this.readable(namespace);
    return {
      values: () => [value(null, "the id")],
      keys: () => [...(isNested ? [key(META, "", "{|}")] : []), ...all.map((field) => key(field.name, about(field), field.leads ? "{|}" : "null|"))],
      member: (name) => {
        if (name === META) return this.some(NESTED, namespace);
        const field = all.find((one) => one.name === name);
        if (field?.leads) return this.fields(field.leads, field.isMany);
        return { values: () => [value(null)], ...this.derived(namespace, field) };
      },
    };
  }

  /** A field by another name or transformed; a name that is no field may be a subquery. */
  derived(namespace, field) {
    const members = {
      __transform__: this.transforms(),
      __field__: { values: (typed) => this.paths(namespace, typed, { parts: true }).map(({ word, hint }) => value(word, hint)) },
      ...(!field && { [META]: this.subquery(namespace) }),
    };
    const puts = { __transform__: "{|}", __field__: '"|"', [META]: '{ "intent": "subquery", "namespace": "|" }' };
    return { keys: () => Object.keys(members).map((name) => key(name, "", puts[name])), member: (name) => members[name] };
  }

  transforms() {
    const all = this.language.transforms;
    return { keys: () => all.map((one) => key(one.name ?? one, "", "{|}")), member: (name) => options(all.find((one) => one.name === name)) };
  }

  /** Some of the keys of `__meta__`. */
  some(names, namespace) {
    return { keys: () => names.map((name) => key(name)), member: (name) => this.metaMember(name, namespace) };
  }

  subquery(outer) {
    const all = this.some(SUBQUERY);
    return {
      ...all,
      member: (name, node) => {
        const { namespace } = texts(node);
        const path = (of) => ({ values: (typed) => this.paths(of, typed).map(({ word, hint }) => value(word, hint)) });
        if (name === "intent") return oneOf("subquery");
        if (name === "namespace") return { values: () => this.namespaces({ intent: "retrieve" }) };
        if (name === "outerRefMapping") return listOf(object({ field: path(namespace), referenceField: path(outer) }));
        if (name === "sequencedProcess") return listOf(this.step(namespace));
        return this.metaMember(name, namespace);
      },
    };
  }

  step(namespace) {
    const types = oneOf("integer", "float", "decimal", "string", "boolean", "date", "datetime");
    return object({ function: this.functions(), onField: this.metaMember("onField", namespace), castType: types, value: {}, digits: {}, separator: {} });
  }

  functions() {
    return { values: () => this.language.functions.map((one) => value(one.name ?? one)) };
  }

  total(namespace) {
    const members = { function: this.functions(), separator: {} };
    for (const name of ["onField", "filter", "ordering"]) members[name] = this.metaMember(name, namespace);
    return { keys: () => Object.keys(members).map((name) => key(name, "", AFTER[name] ?? '"|"')), member: (name) => members[name] };
  }

  /** The values of a record that is written. */
  written(namespace) {
    const all = (this.session.models.get(namespace)?.fields ?? []).filter((field) => field.writable);
    const ordered = [...all.filter((field) => field.required), ...all.filter((field) => !field.required)];
    return {
      keys: () => ordered.map((field) => key(field.name, field.required ? `${field.type}, required` : about(field), after(field))),
      member: (name) => this.valueOf(all.find((field) => field.name === name)),
    };
  }

  /** The values that are known of a field. */
  valueOf(field) {
    const values = () => [
      ...(field?.choices ?? (field?.type === "boolean" ? [true, false] : [])).map((one) => value(one)),
      ...(field?.null ? [value(null)] : []),
    ];
    return { values, item: () => ({ values }) };
  }

  /** Conditions on the records of `namespace`. */
  filter(namespace) {
    return this.conditions((path) => this.walk(namespace, path.split("__")), (typed) => this.paths(namespace, typed, { lookups: true }), namespace);
  }

  /** Conditions whose paths are told by `paths(typed)` and understood by `walk(path)`. */
  conditions(walk, paths, namespace) {
    const all = {
      keys: (_, typed) => [...paths(typed).map(({ word, hint }) => key(word, hint, compared(walk(word)))),
        key("__and__", "all of these", "[{|}]"), key("__or__", "any of these", "[{|}]"), key("__not__", "not this", "{|}")],
      member: (name) => {
        if (name === "__not__") return all;
        if (name === "__and__" || name === "__or__") return listOf(all);
        const at = walk(name);
        if (at?.lookup === "isnull") return boolean;
        return { ...this.valueOf(at), ...object({ __field__: namespace ? this.metaMember("onField", namespace) : {} }) };
      },
    };
    return all;
  }

  /** The parts of dates and times, as against lookups. */
  isPart(word) {
    const { lookups } = this.language;
    return !lookups.integer.includes(word) && ["datetime", "date", "time"].some((type) => lookups[type].includes(word));
  }

  /** Where a path leads to: its `type`; the model that it `leads` to; `choices`; and its `lookup`, where it ends with one. Null where nowhere. */
  walk(namespace, segments) {
    let at = { leads: namespace };
    for (const segment of segments) {
      const field = at.leads && this.readable(at.leads).find(({ name }) => name === segment);
      at = field ? { ...field, type: field.to ? this.idType(field.to) : field.type } : this.beyond(at, segment);
      if (!at) return null;
    }
    return at;
  }

  /** What comes behind a field: a part of a date, a lookup, or a key inside json. */
  beyond(at, segment) {
    if (!at.type || at.lookup) return null;
    const isLookup = this.lookups(at.type).includes(segment);
    if (isLookup && this.isPart(segment)) return at.part ? null : { type: segment === "date" ? "date" : "integer", part: segment };
    if (isLookup) return { ...at, leads: null, lookup: segment };
    return at.type === "json" ? at : null;
  }

  lookups(type) {
    return this.language.lookups[type] ?? [];
  }

  idType(namespace) {
    return this.session.models.get(namespace)?.fields.find(({ name }) => name === "id")?.type ?? "integer";
  }

  /** The paths that begin with all that is typed up to its last `__`, each a step longer. */
  paths(namespace, typed, { lookups = false, parts = false } = {}) {
    const before = typed.match(/^[^_].*__/)?.[0] ?? "";
    const at = before ? this.walk(namespace, before.slice(0, -2).split("__")) : { leads: namespace };
    if (!at) return [];
    const fields = at.leads ? this.readable(at.leads).map((field) => ({ word: before + field.name, hint: about(field) })) : [];
    return [...fields, ...this.endings(at, { lookups, parts }).map((word) => ({ word: before + word, hint: this.isPart(word) ? "part" : "lookup" }))];
  }

  endings(at, { lookups, parts }) {
    if (!at.type || at.lookup) return [];
    return this.lookups(at.type).filter((word) => (this.isPart(word) ? (lookups || parts) && !at.part : lookups));
  }

  /** What the groups of an `aggregate` have: what they are grouped by, and their totals, with types. */
  groups(namespace, meta, outer) {
    const by = member(meta, "groupBy");
    const paths = (by?.members?.map(({ node }) => node) ?? [by]).filter((node) => node?.kind === "string").map((node) => node.value);
    const made = { count: "integer", countdistinct: "integer", exists: "boolean", avg: "float", concat: "string" };
    const totals = outer.members.filter(({ name, node }) => name && name !== META && node?.kind === "object").map(({ name, node }) => {
      const told = texts(node);
      return [name, { type: made[told.function?.toLowerCase()] ?? this.walk(namespace, (told.onField ?? "id").split("__"))?.type }];
    });
    return new Map([...paths.map((path) => [path, this.walk(namespace, path.split("__"))]), ...totals]);
  }

  groupPaths(groups, typed, lookups = false) {
    const of = [...groups.keys()].find((name) => typed.startsWith(`${name}__`));
    const longer = of && lookups ? this.endings(groups.get(of) ?? {}, { lookups }).map((word) => ({ word: `${of}__${word}`, hint: "lookup" })) : [];
    return [...[...groups].map(([word, at]) => ({ word, hint: at?.type ?? "" })), ...longer];
  }
}

/** Where a path of `having` leads to. */
function walkGroups(shapes, groups, path) {
  const name = [...groups.keys()].find((each) => path === each || path.startsWith(`${each}__`));
  const at = groups.get(name) ?? null;
  const rest = path.slice((name?.length ?? 0) + 2).split("__").filter(Boolean);
  return rest.reduce((found, segment) => found && shapes.beyond(found, segment), at);
}

/** What is told of a field beside its name. */
function about(field) {
  return field.to ? `${field.isMany || field.type === "refs" ? "list of " : ""}${field.to}` : field.type;
}

const QUOTED = ["string", "text", "decimal", "date", "datetime", "time", "uuid"];

/** What follows the name of a field that gets a value. */
function after(field) {
  if (field.type === "refs") return "[|]";
  return QUOTED.includes(field.type) ? '"|"' : "|";
}

/** What follows a path in a filter. */
function compared(at) {
  if (at?.lookup === "isnull") return "true|";
  const one = QUOTED.includes(at?.type) ? '"|"' : "|";
  return at?.lookup === "in" || at?.lookup === "range" ? `[${one}]` : one;
}

/** The options of a transform. */
function options(transform) {
  return { keys: () => (transform?.options ?? []).map((one) => key(one.name ?? one, one.required ? "needed" : "")) };
}
