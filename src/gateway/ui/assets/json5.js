// JSON5 with places: what a text means, where each value stands in it, and changes of one value
// that leave the rest of the text, its comments and its layout as they are.

const DEEPEST = 200;
const ESCAPES = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", 0: "\0" };
const SPACE = /[\s\uFEFF]/;
const NAME = /[\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}$\u200C\u200D]/u;
const NUMBER = /[+-]?(?:Infinity|NaN|0[xX][0-9a-fA-F]+|(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y;
const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

export class Json5Error extends Error {
  constructor(text, offset, what) {
    const before = text.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - before.lastIndexOf("\n");
    super(`line ${line}, column ${column}: ${what}`);
    Object.assign(this, { offset, line, column });
  }
}

// A tree of {kind, start, end} with `value` in leaves, `members` [{key, start, node}] in objects and
// `items` in arrays.
export function read(text) {
  let at = 0;
  const fail = (what, where = at) => { throw new Json5Error(text, where, what); };

  function skip() {
    for (;;) {
      while (at < text.length && SPACE.test(text[at])) at++;
      if (text.startsWith("//", at)) {
        const end = text.indexOf("\n", at);
        at = end < 0 ? text.length : end;
      } else if (text.startsWith("/*", at)) {
        const end = text.indexOf("*/", at + 2);
        if (end < 0) fail("this comment has no end");
        at = end + 2;
      } else return;
    }
  }

  function string() {
    const from = at;
    const quote = text[at++];
    let out = "";
    for (;;) {
      const c = text[at];
      if (c === undefined || c === "\n" || c === "\r") fail("this string has no end", from);
      at++;
      if (c === quote) return out;
      if (c !== "\\") {
        out += c;
        continue;
      }
      const e = text[at++];
      if (e === "u" || e === "x") {
        const digits = text.slice(at, at + (e === "u" ? 4 : 2));
        if (!new RegExp(`^[0-9a-fA-F]{${e === "u" ? 4 : 2}}$`).test(digits)) fail("bad escape", at - 2);
        out += String.fromCharCode(Number.parseInt(digits, 16));
        at += digits.length;
      } else if (e === "\r") {
        if (text[at] === "\n") at++;
      } else if (e !== "\n" && e !== "\u2028" && e !== "\u2029") {
        if (/[1-9]/.test(e ?? "")) fail("bad escape", at - 2);
        out += ESCAPES[e] ?? e ?? "";
      }
    }
  }

  function name() {
    if (text[at] === '"' || text[at] === "'") return string();
    const from = at;
    while (at < text.length && NAME.test(text[at])) at++;
    if (at === from || /\d/.test(text[from])) fail(at < text.length ? `a key was expected, not ${JSON.stringify(text[from])}` : "a key was expected", from);
    return text.slice(from, at);
  }

  function value(depth) {
    if (depth > DEEPEST) fail("nested too deeply");
    skip();
    const start = at;
    const c = text[at];
    if (c === undefined) fail("a value was expected");
    if (c === "{") {
      at++;
      const members = [];
      for (;;) {
        skip();
        if (text[at] === "}") break;
        const from = at;
        const key = name();
        skip();
        if (text[at] !== ":") fail(`":" was expected after the key ${JSON.stringify(key)}`);
        at++;
        members.push({ key, start: from, node: value(depth + 1) });
        skip();
        if (text[at] === ",") at++;
        else if (text[at] !== "}") fail('"," or "}" was expected');
      }
      at++;
      return { kind: "object", start, end: at, members };
    }
    if (c === "[") {
      at++;
      const items = [];
      for (;;) {
        skip();
        if (text[at] === "]") break;
        items.push(value(depth + 1));
        skip();
        if (text[at] === ",") at++;
        else if (text[at] !== "]") fail('"," or "]" was expected');
      }
      at++;
      return { kind: "array", start, end: at, items };
    }
    if (c === '"' || c === "'") return { kind: "leaf", value: string(), start, end: at };
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, at) && !NAME.test(text[at + word.length] ?? " ")) {
        at += word.length;
        return { kind: "leaf", value: meaning, start, end: at };
      }
    }
    NUMBER.lastIndex = at;
    const digits = NUMBER.exec(text)?.[0];
    if (!digits || NAME.test(text[at + digits.length] ?? " ")) fail(`a value was expected, not ${JSON.stringify(c)}`);
    at += digits.length;
    const bare = digits.replace(/^[+-]/, "");
    return { kind: "leaf", value: digits.startsWith("-") ? -Number(bare) : Number(bare), start, end: at };
  }

  const root = value(0);
  skip();
  if (at < text.length) fail(`nothing was expected here, not ${JSON.stringify(text[at])}`);
  return root;
}

export function meaning(node) {
  if (node.kind === "object") return Object.fromEntries(node.members.map(({ key, node: inner }) => [key, meaning(inner)]));
  return node.kind === "array" ? node.items.map(meaning) : node.value;
}

export const parse = (text) => meaning(read(text));

// The last of two equal keys counts, as when it is read.
const child = (node, step) => (node.kind === "object" ? node.members.findLast(({ key }) => key === step)?.node
  : node.kind === "array" ? node.items[step] : undefined);

// `text` with the value at `path` (keys and indices) set; `undefined` takes it out.
export function edit(text, path, value) {
  const root = read(text);
  const style = styleOf(text, root);
  let node = root;
  for (const [depth, step] of path.entries()) {
    const next = child(node, step);
    if (next) {
      if (depth === path.length - 1 && value === undefined) return remove(text, node, step);
      node = next;
      continue;
    }
    if (value === undefined) return text;
    const nested = path.slice(depth + 1).reduceRight((inner, key) => (typeof key === "number" ? [inner] : { [key]: inner }), value);
    const fits = typeof step === "number" ? "array" : "object";
    // What stands in the way is no container: it is replaced by one.
    if (node.kind !== fits) return put(text, node, fits === "array" ? [nested] : { [step]: nested }, style);
    return insert(text, node, step, nested, style);
  }
  return put(text, node, value === undefined ? {} : value, style);
}

function styleOf(text, root) {
  const first = root.members?.[0];
  const indent = first ? /^[ \t]+/.exec(text.slice(text.lastIndexOf("\n", first.start - 1) + 1, first.start))?.[0] : undefined;
  return { indent: indent && /\n/.test(text.slice(root.start, first.start)) ? indent : "  ", quoted: !first || text[first.start] === '"' };
}

const indentAt = (text, at) => /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", at - 1) + 1))[0];

function written(value, style, outer) {
  const lines = JSON.stringify(value, null, style.indent).split("\n");
  if (!style.quoted) {
    for (const [i, line] of lines.entries()) {
      lines[i] = line.replace(/^(\s*)"([^"\\]*)": /, (all, space, key) => (IDENTIFIER.test(key) ? `${space}${key}: ` : all));
    }
  }
  return lines.join(`\n${outer}`);
}

function put(text, node, value, style) {
  return text.slice(0, node.start) + written(value, style, indentAt(text, node.start)) + text.slice(node.end);
}

function insert(text, node, step, value, style) {
  const outer = indentAt(text, node.start);
  const key = typeof step === "number" ? "" : `${!style.quoted && IDENTIFIER.test(step) ? step : JSON.stringify(step)}: `;
  const inside = node.members?.map((member) => ({ start: member.start, end: member.node.end })) ?? node.items;
  if (inside.length === 0) {
    // Comments in an otherwise empty container stay.
    const body = text.slice(node.start + 1, node.end - 1).trimEnd();
    return `${text.slice(0, node.start + 1)}${body}\n${outer}${style.indent}${key}${written(value, style, outer + style.indent)}\n${outer}${text.slice(node.end - 1)}`;
  }
  const last = inside.at(-1);
  const comma = commaAfter(text, last.end);
  const oneLine = !text.slice(node.start, node.end).includes("\n");
  if (oneLine) return `${text.slice(0, last.end)}, ${key}${JSON.stringify(value)}${text.slice(last.end)}`;
  const indent = indentAt(text, last.start).length > outer.length ? indentAt(text, last.start) : outer + style.indent;
  const line = `\n${indent}${key}${written(value, style, indent)}`;
  if (comma < 0) return `${text.slice(0, last.end)},${text.slice(last.end, lineEnd(text, last.end, node.end))}${line}${rest(text, lineEnd(text, last.end, node.end), outer)}`;
  const from = lineEnd(text, comma + 1, node.end);
  return `${text.slice(0, from)}${line},${rest(text, from, outer)}`;
}

// What follows an inserted line: the bracket that stood on the same line gets one of its own.
function rest(text, from, outer) {
  return text[from] === "\n" || text[from] === "\r" ? text.slice(from) : `\n${outer}${text.slice(from).trimStart()}`;
}

// The end of a line that holds only a comment from `at` on; else `at`.
function lineEnd(text, at, limit) {
  const match = /^[ \t]*(?:\/\/[^\n]*|\/\*(?:(?!\*\/)[^\n])*\*\/[ \t]*)?(?=\r?\n)/.exec(text.slice(at, limit));
  return match ? at + match[0].length : at;
}

// Where the comma after a value stands, or -1.
function commaAfter(text, at) {
  for (;;) {
    while (SPACE.test(text[at] ?? "")) at++;
    if (text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      if (end < 0) return -1;
      at = end;
    } else if (text.startsWith("/*", at)) at = text.indexOf("*/", at) + 2;
    else return text[at] === "," ? at : -1;
  }
}

function remove(text, node, step) {
  const inside = node.members?.map((member) => ({ start: member.start, end: member.node.end, key: member.key })) ?? node.items;
  const equal = (entry, i) => (node.kind === "object" ? entry.key === step : i === step);
  const at = inside.findLastIndex(equal);
  let { start, end } = inside[at];
  const comma = commaAfter(text, end);
  if (comma >= 0) end = comma + 1;
  else if (at > 0) {
    // The last one goes with the comma before it; a comment between the two stays.
    const before = commaAfter(text, inside[at - 1].end);
    const out = text.slice(0, before) + text.slice(before + 1);
    return again(cutOut(out, start - 1, end - 1));
  }
  return again(cutOut(text, start, end));

  // A key that stood twice is taken out twice.
  function again(out) {
    return node.kind === "object" && inside.filter(equal).length > 1 ? remove(out, objectAt(read(out), node.start), step) : out;
  }
}

// The object that begins at `start`.
function objectAt(node, start) {
  if (node.start === start) return node;
  for (const inner of node.members?.map((member) => member.node) ?? node.items ?? []) {
    if (inner.start <= start && start < inner.end) return objectAt(inner, start);
  }
  throw new Error("an edit never moves the object it is in");
}

// Takes a span out, and its line when nothing else is on it.
function cutOut(text, start, end) {
  const from = text.lastIndexOf("\n", start - 1) + 1;
  const to = text.indexOf("\n", end);
  const alone = !text.slice(from, start).trim() && to >= 0 && !text.slice(end, to).trim();
  if (alone) return text.slice(0, from) + text.slice(to + 1);
  while (text[end] === " ") end++;
  return text.slice(0, start) + text.slice(end);
}
