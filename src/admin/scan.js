// Reads a text of JSON as far as it goes, also one that is not finished: what stands where, and the first mistake. Pure.

const TOKEN = /[ \t\r\n]*(?:("[^"\\\n]*(?:\\.[^"\\\n]*)*"?)|([{}[\],:])|([^ \t\r\n"{}[\],:]+))/y;
const ENDED = /^"[^"\\]*(?:\\.[^"\\]*)*"$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** Levels of JSON that a request may have. */
const DEEPEST = 127;
const WORDS = new Map([["true", true], ["false", false], ["null", null]]);

/**
 * One pass over `text`. `root` holds the value as its only member. A node has a `kind` (object, list, string, number, word), `start` and
 * `end`; an object or list has `members`, each with a `name` (of a list a number), the `key`'s node, and the value's `node`; a string or
 * word has a `value`. `mistake` is null, or says `at` which character what is wrong. `frames` are the nodes around the character `at`,
 * outermost first, each with the `name` of the member that is being read there, and what it `expects`.
 */
export function scan(text, at = Infinity) {
  const root = { kind: "root", start: 0, end: text.length, members: [] };
  const open = [{ node: root, expects: "value", name: 0, member: null, names: null }];
  const found = { root, mistake: null, frames: null };
  const top = () => open.at(-1);
  const wrong = (where, what) => { found.mistake ??= { at: where, what }; };
  const note = () => { found.frames = open.map(({ node, name, expects }) => ({ node, name, expects })); };

  /** A value has come, or the key of one. */
  function take(node) {
    const around = top();
    const isObject = around.node.kind === "object";
    const isInner = node.kind === "object" || node.kind === "list";
    if (around.expects === "comma") {
      wrong(node.start, around.node === root ? "The request has ended before this." : "A comma is missing before this.");
      around.expects = isObject ? "key" : "value";
    }
    if (around.expects === "key") {
      if (node.kind !== "string") wrong(node.start, "A name in double quotes is expected here.");
      if (around.names.has(node.value)) wrong(node.start, `The name ${JSON.stringify(node.value)} stands here twice.`);
      around.names.add(node.value);
      around.name = node.value;
      around.member = { name: node.value, key: node, node: null };
      around.node.members.push(around.member);
      around.expects = "colon";
      if (!isInner) return;
    }
    if (around.expects === "colon") wrong(node.start, "A colon is missing before this.");
    if (isObject) around.member.node = node;
    else around.name = around.node.members.push({ name: around.node.members.length, key: null, node });
    around.expects = "comma";
    if (isInner) enter(node);
  }

  function enter(node) {
    if (open.length > DEEPEST) wrong(node.start, "This is nested too deeply.");
    open.push({ node, expects: node.kind === "object" ? "key" : "value", name: 0, member: null, names: new Set() });
  }

  function mark(sign, start) {
    const around = top();
    const isObject = around.node.kind === "object";
    if (sign === "{" || sign === "[") take({ kind: sign === "{" ? "object" : "list", start, end: text.length, members: [] });
    else if (sign === ":") {
      if (around.expects !== "colon") wrong(start, "No colon may stand here.");
      if (around.expects === "key") around.member = {};
      if (isObject) around.expects = "value";
    } else if (sign === ",") {
      if (around.expects !== "comma" || around.node === root) wrong(start, "No comma may stand here.");
      if (around.node !== root) around.expects = isObject ? "key" : "value";
    } else close(sign, start);
  }

  function close(sign, start) {
    const kind = sign === "}" ? "object" : "list";
    const isEmpty = !top().node.members.length;
    if (top().node.kind !== kind) wrong(start, `No "${sign}" may stand here.`);
    else if (top().expects !== "comma" && !(isEmpty && top().expects !== "colon")) {
      wrong(start, top().expects === "key" ? "A comma stands before this, and nothing behind it." : "A value is missing before this.");
    }
    const depth = open.findLastIndex(({ node }) => node.kind === kind);
    if (depth < 0) return;
    open[depth].node.end = start + 1;
    open.length = depth;
  }

  TOKEN.lastIndex = 0;
  for (let match; (match = TOKEN.exec(text));) {
    const [, string, sign, bare] = match;
    const end = TOKEN.lastIndex;
    const start = end - (string ?? sign ?? bare).length;
    if (!found.frames && start >= at) note();
    if (sign) mark(sign, start);
    else if (string) take({ kind: "string", start, end, value: textOf(string, (what) => wrong(start, what)) });
    else take(plain(bare, start, end, (what) => wrong(start, what)));
    TOKEN.lastIndex = end;
  }
  if (!found.frames) note();
  if (open.length > 1) wrong(text.length, `A "${top().node.kind === "object" ? "}" : "]"}" is missing at the end.`);
  else if (!root.members.length) wrong(0, "There is no request yet.");
  return found;
}

/** What a string says. */
function textOf(string, wrong) {
  try {
    return JSON.parse(string);
  } catch {
    wrong(ENDED.test(string) ? "This text holds a character that must be escaped with a backslash, or a wrong escape."
      : "This text does not end with a double quote.");
    return string.slice(1).replace(/"$/, "");
  }
}

function plain(bare, start, end, wrong) {
  if (NUMBER.test(bare)) return { kind: "number", start, end };
  if (!WORDS.has(bare)) wrong(`${bare.slice(0, 20)} is no value: a text needs double quotes.`);
  return { kind: "word", start, end, value: WORDS.get(bare) };
}

/** The value of a member of `node`, as a node. */
export function member(node, name) {
  return node?.members?.find((one) => one.name === name)?.node;
}

/** The texts among the members of `node`. */
export function texts(node) {
  return Object.fromEntries((node?.members ?? []).filter((one) => one.node?.kind === "string").map((one) => [one.name, one.node.value]));
}

/** The word that the caret is in, from `start` to `end`, of which `typed` stands before the caret; and the `frames` around that word. */
export function caretIn(text, caret) {
  const before = text.slice(0, caret);
  let start = caret;
  TOKEN.lastIndex = 0;
  for (let match; (match = TOKEN.exec(before));) {
    const [, string, , bare] = match;
    if (TOKEN.lastIndex === caret && (bare || (string && !ENDED.test(string)))) start = caret - (string ?? bare).length;
  }
  const isQuoted = text[start] === '"' && start < caret;
  const rest = text.slice(caret, caret + 200).match(isQuoted ? /^([^\s"\\{}[\],:][^"\\\n{}[\],:]*)?"/ : /^[\w.-]*/);
  const end = start < caret && rest ? caret + rest[0].length : caret;
  const typed = text.slice(start + (isQuoted ? 1 : 0), caret);
  const { frames } = scan(text.slice(0, start) + text.slice(end), start);
  return { start, end, typed, isQuoted, frames };
}

/** Where `pointer` (RFC 6901) leads to in `text`, or to the last part of it that is there. */
export function locate(text, pointer) {
  let node = scan(text).root.members[0]?.node;
  let range = node ?? { start: 0, end: 0 };
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const next = node?.members?.find((one) => String(one.name) === name);
    if (!next) break;
    node = next.node;
    range = { start: next.key?.start ?? node.start, end: node?.end ?? next.key.end };
  }
  return { start: range.start, end: range.end };
}

/** Line and column of a character, both counted from 1. */
export function lineOf(text, at) {
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: lines.at(-1).length + 1 };
}

/** `text` on as few lines as are easy to read; texts and numbers stay as they are written. It must be without mistakes. */
export function format(text) {
  return broken(text, scan(text).root.members[0].node, "", 0);
}

/** `text` in one line. */
export function inline(text) {
  return line(text, scan(text).root.members[0].node);
}

function line(text, node) {
  if (!node.members) return text.slice(node.start, node.end);
  node.line ??= sided(node, node.members.map((one) => named(text, one) + line(text, one.node)).join(", "));
  return node.line;
}

const named = (text, { key }) => (key ? `${text.slice(key.start, key.end)}: ` : "");

function sided(node, inner) {
  if (node.kind === "list") return `[${inner}]`;
  return inner ? `{ ${inner} }` : "{}";
}

/** The members of `node` on lines of their own, unless they fit on one; the outermost ones always. `used` is how much stands before. */
function broken(text, node, indent, used) {
  const whole = line(text, node);
  if (!node.members?.length || (indent && indent.length + used + whole.length < 80)) return whole;
  const inner = node.members.map((one) => {
    const name = named(text, one);
    return `${indent}  ${name}${broken(text, one.node, `${indent}  `, name.length)}`;
  });
  const [left, right] = node.kind === "list" ? "[]" : "{}";
  return `${left}\n${inner.join(",\n")}\n${indent}${right}`;
}
