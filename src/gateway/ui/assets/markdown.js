// The Markdown that models write, as DOM nodes. No HTML is ever parsed and no image is ever
// fetched, so model output cannot bring a script, a style or a request into the page. Everything
// is scanned by hand with bounded look-ahead: hostile text costs time in proportion to its length.

import { button, copy, el } from "./dom.js";
import { number } from "./words.js";

const LONGEST = 140000;
// Beyond this the text is shown as it is.
const LONGEST_RENDERED = 40000;
const DEEPEST = 8;
const LONGEST_LINK = 2000;
const CLOSER_TRIES = 8;

const PUNCTUATION = /[!-/:-@[-`{-~]/;
const BARE_LINK = /https?:\/\/[^\s<>"'`]{1,2000}/y;
const WORD = /[\p{L}\p{N}]/u;

export function markdown(text) {
  const root = el("div", { class: "markdown" });
  let note = "";
  if (text.length > LONGEST) {
    note = `The text has ${number(text.length)} characters; the first ${number(LONGEST)} are shown.`;
    text = text.slice(0, LONGEST);
  }
  if (text.length > LONGEST_RENDERED) root.append(el("pre", { class: "plain" }, text));
  else root.append(...blocks(text.replaceAll("\r\n", "\n").split("\n"), 0));
  if (note) root.append(el("p", { class: "soft" }, note));
  return root;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?: +(.*)|)$/;
const TASK = /^\[([ xX])\] +(.*)$/;
const TABLE_LINE = /^ *\|?(?: *:?-+:? *\|)* *:?-+:? *\|? *$/;

function blocks(lines, depth) {
  if (depth > DEEPEST) return [el("p", {}, lines.join("\n"))];
  const nodes = [];
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) nodes.push(el("p", {}, inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    const fence = line.length < LONGEST_LINK && FENCE.exec(line);
    if (fence) {
      flush();
      const from = ++i;
      while (i < lines.length && !(lines[i].trim().startsWith(fence[1]) && !lines[i].trim().replaceAll(fence[1][0], ""))) i++;
      nodes.push(codeBlock(lines.slice(from, i).join("\n"), fence[2]));
      i++;
      continue;
    }
    const heading = HEADING.exec(line);
    if (heading) {
      flush();
      // The page's own headings end at h2.
      nodes.push(el(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2].replace(/ #+ *$/, ""))));
      i++;
    } else if (RULE.test(line)) {
      flush();
      nodes.push(el("hr"));
      i++;
    } else if (/^ {0,3}>/.test(line)) {
      flush();
      const from = i;
      while (i < lines.length && /^ {0,3}>/.test(lines[i])) i++;
      nodes.push(el("blockquote", {}, blocks(lines.slice(from, i).map((l) => l.replace(/^ {0,3}> ?/, "")), depth + 1)));
    } else if (line.includes("|") && i + 1 < lines.length && lines[i + 1].length < LONGEST_LINK && lines[i + 1].includes("-") && TABLE_LINE.test(lines[i + 1])) {
      flush();
      const from = i;
      i += 2;
      while (i < lines.length && lines[i].includes("|")) i++;
      nodes.push(table(lines.slice(from, i)));
    } else if (ITEM.test(line) && (paragraph.length === 0 || !/^ *\d/.test(line))) {
      flush();
      i = list(lines, i, depth, nodes);
    } else {
      if (line.trim()) paragraph.push(line.trimStart());
      else flush();
      i++;
    }
  }
  flush();
  return nodes;
}

// Reads one list from line `i`; answers where it ends.
function list(lines, i, depth, nodes) {
  const first = ITEM.exec(lines[i]);
  const indent = first[1].length;
  const ordered = /\d/.test(first[2]);
  const items = [];
  while (i < lines.length) {
    const item = ITEM.exec(lines[i]);
    if (!item || item[1].length > indent + 1 || item[1].length < indent || /\d/.test(item[2]) !== ordered) break;
    const content = [item[3] ?? ""];
    i++;
    while (i < lines.length) {
      const line = lines[i];
      const blank = !line.trim();
      const inner = line.length - line.trimStart().length > indent;
      if (blank) {
        // A blank line stays in the item only when something of the item follows.
        const next = lines[i + 1] ?? "";
        if (!next.trim() || next.length - next.trimStart().length <= indent) break;
      } else if (!inner && (ITEM.test(line) || HEADING.test(line) || FENCE.test(line) || RULE.test(line))) break;
      else if (!inner && !lines[i - 1].trim()) break;
      content.push(blank ? "" : line.slice(Math.min(line.length - line.trimStart().length, indent + 2)));
      i++;
    }
    items.push(content);
    while (i < lines.length && !lines[i].trim() && ITEM.test(lines[i + 1] ?? "") && ITEM.exec(lines[i + 1])[1].length === indent) i++;
  }
  const start = ordered ? Number.parseInt(first[2], 10) : 1;
  nodes.push(el(ordered ? "ol" : "ul", { start: start !== 1 && ordered ? start : null }, items.map((content) => {
    const task = TASK.exec(content[0]);
    if (task) content[0] = task[2];
    const inside = blocks(content, depth + 1);
    // A tight item is text, not a paragraph.
    if (inside[0]?.tagName === "P") inside.splice(0, 1, ...inside[0].childNodes);
    if (!task) return el("li", {}, inside);
    return el("li", { class: "task" }, el("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[1] === " " ? "open" : "done" }), inside);
  })));
  return i;
}

function cells(line) {
  const out = [];
  let cell = "";
  let code = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (c === "\\" && line[i + 1] === "|") {
      cell += "|";
      i++;
    } else if (c === "|" && !code) {
      out.push(cell.trim());
      cell = "";
    } else {
      if (c === "`") code = !code;
      cell += c;
    }
  }
  out.push(cell.trim());
  if (out[0] === "") out.shift();
  if (out.at(-1) === "") out.pop();
  return out;
}

function table(lines) {
  const aligns = cells(lines[1]).map((mark) => (mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "right") : null));
  const row = (line, tag) => el("tr", {}, cells(line).map((text, i) => el(tag, { class: aligns[i] }, inline(text))));
  return el("div", { class: "scroll", tabindex: "0" }, el("table", {},
    el("thead", {}, row(lines[0], "th")), el("tbody", {}, lines.slice(2).map((line) => row(line, "td")))));
}

export function codeBlock(text, language = "") {
  const copyButton = button("Copy", async () => {
    copyButton.querySelector("span").textContent = (await copy(text)) ? "Copied" : "Failed";
    setTimeout(() => { copyButton.querySelector("span").textContent = "Copy"; }, 1500);
  }, { kind: "small quiet" });
  return el("div", { class: "code" }, el("div", { class: "code-head" }, el("span", {}, language), copyButton),
    el("pre", { tabindex: "0" }, el("code", {}, text)));
}

const link = (href, children) => el("a", { href, target: "_blank", rel: "noreferrer noopener" }, children);

function inline(text, depth = 0) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(plain);
    plain = "";
  };
  const push = (node) => {
    flush();
    nodes.push(node);
  };
  // Marks that were looked for and have no partner from here on.
  const missing = new Set();
  let i = 0;
  while (i < text.length) {
    const c = text[i];
    if (c === "\\" && PUNCTUATION.test(text[i + 1] ?? "")) {
      plain += text[i + 1];
      i += 2;
    } else if (c === "\n") {
      push(el("br"));
      i++;
    } else if (c === "`") {
      i = codeSpan(text, i, missing, push, (s) => { plain += s; });
    } else if (depth < DEEPEST && (c === "*" || c === "_" || (c === "~" && text[i + 1] === "~"))) {
      const mark = c === "~" || text[i + 1] === c ? c + c : c;
      const end = closer(text, i, mark, missing);
      if (end < 0) {
        plain += mark;
        i += mark.length;
      } else {
        const tag = c === "~" ? "del" : mark.length === 2 ? "strong" : "em";
        push(el(tag, {}, inline(text.slice(i + mark.length, end), depth + 1)));
        i = end + mark.length;
      }
    } else if (depth < DEEPEST && (c === "[" || (c === "!" && text[i + 1] === "["))) {
      const found = linkAt(text, c === "!" ? i + 1 : i);
      if (found) {
        // An image becomes a link to it: showing it would tell its server that it was read.
        push(link(found.href, inline(found.label || found.href, depth + 1)));
        i = found.end;
      } else {
        plain += c;
        i++;
      }
    } else if (c === "h" && (text.startsWith("http://", i) || text.startsWith("https://", i)) && !WORD.test(text[i - 1] ?? "")) {
      BARE_LINK.lastIndex = i;
      let href = BARE_LINK.exec(text)?.[0] ?? "";
      href = href.replace(/[.,;:!?*_~]+$/, "");
      if (href.endsWith(")") && !href.includes("(")) href = href.slice(0, -1);
      if (href.length > 8) push(link(href, href));
      else plain += href || c;
      i += href.length || 1;
    } else {
      plain += c;
      i++;
    }
  }
  flush();
  return nodes;
}

function codeSpan(text, i, missing, push, say) {
  let n = 1;
  while (text[i + n] === "`") n++;
  const ticks = text.slice(i, i + n);
  if (!missing.has(ticks)) {
    for (let at = text.indexOf(ticks, i + n); at >= 0;) {
      let run = n;
      while (text[at + run] === "`") run++;
      if (run === n) {
        const inside = text.slice(i + n, at);
        const padded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim();
        push(el("code", {}, padded ? inside.slice(1, -1) : inside));
        return at + n;
      }
      at = text.indexOf(ticks, at + run);
    }
    missing.add(ticks);
  }
  say(ticks);
  return i + n;
}

// Where the partner of the mark at `i` stands, or -1.
function closer(text, i, mark, missing) {
  if (missing.has(mark) || /\s/.test(text[i + mark.length] ?? " ")) return -1;
  if (mark[0] === "_" && WORD.test(text[i - 1] ?? "")) return -1;
  let at = i + mark.length;
  for (let tries = 0; tries < CLOSER_TRIES; tries++) {
    at = text.indexOf(mark, at + 1);
    if (at < 0) {
      if (tries === 0) missing.add(mark);
      return -1;
    }
    const doubled = mark.length === 1 && (text[at + 1] === mark || text[at - 1] === mark);
    const outside = text[at + mark.length] ?? "";
    if (!doubled && !/\s/.test(text[at - 1]) && !(mark[0] === "_" && WORD.test(outside))) return at;
  }
  return -1;
}

// `[label](address)` at `i`. Only web and mail addresses become links.
function linkAt(text, i) {
  const part = text.slice(i, i + LONGEST_LINK);
  const middle = part.indexOf("](");
  if (middle < 0) return null;
  const end = part.indexOf(")", middle);
  const href = part.slice(middle + 2, end).trim().split(/\s/)[0];
  if (end < 0 || !/^(https?:\/\/|mailto:)/i.test(href)) return null;
  const label = part.slice(1, middle);
  return label.includes("\n\n") ? null : { label, href, end: i + end + 1 };
}
