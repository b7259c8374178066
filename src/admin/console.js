// The console: a request is written with completion, sent as it is, and its answer shown as it came.

import { complete, isWrite, ruleOf } from "./completion.js";
import { h } from "./dom.js";
import { editor } from "./editor.js";
import { examples } from "./examples.js";
import { write } from "./jql.js";
import { format, inline, lineOf, locate, member, scan, texts } from "./scan.js";
import { tree } from "./tree.js";
import { badge, confirm, control, copy, count, refused, select } from "./ui.js";

export const title = "Console";

const KEPT = 20;
/** Characters of an answer that are shown as text; copying takes all of them. */
const SHOWN = 200_000;

/** What was written and sent in a session; it is forgotten with it. */
const drafts = new WeakMap();

export function offered(session) {
  return session.models.size > 0;
}

export async function show({ session, signal }) {
  const ready = examples(session).map(([label, made]) => [label, format(write(made))]);
  const draft = drafts.get(session) ?? { text: ready[0]?.[1] ?? "", history: [] };
  drafts.set(session, draft);

  const problem = h("div", {});
  const answer = h("section", { class: "answer", "aria-label": "Answer" }, h("p", { class: "empty" }, "The answer will be here."));
  const past = h("ol", {});
  const told = h("div", { class: "unseen", role: "status" });
  const isFree = control({ name: "free", label: "Run writes without asking", input: h("input", { type: "checkbox" }) });
  const start = h("button", { type: "button", class: "primary", onclick: run }, "Run");
  const stop = h("button", { type: "button", disabled: true, onclick: () => running?.abort() }, "Cancel");
  let running = null;

  const code = editor({
    label: "Request", text: draft.text, run,
    help: "Ctrl+Space completes, Ctrl+Enter runs. Escape closes the completions; Tab then leaves the editor.",
    complete: (text, caret) => complete(text, caret, session),
    changed() {
      draft.text = code.input.value;
      if (problem.children.length) check();
    },
  });

  /** The request as it is read; nothing where it has a mistake, which is shown. */
  function check() {
    const { root, mistake } = scan(code.input.value);
    if (!mistake) {
      problem.replaceChildren();
      return root.members[0].node;
    }
    const { line, column } = lineOf(code.input.value, mistake.at);
    const go = link(() => code.select(mistake.at, mistake.at + 1), `Line ${line}, column ${column}`);
    problem.replaceChildren(h("div", { class: "refused", role: "alert" }, h("p", {}, go, `: ${mistake.what}`)));
    return null;
  }

  async function run() {
    const node = running ? null : check();
    if (!node) return;
    const text = code.input.value;
    const writes = changes(session.language, node);
    if (writes.length && !isFree.read() && !await isMeant(writes)) return;
    running = new AbortController();
    start.disabled = true;
    stop.disabled = false;
    told.textContent = "Running.";
    try {
      keep(text, node, await session.client.send(text, { signal: AbortSignal.any([signal, running.signal]) }));
      if (writes.some((one) => /^(apply|reset|restore) /.test(one))) await session.learn();
    } catch (error) {
      fail(text, node, error);
    } finally {
      running = null;
      start.disabled = false;
      stop.disabled = true;
    }
  }

  function fail(text, node, error) {
    if (signal.aborted) return;
    if (error.answer) return keep(text, node, error.answer);
    told.textContent = "";
    answer.replaceChildren(running.signal.aborted
      ? h("p", {}, "Cancelled. What the request was to change may have been changed all the same.") : refused(error));
  }

  /** Shows an answer, and puts its request into the list of those before. */
  function keep(text, node, came) {
    const { intent = "", namespace = "" } = texts(member(node, "__meta__"));
    const done = { text, name: `${intent} ${namespace}`, at: new Date(), status: came.status, took: taken(came) };
    draft.history = [done, ...draft.history].slice(0, KEPT);
    recall();
    told.textContent = `Answered with ${came.status} in ${taken(came)}.`;
    answer.replaceChildren(...shown(came, (pointer) => {
      const { start, end } = locate(code.input.value, pointer);
      code.select(start, end);
    }));
    answer.firstChild.scrollIntoView({ block: "nearest" });
  }

  function recall() {
    past.replaceChildren(...draft.history.map(({ text, name, at, status, took }) =>
      h("li", {}, link(() => code.put(text), name), " ", mark(status), ` ${took}, ${at.toLocaleTimeString()}`)));
  }

  function tidy() {
    if (check()) code.put(format(code.input.value));
  }

  recall();
  return h("div", { class: "console" },
    h("div", {}, chooser(ready, (text) => code.put(text)), code.element, problem, told,
      h("div", { class: "buttons" }, start, stop, h("button", { type: "button", onclick: tidy }, "Format"),
        copy(() => curl(new URL("jql", document.baseURI), code.input.value), "Copy as curl")),
      isFree.element,
      h("details", { class: "past" }, h("summary", {}, "The last requests"), past)),
    answer);
}

/** A choice of examples. */
function chooser(ready, put) {
  if (!ready.length) return null;
  const choice = control({ name: "example", label: "Example", input: select(ready.map(([label, text]) => [text, label]), ready[0][1]) });
  return h("div", { class: "bar" }, choice.element, h("button", { type: "button", onclick: () => put(choice.read()) }, "Use this example"));
}

/** What a request would change, each of a batch for itself; nothing of what only reads, or is a dry run. */
export function changes(language, node) {
  const meta = member(node, "__meta__");
  const told = texts(meta);
  if (member(meta, "dryRun")?.value === true) return [];
  if (told.namespace === "system.Batch") return (member(node, "requests")?.members ?? []).flatMap((one) => changes(language, one.node));
  const rule = ruleOf(language, told);
  if (!told.intent || !told.namespace) return []; // is refused
  return rule && !isWrite(rule) ? [] : [`${told.intent} of ${told.namespace}`];
}

/** Asks before a write. */
function isMeant(writes) {
  const many = writes.length > 5 ? [...writes.slice(0, 5), `${writes.length - 5} more`] : writes;
  return confirm({
    title: "Run this write?", verb: "Run", danger: writes.some((one) => one.startsWith("delete")), act: async () => true,
    text: `It carries out ${many.join(", ")}. With "dryRun": true in __meta__ it is only tried, and changes nothing.`,
  });
}

const link = (onclick, ...text) => h("button", { type: "button", class: "plain", onclick }, text);
const mark = (status) => badge(status, status < 400 ? "good" : "bad");
const taken = ({ milliseconds }) => `${count(Math.round(milliseconds))} ms`;

/** An answer: what it took, what is wrong, and the whole of it as a tree or as text. `go` goes to where a pointer leads. */
function shown(came, go) {
  const { envelope, text } = came;
  const queries = envelope?.extras?.queries;
  const statements = queries != null && `${count(queries)} SQL statement${queries === 1 ? "" : "s"}`;
  const facts = [taken(came), statements, `${count(new Blob([text]).size)} bytes`];
  const body = h("div", {}, envelope ? tree(envelope) : raw(text));
  const toggle = envelope && h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const isRaw = toggle.getAttribute("aria-pressed") === "false";
    toggle.setAttribute("aria-pressed", isRaw);
    body.replaceChildren(isRaw ? raw(text) : tree(envelope));
  } }, "As text");
  return [
    h("div", { class: "buttons" }, mark(came.status), h("span", {}, facts.filter(Boolean).join(", ")), toggle, copy(text, "Copy answer")),
    envelope?.errors?.length > 0 && h("div", { class: "refused" }, envelope.errors.map((one) => mistake(one, go))),
    body,
  ].filter(Boolean);
}

/** What the server refused, with the way to its place in the request. */
function mistake({ errorMessage, pointer, hint }, go) {
  const place = pointer != null && link(() => go(pointer), h("span", { class: "unseen" }, "Go to "), h("code", {}, pointer || "/"));
  return h("p", {}, errorMessage, hint && h("span", { class: "hint" }, ` ${hint}`), " ", place);
}

function raw(text) {
  const cut = text.length > SHOWN && h("p", { class: "help" }, `These are the first ${count(SHOWN)} of ${count(text.length)} characters.`);
  return h("div", {}, cut, h("pre", { tabindex: "0", role: "region", "aria-label": "Answer as text" }, text.slice(0, SHOWN)));
}

/** Characters that a terminal would not just show. They only ever stand in strings, where JSON has another way of writing them. */
const UNSEEN = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** The request as a command of a shell. The key is named and not told, so that it gets into no history. */
export function curl(url, text) {
  const body = (scan(text).mistake ? text : inline(text)).replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `curl -sS ${quoted(url)} -H "Authorization: Bearer $JQLITE_KEY" -H 'Content-Type: application/json' --data-raw ${quoted(body)}`;
}

/** One word of a shell, whatever is in it. */
const quoted = (word) => `'${String(word).replaceAll("'", "'\\''")}'`;
