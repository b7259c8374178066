// What is offered where the caret is, what a text that is not JSON is told, and where a pointer leads; no browser is needed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { complete } from "../../src/admin/completion.js";
import { format, inline, lineOf, locate, scan } from "../../src/admin/scan.js";

const ORDERED = ["exact", "in", "gt", "gte", "lt", "lte", "range", "isnull"];
const TEXT = [...ORDERED, "iexact", "contains", "icontains"];
const DATE = ["year", "month"];

/** A field as `describe` tells it. */
const field = (name, type, more = {}) => ({ name, type, null: false, required: false, writable: true, ...more });
const id = field("id", "integer", { writable: false, unique: true });

const MODELS = [
  {
    namespace: "tickets.Category", actions: ["read"], intents: ["retrieve", "retrieveOne", "count", "aggregate"],
    unique_together: [],
    fields: [id, field("name", "string", { unique: true, required: true })],
    reverse: [{ name: "tickets", from: "tickets.Ticket", field: "category" }],
  },
  {
    namespace: "tickets.Ticket", actions: ["read", "create", "update"], intents: ["retrieve", "aggregate", "create", "update"],
    versioned: true, unique_together: [["title", "category"]],
    fields: [
      id, field("title", "string", { required: true }), field("status", "string", { choices: ["open", "closed"] }),
      field("urgent", "boolean", { null: true }), field("cost", "decimal", { null: true }),
      field("category", "ref", { to: "tickets.Category" }), field("customer", "ref"),
      field("created", "datetime", { writable: false }), field("data", "json"),
    ],
    reverse: [],
  },
  {
    namespace: "tickets.Note", actions: ["create"], intents: ["create"], unique_together: [],
    fields: [field("text", "text", { required: true })],
  },
];

const reads = ["uniqueObject", "filter", "exclude", "search", "ordering", "limit"];
const LANGUAGE = {
  lookups: {
    string: TEXT, text: TEXT, integer: ORDERED, decimal: ORDERED, boolean: ORDERED, json: ["exact", "in", "isnull", "has_key"],
    datetime: ORDERED, date: ORDERED, time: ORDERED,
  },
  parts: { datetime: ["date", ...DATE, "hour"], date: DATE, time: ["hour"] },
  intents: [
    { name: "retrieve", schema: "model", of: null, takes: reads, needs: [], beside: "fields" },
    { name: "aggregate", schema: "model", of: null, takes: ["groupBy", "having", "ordering"], needs: [], beside: "totals" },
    { name: "create", schema: "model", of: null, takes: ["return", "dryRun"], needs: [], beside: "values" },
    { name: "update", schema: "model", of: null, takes: ["uniqueObject", "dryRun"], needs: ["uniqueObject"], beside: "values" },
    { name: "deleteOne", schema: "model", of: null, takes: ["uniqueObject", "dryRun"], needs: ["uniqueObject"], beside: "nothing" },
    { name: "execute", schema: "controller", of: "system.Batch", takes: ["dryRun"], needs: [], beside: "arguments" },
  ],
  functions: ["Count", "Sum", "Round"],
  transforms: ["upper", "round"],
};

const session = {
  models: new Map(MODELS.map((model) => [model.namespace, model])),
  language: LANGUAGE,
  may: (action, namespace) => session.models.get(namespace)?.actions.includes(action) ?? false,
  can: (intent, namespace) => session.models.get(namespace)?.intents.includes(intent) ?? false,
};

/** The words at the bar in `text`. */
function words(text) {
  const caret = text.indexOf("|");
  return complete(text.replace("|", ""), caret, session).words.map(({ word }) => word);
}

/** How requests of an intent on a model begin. */
const begin = (intent, namespace = "tickets.Ticket") => `{ "__meta__": { "intent": "${intent}", "namespace": "${namespace}"`;
const GET = begin("retrieve");
const SUM = begin("aggregate");
const NOTE = begin("create", "tickets.Note");
const ADD = begin("create");
const TICKET = ["id", "title", "status", "urgent", "cost", "category", "customer", "created", "data"];
const LOGIC = ["__and__", "__or__", "__not__"];
const COMMON = ["intent", "namespace", "schema", "authenticationClass", "draw"];

/** A text with the caret as a bar, and what is offered there. */
const TABLE = [
  ["{|}", ["__meta__"]],
  ["|", []],
  ['{ "|', ["__meta__"]],
  ['{ "__meta__": {|', COMMON],
  ['{ "__meta__": { "intent": "update", | } }', ["namespace", "schema", "uniqueObject", "dryRun", "authenticationClass", "draw"]],
  ['{ "__meta__": { "intent": "aggregate", "o|', ["ordering"]],
  ['{ "__meta__": { "intent": "aggregate", "by|', ["groupBy"]],
  ['{ "__meta__": { "intent": "|', ["retrieve", "aggregate", "create", "update"]],
  ['{ "__meta__": { "intent": "|", "namespace": "tickets.Note" } }', ["create"]],
  ['{ "__meta__": { "intent": "de|', []],
  ['{ "__meta__": { "schema": "controller", "intent": "|', ["execute"]],
  ['{ "__meta__": { "intent": "read", "namespace": "tickets.Ticket", "f|', ["filter"]],
  ['{ "__meta__": { "schema": "|', ["model", "controller"]],
  ['{ "__meta__": { "namespace": "|', ["tickets.Category", "tickets.Ticket", "tickets.Note"]],
  ['{ "__meta__": { "intent": "update", "namespace": "|', ["tickets.Ticket"]],
  ['{ "__meta__": { "schema": "controller", "namespace": "|', ["system.Batch"]],
  ['{ "__meta__": { "intent": "count|er" } }', []],
  // Fields, and those of related records; what may not be read is not there.
  [`${GET} }, | }`, TICKET],
  [`{ "|", ${GET.slice(1)} }, "id": null, "title": null }`, TICKET.slice(2)],
  [`${GET} }, "category": { | } }`, ["id", "name", "tickets"]],
  [`${GET} }, "customer": { | } }`, ["__transform__", "__field__"]],
  [`${GET} }, "category": { "tickets": { "|" } } }`, ["__meta__", ...TICKET]],
  [`${GET} }, "category": { "tickets": { "__meta__": { |`, ["filter", "exclude", "search", "ordering", "limit", "offset"]],
  [`${GET} }, "category": { "tickets": { "__meta__": { "filter": { "status": "|`, ["open", "closed"]],
  [`${GET} }, "title": |`, ["null"]],
  [`${GET} }, "title": { "|`, ["__transform__", "__field__"]],
  [`${GET} }, "title": { "__transform__": { "|`, ["upper", "round"]],
  [`${GET} }, "area": { "__field__": "category__na|`, ["category__name"]],
  [`${GET} }, "month": { "__field__": "created__m|`, ["created__month"]],
  // Conditions.
  [`${GET}, "filter": { "|" } } }`, [...TICKET, ...LOGIC]],
  [`${GET}, "filter": { "cat|" } } }`, ["category"]],
  [`${GET}, "filter": { "category__|" } } }`, ["id", "name", "tickets", ...ORDERED].map((word) => `category__${word}`)],
  [`${GET}, "filter": { "category__tickets__sta|" } } }`, ["category__tickets__status"]],
  [`${GET}, "filter": { "customer__i|" } } }`, ["customer__in", "customer__isnull"]],
  [`${GET}, "filter": { "category__notes__|" } } }`, []],
  [`${GET}, "filter": { "title__i|" } } }`, ["in", "isnull", "iexact", "icontains"].map((word) => `title__${word}`)],
  [`${GET}, "filter": { "created__d|" } } }`, ["created__date"]],
  [`${GET}, "filter": { "created__year__|" } } }`, ORDERED.map((word) => `created__year__${word}`)],
  [`${GET}, "filter": { "title__in__|" } } }`, []],
  [`${GET}, "filter": { "data__owner__ic|" } } }`, ["data__owner__icontains"]],
  [`${GET}, "filter": { "data__|" } } }`, ["exact", "in", "isnull", "has_key"].map((word) => `data__${word}`)],
  [`${GET}, "filter": { "status": |`, ["open", "closed"]],
  [`${GET}, "filter": { "status__in": ["|`, ["open", "closed"]],
  [`${GET}, "filter": { "urgent": |`, ["true", "false", "null"]],
  [`${GET}, "filter": { "urgent": "|`, []],
  [`${GET}, "filter": { "title__isnull": t|`, ["true"]],
  [`${GET}, "filter": { "__or__": [{ "__not__": { "status": "o|`, ["open", "closed"].slice(0, 1)],
  [`${GET}, "exclude": { "created": { "__field__": "ti|`, ["title"]],
  [`${GET}, "ordering": "-cr|`, ["-created"]],
  [`${GET}, "ordering": ["id", "category__n|`, ["category__name"]],
  [`${GET}, "search": { |`, ["value"]],
  // Totals.
  [`${SUM}, "groupBy": ["created__y|`, ["created__year"]],
  [`${SUM} }, "n": { "|`, ["function", "onField", "filter", "ordering", "separator"]],
  [`${SUM} }, "n": { "function": "s|`, ["Sum"]],
  [`{ "n": { "function": "Count" }, ${SUM.slice(2)}, "groupBy": "status", "having": { "|" } } }`,
    ["status", "n", ...LOGIC]],
  [`{ "n": { "function": "Count" }, ${SUM.slice(2)}, "having": { "n__g|" } } }`, ["n__gt", "n__gte"]],
  ['{ "n": { "function": "Count" }, "__meta__": { "intent": "aggregate", "namespace": "tickets.Ticket", "ordering": "-|" } }', ["-n"]],
  // Subqueries.
  [`${GET} }, "n": { "|`, ["__transform__", "__field__", "__meta__"]],
  [`${GET} }, "n": { "__meta__": { "namespace": "|`, ["tickets.Category", "tickets.Ticket"]],
  [`${GET} }, "n": { "__meta__": { "namespace": "tickets.Category", "outerRefMapping": [{ "field": "na|`, ["name"]],
  [`${GET} }, "n": { "__meta__": { "namespace": "tickets.Category", "outerRefMapping": [{ "referenceField": "cat|`, ["category"]],
  [`${GET} }, "n": { "__meta__": { "namespace": "tickets.Category", "sequencedProcess": [{ "function": "|`, ["Count", "Sum", "Round"]],
  // Writes; what is written need not be readable.
  [`${NOTE} }, |`, ["text"]],
  [`${ADD} }, "|`, ["title", "status", "urgent", "cost", "category", "customer", "data"]],
  [`${ADD} }, "status": "c|`, ["closed"]],
  ['{ "__meta__": { "intent": "update", "namespace": "tickets.Ticket", "uniqueObject": { "|', ["id", "title", "category", "version"]],
  [`${NOTE}, "return": { "|`, []],
  ['{ "__meta__": { "intent": "create", "dryRun": |', ["true", "false"]],
  // Batches.
  ['{ "__meta__": { "schema": "controller", "intent": "execute" }, "requests": [{ "__meta__": { "intent": "u|', ["update"]],
  ['{ "__meta__": { "schema": "controller", "intent": "execute" }, "requests": [{ "__meta__": { "schema": "controller", "intent": "|', []],
  ['{ "__meta__": { "schema": "controller", "intent": "execute" }, | }', ["requests", "atomic"]],
  // Where nothing is known.
  ['{ "__meta__": { "intent": "retrieve", "namespace": "no.Model", "filter": { "|', LOGIC],
  ['{ "__meta__"|', []],
  ["[|", []],
];

for (const [text, expected] of TABLE) test(`offered: ${text}`, () => assert.deepEqual(words(text), expected));

test("taking a word replaces all of it and nothing else", () => {
  const taken = (text) => {
    const caret = text.indexOf("|");
    const whole = text.replace("|", "");
    const { start, end, words: [first] } = complete(whole, caret, session);
    return whole.slice(0, start) + first.puts + whole.slice(end);
  };
  assert.equal(taken('{ "__meta__": { "int|'), '{ "__meta__": { "intent": "|"');
  assert.equal(taken('{ "__meta__": { "int|ent": "retrieve" } }'), '{ "__meta__": { "intent"|: "retrieve" } }');
  assert.equal(taken('{ "__meta__": { "intent": "ret|" } }'), '{ "__meta__": { "intent": "retrieve"| } }');
  assert.equal(taken(`${GET}, fil| } }`), `${GET}, "filter": {|} } }`);
  assert.equal(taken(`${GET} }, "ti| }, "id": null`), `${GET} }, "title": null| }, "id": null`);
});

test("the first mistake is told with its place, and only where there is one", () => {
  const cases = [
    ['{"a": 1}', null], ['{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {}}', null], ["[]", null], ['"x"', null],
    ['{"a": 1,}', 8], ['{"a" 1}', 5], ['{"a": 1 "b": 2}', 8], ["[1, 2", 5], ['{"a": }', 6], ["", 0], ['{"a": tru}', 6], ['{"a": 01}', 6],
    ['{"a": "x\ty"}', 6], ["[".repeat(200) + "]".repeat(200), 127],
    ['{"a": "x}', 6], ['{"a": "\\q"}', 6], ['{"a": 1}}', 8], ['{"a": 1},', 8], ['{"a": [}', 7], ["{,}", 1], ["[1 2]", 3],
    ["{a: 1}", 1], ['{"a": 1} "x"', 9], ["{1: 2}", 1], ['{"a"}', 4], ['{"a": 1]', 7], ["{\u00a0}", 1], ['{"a": 1, "a": 2}', 9],
  ];
  for (const [text, at] of cases) assert.equal(scan(text).mistake?.at ?? null, at, text);
});

test("no text makes the scanner fail, and what it passes is JSON", () => {
  const pieces = ["{", "}", "[", "]", ",", ":", '"', '"a"', "1", "true", " ", "\\", "\n", "null", "é",
    '"__meta__":{', '"intent":"aggregate",', '"constructor":', '"__proto__":', '"filter":{', '"namespace":"tickets.Ticket",'];
  let state = 42;
  const next = () => (state = (state * 1103515245 + 12345) % 2 ** 31);
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: next() % 9 }, () => pieces[(next() >> 8) % pieces.length]).join("");
    const { mistake } = scan(text);
    if (mistake) assert.ok(mistake.at <= text.length);
    else assert.doesNotThrow(() => JSON.parse(text), text);
    complete(text, next() % (text.length + 1), session);
  }
});

test("a pointer leads to its member, or to what is left of the way", () => {
  const text = '{ "a~/b": { "list": [10, { "x": "é" }] }, "c": null }';
  const at = (pointer) => {
    const { start, end } = locate(text, pointer);
    return text.slice(start, end);
  };
  assert.equal(at("/a~0~1b/list/1/x"), '"x": "é"');
  assert.equal(at("/a~0~1b/list/0"), "10");
  assert.equal(at("/a~0~1b/list/7"), '"list": [10, { "x": "é" }]');
  assert.equal(at("/c"), '"c": null');
  assert.equal(at("/d"), text);
  assert.equal(at(""), text);
});

test("lines and columns are counted from 1", () => {
  assert.deepEqual(lineOf("ab\ncd", 0), { line: 1, column: 1 });
  assert.deepEqual(lineOf("ab\ncd", 4), { line: 2, column: 2 });
});

test("a formatted text is the same to the digit", () => {
  const text = '{"__meta__":{"filter":{"n__in":[123456789012345678901234567890,1.50,1e400,"\\u00e9"]},"ordering":[]},"id":null}';
  const numbers = (json) => json.match(/"(?:[^"\\]|\\.)*"|[\d.e]+/g);
  assert.deepEqual(numbers(format(text)), numbers(text));
  assert.equal(format(format(text)), format(text));
  assert.deepEqual(JSON.parse(format(text)), JSON.parse(text));
  assert.equal(format(inline(format(text))), format(text));
  assert.ok(!inline(text).includes("\n"));
});
