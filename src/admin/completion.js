// What may stand at a place of a JQL request, by the models and the language that the key was told of. Pure: it knows no page.

import { caretIn, member, texts } from "./scan.js";

const META = "__meta__";
const NESTED = ["filter", "exclude", "search", "ordering", "limit", "offset"];
const SUBQUERY = ["intent", "namespace", "onField", "outerRefMapping", "sequencedProcess", ...NESTED.slice(0, 4)];
/** What follows a key; the bar is where the caret goes. */
const AFTER = {
  authenticationClass: '"|"', schema: '"|"', intent: '"|"', namespace: '"|"', onField: '"|"', function: '"|"', field: '"|"',
  referenceField: '"|"', castType: '"|"', separator: '"|"', value: '"|"', __field__: '"|"',
  __meta__: "{|}", __transform__: "{|}", filter: "{|}", exclude: "{|}", having: "{|}", uniqueObject: "{|}", return: "{|}", models: "{|}",
  ordering: '["|"]', groupBy: '["|"]', objects: "[{|}]", requests: "[{|}]", cache: '{ "enabled": true }|', search: '{ "value": "|" }',
  outerRefMapping: '[{ "field": "|" }]', sequencedProcess: '[{ "function": "|" }]', dryRun: "true|",
};
/** What stands beside `__meta__` in requests to controllers. */
const ARGUMENTS = {
  execute: ["requests", "atomic"], rotate: ["overlap", "endOverlap"], diff: ["models"], apply: ["models", "allowDataLoss"],
  snapshot: ["name"], restore: ["name"], clock: ["freeze", "set", "advance", "run"],
};
const FLAGS = ["atomic", "endOverlap", "allowDataLoss"];
/** Other names of intents. */
const ALIASES = { read: "retrieve", delete: "deleteOne" };
/** Types whose values are written in quotes. */
const QUOTED = ["string", "text", "decimal", "date", "datetime", "time", "uuid"];

/**
 * The words that may stand where the caret is: `{ start, end, typed, isQuoted, words }`, of which the part from `start` to `end` is to be
 * replaced. A word has its `word`, the JSON that it `puts` there, with a last bar where the caret goes, and a `hint`.
 */
export function complete(text, caret, session) {
  const { frames, ...place } = caretIn(text, caret);
  const { node, expects } = frames.at(-1);
  if (node.kind === "root") return { ...place, words: [] };
  const isKey = expects === "key";
  const shape = frames.slice(1, isKey ? -1 : undefined).reduce(within, new Shapes(session).request());
  const fits = ({ puts }) => !place.isQuoted || puts.startsWith('"');
  const words = isKey ? keys(shape, node, place, text) : (expects === "value" && shape.values?.(place.typed)) || [];
  return { ...place, words: matching(isKey ? words : words.filter(fits), place.typed) };
}

/** What stands in the member of `shape` that `frame` is at. */
function within(shape, { node, name }) {
  return (node.kind === "list" ? shape.item : shape.member?.(name, node)) ?? {};
}

/** The keys that `node` may have and has not, with what follows them unless it is there. */
function keys(shape, node, { typed, end }, text) {
  const there = new Set(node.members.map(({ name }) => name));
  const follows = /^\s*:/.test(text.slice(end));
  return (shape.keys?.(node, typed) ?? []).filter(({ word }) => !there.has(word))
    .map(({ word, puts, hint }) => ({ word, hint, puts: `${JSON.stringify(word)}${follows ? "|" : `: ${puts}`}` }));
}

/** Those that begin with what is typed; where none does, those that hold it. */
function matching(words, typed) {
  const sought = typed.toLowerCase();
  const begin = words.filter(({ word }) => word.toLowerCase().startsWith(sought));
  return begin.length ? begin : words.filter(({ word }) => word.toLowerCase().includes(sought));
}

const value = (one, hint = "") => ({ word: String(one), puts: `${JSON.stringify(one)}|`, hint });
const key = (word, hint = "", puts = AFTER[word] ?? "|") => ({ word, puts, hint });
const oneOf = (...all) => ({ values: () => all.map((one) => value(one)) });
/** One, or a list of them. */
const someOf = (shape) => ({ ...shape, item: shape });
/** An object whose members have names that are known. */
const object = (members, puts = {}) => ({
  keys: () => Object.keys(members).map((name) => key(name, "", puts[name])),
  member: (name) => (Object.hasOwn(members, name) ? members[name] : null),
});
const boolean = oneOf(true, false);

/** The row of the intent that a `__meta__` tells, if there is one. */
export function ruleOf(language, { intent, schema = "model" }) {
  const name = Object.hasOwn(ALIASES, intent ?? "") ? ALIASES[intent] : intent;
  return language.intents.find((one) => one.schema === schema && one.name === name);
}

/** Whether an intent of that row changes anything. */
export function isWrite(rule) {
  return rule.takes.includes("dryRun") || rule.of === "system.Fixture";
}

/**
 * What may stand where. A shape has, as far as they make sense, `keys(node, typed)`, the shape of a `member(name, node)` and that of an
 * `item` of a list, and `values(typed)`. Paths are pairs of a path and a hint.
 */
class Shapes {
  constructor(session) {
    this.session = session;
    this.language = session.language;
  }

  /** A whole request, maybe one within a batch. */
  request(isInBatch = false) {
    const beside = (node) => this.beside(texts(member(node, META)));
    return {
      keys: (node, typed) => [key(META), ...(beside(node).keys?.(node, typed) ?? [])],
      member: (name, node) => (name === META ? this.meta(node, isInBatch) : beside(node).member?.(name, node)),
    };
  }

  beside(told) {
    const rule = ruleOf(this.language, told);
    switch (rule?.beside) {
      case "fields": return this.fields(told.namespace);
      case "values": return this.written(told.namespace);
      case "totals": return { member: () => this.total(told.namespace) };
      case "arguments": return this.argumentsOf(rule.name);
      default: return {};
    }
  }

  argumentsOf(intent) {
    const shape = (name) => (name === "requests" ? { item: this.request(true) } : FLAGS.includes(name) ? boolean : {});
    return object(Object.fromEntries((ARGUMENTS[intent] ?? []).map((name) => [name, shape(name)])));
  }

  /** Whether the key may do that with `namespace`, or with any where none is told. */
  may(rule, namespace) {
    if (rule.of === "system.Batch") return !namespace || namespace === rule.of;
    return (namespace ? [namespace] : [...this.session.models.keys()]).some((each) => this.session.can(rule.name, each));
  }

  intents({ schema = "model", namespace }, isInBatch) {
    return this.language.intents.filter((rule) => rule.schema === schema && this.may(rule, namespace))
      .filter((rule) => !isInBatch || rule.of !== "system.Batch").map((rule) => value(rule.name, isWrite(rule) ? "writes" : ""));
  }

  namespaces({ schema = "model", intent }) {
    const one = ruleOf(this.language, { schema, intent });
    const rules = one ? [one] : this.language.intents.filter((rule) => rule.schema === schema);
    return [...this.session.models.keys(), "system.Batch"]
      .filter((each) => rules.some((rule) => (!rule.of || rule.of === each) && this.may(rule, each))).map((each) => value(each));
  }

  /** The `__meta__` of `outer`, a request. */
  meta(outer, isInBatch) {
    const rule = (node) => ruleOf(this.language, texts(node)) ?? { takes: [], needs: [] };
    const about = (name, node) => (rule(node).needs.includes(name) ? "needed" : "");
    return {
      keys: (node) => ["intent", "namespace", "schema", ...rule(node).takes, "authenticationClass", "draw"]
        .map((name) => key(name, about(name, node))),
      member: (name, node) => {
        const told = texts(node);
        if (name === "intent") return { values: () => this.intents(told, isInBatch) };
        if (name === "namespace") return { values: () => this.namespaces(told) };
        const isOfGroups = rule(node).beside === "totals" && (name === "having" || name === "ordering");
        return isOfGroups ? this.ofGroups(name, this.groups(told.namespace, node, outer)) : this.metaMember(name, told.namespace);
      },
    };
  }

  /** A key of any `__meta__`, about the records of `namespace`. */
  metaMember(name, namespace) {
    switch (name) {
      case "schema": return oneOf("model", "controller");
      case "authenticationClass": return oneOf("apiKey");
      case "filter": case "exclude": return this.filter(namespace);
      case "uniqueObject": return this.uniqueObject(namespace);
      case "ordering": return someOf(signed((typed) => this.paths(namespace, typed)));
      case "groupBy": return someOf(this.path(namespace));
      case "onField": return this.path(namespace);
      case "return": return this.fields(namespace);
      case "objects": return { item: this.written(namespace) };
      case "search": return object({ value: {} });
      case "cache": return object({ enabled: boolean });
      case "count": return { ...boolean, ...object({ upTo: {} }) };
      case "dryRun": return boolean;
      default: return {};
    }
  }

  filter(namespace) {
    const walk = (path) => this.walk(namespace, path.split("__"));
    return conditions(walk, (typed) => this.paths(namespace, typed, { lookups: true }), this.path(namespace));
  }

  /** A path to a field, or to a part of it. */
  path(namespace) {
    return { values: (typed) => this.paths(namespace, typed, { parts: true }).map(([path, hint]) => value(path, hint)) };
  }

  uniqueObject(namespace) {
    const model = this.session.models.get(namespace);
    const together = new Set(model?.unique_together?.flat());
    const fields = (model?.fields ?? []).filter((field) => field.unique || together.has(field.name));
    return valuesOf(model?.versioned ? [...fields, { name: "version", type: "integer" }] : fields);
  }

  /** The values of a record that is written, those first that are required. */
  written(namespace) {
    const fields = (this.session.models.get(namespace)?.fields ?? []).filter(({ writable }) => writable);
    return valuesOf(fields.toSorted((one, other) => other.required - one.required));
  }

  /** The fields and the ways back of a model, with the model that each `leads` to, as far as the key may read them. */
  readable(namespace) {
    if (!this.session.may("read", namespace)) return [];
    const { fields, reverse = [] } = this.session.models.get(namespace);
    return [...fields, ...reverse.map(({ name, from }) => ({ name, type: "refs", to: from }))]
      .map((field) => ({ ...field, leads: this.session.may("read", field.to) ? field.to : null }));
  }

  /** The fields that are asked for, those of related records within them. */
  fields(namespace, isList = false) {
    const all = this.readable(namespace);
    return {
      values: () => [value(null, "the id")],
      keys: () => [...(isList ? [key(META)] : []), ...all.map((field) => key(field.name, about(field), field.leads ? "{|}" : "null|"))],
      member: (name) => {
        if (name === META) return this.some(NESTED, namespace);
        const field = all.find((one) => one.name === name);
        if (field?.leads) return this.fields(field.leads, field.type === "refs");
        return { values: () => [value(null)], ...this.derived(namespace, field) };
      },
    };
  }

  /** A field by another name, or transformed; a name that is no field may be a subquery. */
  derived(namespace, field) {
    const transforms = { keys: () => this.language.transforms.map((name) => key(name, "", "{|}")) };
    const members = { __transform__: transforms, __field__: this.path(namespace) };
    const begun = { [META]: '{ "intent": "subquery", "namespace": "|" }' };
    return object(field ? members : { ...members, [META]: this.subquery(namespace) }, begun);
  }

  /** Some of the keys of `__meta__`. */
  some(names, namespace) {
    return { keys: () => names.map((name) => key(name)), member: (name) => this.metaMember(name, namespace) };
  }

  subquery(outer) {
    return {
      ...this.some(SUBQUERY),
      member: (name, node) => {
        const { namespace } = texts(node);
        switch (name) {
          case "intent": return oneOf("subquery");
          case "namespace": return { values: () => this.namespaces({ intent: "retrieve" }) };
          case "outerRefMapping": return { item: object({ field: this.path(namespace), referenceField: this.path(outer) }) };
          case "sequencedProcess": return { item: this.step(namespace) };
          default: return this.metaMember(name, namespace);
        }
      },
    };
  }

  step(namespace) {
    const castType = oneOf("integer", "float", "decimal", "string", "boolean", "date", "datetime");
    const functions = oneOf(...this.language.functions);
    return object({ function: functions, onField: this.path(namespace), castType, value: {}, digits: {}, separator: {} });
  }

  total(namespace) {
    const of = (name) => this.metaMember(name, namespace);
    const functions = oneOf(...this.language.functions);
    return object({ function: functions, onField: of("onField"), filter: of("filter"), ordering: of("ordering"), separator: {} });
  }

  /** Where a path leads to: a `type`, `choices`, the model that it `leads` to, and its `lookup` if it ends with one. Null where nowhere. */
  walk(namespace, segments) {
    return segments.reduce((at, segment) => {
      const field = at?.leads && this.readable(at.leads).find(({ name }) => name === segment);
      return field ? { ...field, type: this.typeOf(field) } : this.beyond(at, segment);
    }, { leads: namespace });
  }

  /** What comes behind a field: a part of a date, a lookup, or a key inside json. */
  beyond(at, segment) {
    if (!at?.type || at.lookup) return null;
    if (this.parts(at).includes(segment)) return { type: segment === "date" ? "date" : "integer", part: segment };
    if (this.lookups(at).includes(segment)) return { ...at, leads: null, lookup: segment };
    return at.type === "json" ? { type: "json", isInside: true } : null;
  }

  lookups({ type, isInside }) {
    return isInside ? [...new Set(Object.values(this.language.lookups).flat())] : this.language.lookups[type] ?? [];
  }

  parts({ type, part }) {
    return part ? [] : this.language.parts[type] ?? [];
  }

  /** The type that a field is compared as: of a reference that of the id. */
  typeOf({ type, to }) {
    if (!/^refs?$/.test(type)) return type;
    return this.session.models.get(to)?.fields.find(({ name }) => name === "id")?.type ?? "integer";
  }

  /** The paths that begin with all that is typed up to its last `__`, each a step longer. */
  paths(namespace, typed, also = {}) {
    const before = typed.match(/^[^_].*__/)?.[0] ?? "";
    const at = before ? this.walk(namespace, before.slice(0, -2).split("__")) : { leads: namespace };
    const fields = at?.leads ? this.readable(at.leads).map((field) => [field.name, about(field)]) : [];
    return [...fields, ...this.endings(at, also)].map(([word, hint]) => [before + word, hint]);
  }

  /** The lookups and parts that may follow. */
  endings(at, { lookups = false, parts = lookups }) {
    if (!at?.type || at.lookup) return [];
    const hinted = (words, hint) => words.map((word) => [word, hint]);
    return [...hinted(lookups ? this.lookups(at) : [], "lookup"), ...hinted(parts ? this.parts(at) : [], "part")];
  }

  /** What the groups of an `aggregate` have: what they are grouped by, and their totals, with types. */
  groups(namespace, meta, outer) {
    const by = member(meta, "groupBy");
    const nodes = by?.members?.map(({ node }) => node) ?? [by];
    const paths = nodes.filter((node) => node?.kind === "string").map((node) => node.value);
    const made = new Map(Object.entries({ count: "integer", countdistinct: "integer", exists: "boolean", avg: "float", concat: "string" }));
    const totals = outer.members.filter(({ name, node }) => name !== META && node?.kind === "object").map(({ name, node }) => {
      const told = texts(node);
      return [name, { type: made.get(told.function?.toLowerCase()) ?? this.walk(namespace, (told.onField ?? "id").split("__"))?.type }];
    });
    return new Map([...paths.map((path) => [path, this.walk(namespace, path.split("__"))]), ...totals]);
  }

  /** `having` or `ordering` of groups. */
  ofGroups(name, groups) {
    const all = [...groups].map(([path, at]) => [path, at?.type ?? ""]);
    if (name === "ordering") return someOf(signed(() => all));
    const first = (path) => [...groups.keys()].find((each) => path === each || path.startsWith(`${each}__`));
    const rest = (path) => path.slice((first(path) ?? "").length + 2).split("__").filter(Boolean);
    const walk = (path) => rest(path).reduce((at, segment) => this.beyond(at, segment), groups.get(first(path)));
    const longer = (of) => this.endings(groups.get(of), { lookups: true }).map(([word, hint]) => [`${of}__${word}`, hint]);
    return conditions(walk, (typed) => [...all, ...(typed.includes("__") ? longer(first(typed)) : [])], {});
  }
}

/** Paths that may have a minus before them. */
function signed(paths) {
  return {
    values: (typed) => {
      const sign = typed.startsWith("-") ? "-" : "";
      return paths(typed.slice(sign.length)).map(([path, hint]) => value(sign + path, hint));
    },
  };
}

/** Conditions, whose paths are told by `paths(typed)` and understood by `walk(path)`. */
function conditions(walk, paths, other) {
  const logic = [["__and__", "all of these", "[{|}]"], ["__or__", "any of these", "[{|}]"], ["__not__", "not this", "{|}"]];
  const all = {
    keys: (_, typed) => [...paths(typed).map(([path, hint]) => key(path, hint, compared(walk(path)))), ...logic.map((one) => key(...one))],
    member: (name) => {
      if (name === "__not__") return all;
      if (name === "__and__" || name === "__or__") return { item: all };
      const at = walk(name);
      return at?.lookup === "isnull" ? boolean : { ...known(at), ...object({ __field__: other }) };
    },
  };
  return all;
}

/** An object of `fields` and values. */
function valuesOf(fields) {
  return {
    keys: () => fields.map((field) => key(field.name, field.required ? `${about(field)}, required` : about(field), given(field))),
    member: (name) => known(fields.find((field) => field.name === name)),
  };
}

/** The values that are known of a field. */
function known(field) {
  const all = field?.choices ?? (field?.type === "boolean" ? [true, false] : []);
  return someOf({ values: () => [...all, ...(field?.null ? [null] : [])].map((one) => value(one)) });
}

/** What is told of a field beside its name. */
function about({ type, to }) {
  if (!to) return type;
  return type === "refs" ? `list of ${to}` : to;
}

/** What follows the name of a field that gets a value. */
function given({ type }) {
  if (type === "refs") return "[|]";
  return QUOTED.includes(type) ? '"|"' : "|";
}

/** What follows a path in a filter. */
function compared(at) {
  if (at?.lookup === "isnull") return "true|";
  const one = QUOTED.includes(at?.type) ? '"|"' : "|";
  return at?.lookup === "in" || at?.lookup === "range" ? `[${one}]` : one;
}
