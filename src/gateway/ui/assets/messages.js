// A transcript as the page shows it: groups of one speaker, tool calls as cards with their answers.

import { button, copy, el, icon } from "./dom.js";
import { codeBlock, markdown } from "./markdown.js";
import { clock, cut, dateTime, number } from "./words.js";

const MOST_SHOWN = 200;
const LONGEST_OUTPUT = 120000;
const CALLS = new Set(["toolcall", "tool_call", "tooluse", "tool_use"]);
const RESULTS = new Set(["toolresult", "tool_result"]);
const THINK = /<think(?:ing)?>([\s\S]*?)(?:<\/think(?:ing)?>|$)/gi;
// What a call is about, in the order of what says most.
const TELLING = ["command", "path", "file_path", "query", "url", "action", "sessionKey", "message", "text"];

export function partsOf(message) {
  const { content } = message;
  if (Array.isArray(content)) return content;
  return [{ type: "text", text: content ?? message.text ?? "" }];
}

export const textOf = (message) =>
  partsOf(message ?? {}).filter((part) => part.type === "text" && part.text).map((part) => part.text).join("\n");

// Nodes for `messages`. `open` remembers which cards were unfolded, by the card's name.
export function transcript(messages, { assistant, limit = MOST_SHOWN }) {
  const hidden = Math.max(0, messages.length - limit);
  const nodes = hidden ? [el("p", { class: "soft centre" }, `Showing the last ${limit} messages (${number(hidden)} hidden).`)] : [];
  const cards = new Map();
  let group = null;
  let day = "";
  for (const [index, message] of messages.slice(hidden).entries()) {
    const who = String(message.role).toLowerCase() === "user" ? "user" : "assistant";
    const content = message.role === "user" ? userNodes(message) : agentNodes(message, cards, index);
    if (content.length === 0) continue;
    const time = Number(message.timestamp);
    const itsDay = Number.isFinite(time) ? new Date(time).toDateString() : day;
    if (itsDay !== day) {
      if (day) nodes.push(el("p", { class: "day" }, el("span", {}, new Date(time).toLocaleDateString([], { dateStyle: "full" }))));
      day = itsDay;
      group = null;
    }
    if (group?.who !== who) {
      group = { who, ...startGroup(who, assistant, time) };
      nodes.push(group.node);
    }
    group.body.append(...content);
  }
  return nodes;
}

export function startGroup(who, assistant, time) {
  const name = who === "user" ? "You" : assistant.name;
  const body = el("div", { class: "group-body" });
  const head = el("p", { class: "who" }, el("span", {}, name),
    Number.isFinite(time) && el("time", { datetime: new Date(time).toISOString(), title: dateTime(time) }, clock(time)));
  const node = el("article", { class: `turn ${who}`, "aria-label": name }, avatar(who, assistant), el("div", { class: "turn-main" }, head, body));
  return { node, body };
}

function avatar(who, assistant) {
  if (who === "user") return el("span", { class: "avatar", "aria-hidden": "true" }, "You"[0]);
  const { avatar: mark = "A", name } = assistant;
  // Only what the gateway itself serves or brings along is fetched.
  if (mark.startsWith("/") || mark.startsWith("data:image/")) return el("img", { class: "avatar", src: mark, alt: "" });
  return el("span", { class: "avatar", "aria-hidden": "true" }, [...mark].length <= 4 && !mark.includes(":") ? mark : name.slice(0, 1));
}

function image(part) {
  const data = part.data ?? part.source?.data;
  const mimeType = part.mimeType ?? part.source?.media_type ?? "image/png";
  if (part.url?.startsWith("data:image/") || data) {
    return el("img", { class: "picture", alt: "attached picture", src: part.url ?? `data:${mimeType};base64,${data}` });
  }
  return el("p", { class: "soft" }, "[a picture that is not kept here]");
}

function userNodes(message) {
  return partsOf(message).flatMap((part) => {
    if (part.type === "image" || part.type === "image_url") return [image(part)];
    return part.text?.trim() ? [el("div", { class: "bubble plain" }, part.text)] : [];
  });
}

function agentNodes(message, cards, index) {
  if (RESULTS.has(String(message.role).toLowerCase())) {
    return result(cards, message.toolCallId ?? message.tool_call_id, message.toolName, partsOf(message), message.isError);
  }
  const nodes = partsOf(message).flatMap((part, at) => {
    const type = String(part.type).toLowerCase();
    if (CALLS.has(type)) {
      const card = new ToolCard(part.name, part.arguments ?? part.input ?? part.args, part.id ?? `${index}.${at}`);
      cards.set(part.id, card);
      return [card.element];
    }
    if (RESULTS.has(type)) return result(cards, part.toolCallId ?? part.tool_use_id ?? part.id, part.name, partsOf(part), part.isError ?? part.is_error);
    if (type === "thinking") return part.thinking?.trim() ? [thinking(part.thinking, `${index}.${at}`)] : [];
    if (type === "image") return [image(part)];
    if (type === "text" && part.text?.trim()) return said(part.text, `${index}.${at}`);
    return [];
  });
  if (message.errorMessage) nodes.push(el("p", { class: "bubble error" }, message.errorMessage));
  if (message.stopped) nodes.push(el("p", { class: "soft" }, "Stopped here."));
  if (message.failed) nodes.push(el("p", { class: "bubble error" }, message.failed));
  return nodes;
}

// Some models think aloud in their text.
function said(text, name) {
  const thoughts = [];
  const rest = text.replace(THINK, (_, thought) => {
    if (thought.trim()) thoughts.push(thought.trim());
    return "";
  });
  const nodes = thoughts.map((thought, n) => thinking(thought, `${name}.${n}`));
  if (rest.trim()) nodes.push(el("div", { class: "bubble" }, markdown(rest), copyOf(rest)));
  return nodes;
}

export function copyOf(text) {
  const node = button("Copy as Markdown", async () => {
    node.classList.toggle("done", await copy(text));
    setTimeout(() => node.classList.remove("done"), 1500);
  }, { bare: true, iconName: "copy", kind: "quiet copy" });
  return node;
}

export const withoutThinking = (text) => text.replace(THINK, "").trimStart();

function thinking(text, name) {
  return el("details", { class: "fold thinking", "data-name": `t${name}` },
    el("summary", {}, icon("thinking"), el("span", {}, "Thinking")), el("div", { class: "fold-body" }, markdown(text)));
}

function result(cards, id, name, parts, failed) {
  const text = parts.filter((part) => part.text).map((part) => part.text).join("\n");
  let card = cards.get(id);
  const fresh = !card;
  card ??= new ToolCard(name, undefined, id);
  card.finish(text, failed, parts.filter((part) => part.type === "image").map(image));
  return fresh ? [card.element] : [];
}

// One call of a tool: what was asked, what came back.
export class ToolCard {
  constructor(name, args, id) {
    this.output = el("div", {});
    this.mark = el("span", { class: "mark" }, "running…");
    this.element = el("details", { class: "fold tool", "data-name": `c${id}` },
      el("summary", {}, icon("tool"), el("span", { class: "tool-name" }, name ?? "tool"), el("code", { class: "about" }, about(args)), this.mark),
      el("div", { class: "fold-body" }, args && Object.keys(args).length > 0 && codeBlock(asked(args), "asked"), this.output));
  }

  progress(text) {
    this.output.replaceChildren(el("pre", { class: "result", tabindex: "0" }, text.slice(-LONGEST_OUTPUT)));
  }

  finish(text, failed, pictures = []) {
    this.element.classList.toggle("failed", Boolean(failed));
    this.mark.textContent = failed ? "failed" : text.trim() ? cut(text.trim().split("\n")[0], 80) : "done";
    const shown = pretty(text.slice(0, LONGEST_OUTPUT));
    this.output.replaceChildren(...(text.trim() ? [codeBlock(shown, "answered")] : [el("p", { class: "soft" }, failed ? "Failed without a word." : "Completed.")]), ...pictures);
    if (text.length > LONGEST_OUTPUT) this.output.append(el("p", { class: "soft" }, `${number(text.length - LONGEST_OUTPUT)} characters more are not shown.`));
  }
}

function about(args) {
  if (!args || typeof args !== "object") return "";
  const key = TELLING.find((name) => typeof args[name] === "string" && args[name]);
  return key ? cut(args[key].replace(/\s+/g, " "), 120) : "";
}

function asked(args) {
  const keys = Object.keys(args);
  return keys.length === 1 && typeof args.command === "string" ? args.command : JSON.stringify(args, null, 2);
}

function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
