// The Markdown that models write, as DOM nodes. No HTML is ever parsed, so model output cannot
// bring a script, a style or an image request into the page.

import { el } from "./dom.js";

const INLINE = /(`+)([\s\S]+?)\1|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>)"']+)/g;

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const m of text.matchAll(INLINE)) {
    if (m.index > from) nodes.push(text.slice(from, m.index));
    if (m[1]) nodes.push(el("code", {}, m[2]));
    else if (m[3]) nodes.push(el("strong", {}, m[3]));
    else if (m[4]) nodes.push(el("em", {}, m[4]));
    else nodes.push(el("a", { href: m[6] ?? m[7], target: "_blank", rel: "noreferrer noopener" }, m[5] ?? m[7]));
    from = m.index + m[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

function block(lines) {
  const first = lines[0];
  const heading = /^(#{1,6})\s+(.*)$/.exec(first);
  if (heading && lines.length === 1) return el("p", { class: "heading" }, ...inline(heading[2]));
  const bullet = /^\s*([-*+]|\d+[.)])\s+/;
  if (bullet.test(first)) {
    const items = [];
    for (const line of lines) {
      if (bullet.test(line) || items.length === 0) items.push(line.replace(bullet, ""));
      else items[items.length - 1] += `\n${line.trim()}`;
    }
    return el(/^\s*\d/.test(first) ? "ol" : "ul", {}, ...items.map((item) => el("li", {}, ...inline(item))));
  }
  if (lines.every((line) => line.startsWith(">"))) {
    return el("blockquote", {}, ...inline(lines.map((line) => line.replace(/^>\s?/, "")).join("\n")));
  }
  return el("p", {}, ...inline(lines.join("\n")));
}

export function markdown(text) {
  const root = el("div", { class: "markdown" });
  let lines = [];
  let code = null;
  const flush = () => {
    if (lines.length) root.append(block(lines));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const fence = /^\s*(```+|~~~+)/.exec(line);
    if (code) {
      if (fence && line.trim().startsWith(code.fence)) {
        root.append(el("pre", {}, el("code", {}, code.lines.join("\n"))));
        code = null;
      } else code.lines.push(line);
    } else if (fence) {
      flush();
      code = { fence: fence[1], lines: [] };
    } else if (!line.trim()) flush();
    else if (/^#{1,6}\s/.test(line)) {
      flush();
      root.append(block([line]));
    } else lines.push(line);
  }
  if (code) root.append(el("pre", {}, el("code", {}, code.lines.join("\n"))));
  flush();
  return root;
}
