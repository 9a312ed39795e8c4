// The chat view: history, one streaming reply at a time, a queue for what is typed meanwhile.

import { el } from "./dom.js";
import { uuid } from "./gateway.js";
import { markdown } from "./markdown.js";
import { save, settings } from "./settings.js";

const HISTORY_LIMIT = 200;
const STOP_WORDS = new Set(["/stop", "stop", "esc", "abort", "wait", "exit"]);

export class Chat {
  constructor(gateway, assistant) {
    this.gateway = gateway;
    this.assistant = assistant;
    this.messages = [];
    this.queue = [];
    this.run = null;
    this.notice = "";
    this.log = el("div", { class: "log", role: "log", "aria-live": "polite" });
    this.input = el("textarea", {
      rows: 2, placeholder: "Message (Enter sends, Shift+Enter breaks the line)", "aria-label": "Message",
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.submit();
        }
      },
    });
    this.sendButton = el("button", { type: "submit", class: "primary" }, "Send");
    this.stopButton = el("button", { type: "button", class: "stop", onclick: () => this.abort() }, "Stop");
    this.sessions = el("select", { "aria-label": "Session", onchange: () => this.open(this.sessions.value) });
    this.status = el("p", { class: "notice", role: "status" });
    this.element = el("section", { class: "chat" },
      el("header", {}, this.sessions, el("button", { type: "button", onclick: () => this.send("/new") }, "New session")),
      this.log, this.status,
      el("form", { onsubmit: (event) => { event.preventDefault(); this.submit(); } },
        this.input, el("div", { class: "buttons" }, this.stopButton, this.sendButton)));
    this.draw();
  }

  // After each hello: the run this page was waiting for may have ended while it was away.
  async connected(hello) {
    const main = hello.snapshot?.sessionDefaults?.mainSessionKey;
    const defaults = hello.snapshot?.sessionDefaults ?? {};
    if (main && ["main", defaults.mainKey, `agent:${defaults.defaultAgentId}:main`].includes(settings.sessionKey)) {
      settings.sessionKey = main;
    }
    this.run = null;
    await this.open(settings.sessionKey);
    this.drain();
  }

  async open(key) {
    settings.sessionKey = settings.lastActiveSessionKey = key;
    save();
    const url = new URL(location.href);
    url.searchParams.set("session", key);
    history.replaceState(null, "", url);
    await Promise.all([this.load(), this.loadSessions()]);
  }

  async load() {
    const key = settings.sessionKey;
    const { messages } = await this.gateway.request("chat.history", { sessionKey: key, limit: HISTORY_LIMIT });
    if (key !== settings.sessionKey) return;
    this.messages = messages;
    this.draw();
  }

  async loadSessions() {
    const { sessions } = await this.gateway.request("sessions.list", {
      includeGlobal: true, includeUnknown: false, activeMinutes: 120, limit: 120,
    });
    const keys = new Set([settings.sessionKey, ...sessions.map((row) => row.key)]);
    const labels = new Map(sessions.map((row) => [row.key, row.label ?? row.displayName]));
    this.sessions.replaceChildren(...[...keys].map((key) =>
      el("option", { value: key, selected: key === settings.sessionKey }, labels.get(key) ?? key)));
  }

  submit() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    this.send(text);
  }

  send(text) {
    if (STOP_WORDS.has(text.toLowerCase())) return this.abort();
    if (this.run || this.gateway.state !== "open") {
      this.queue.push(text);
      return this.draw();
    }
    const run = { id: uuid(), text: "", prompt: text };
    this.run = run;
    this.notice = "";
    this.messages.push({ role: "user", content: text, timestamp: Date.now() });
    this.draw();
    this.gateway.request("chat.send", {
      sessionKey: settings.sessionKey, message: text, deliver: false, idempotencyKey: run.id,
    }).catch((err) => {
      if (this.run !== run) return;
      this.run = null;
      this.notice = `Not sent: ${err.message}`;
      this.input.value ||= text;
      this.draw();
    });
  }

  async abort() {
    if (!this.run) return;
    this.notice = "Stopping…";
    this.draw();
    await this.gateway.request("chat.abort", { sessionKey: settings.sessionKey, runId: this.run.id })
      .catch((err) => { this.notice = err.message; this.draw(); });
  }

  drain() {
    if (this.run || this.queue.length === 0) return;
    this.send(this.queue.shift());
  }

  onChat(payload) {
    if (payload.sessionKey !== settings.sessionKey) return;
    const own = this.run?.id === payload.runId;
    const text = textOf(payload.message?.content);
    if (payload.state === "delta") {
      if (!own && this.run) return;
      this.run ??= { id: payload.runId, text: "" };
      if (text.length >= this.run.text.length) this.run.text = text;
      return this.drawStream();
    }
    if (payload.state === "error") this.notice = payload.errorMessage ?? "The run failed.";
    else if (payload.state === "aborted") this.notice = "Stopped.";
    else if (own) this.notice = "";
    // What had streamed before an abort is not in the transcript: keep it on the screen.
    const partial = own && payload.state === "aborted" ? this.run.text : "";
    if (own || this.run?.id === payload.runId) this.run = null;
    this.load().then(() => {
      if (partial) {
        this.messages.push({ role: "assistant", content: partial, stopped: true });
        this.draw();
      }
      this.drain();
    }).catch((err) => { this.notice = err.message; this.draw(); });
    if (/^\/(new|reset)\b/.test(this.messages.at(-1)?.content ?? "")) this.loadSessions().catch(() => {});
  }

  draw() {
    this.log.replaceChildren(...this.messages.map((message) => this.bubble(message)).filter(Boolean));
    if (this.messages.length === 0 && !this.run) {
      this.log.append(el("p", { class: "empty" }, `Nothing said yet. ${this.assistant.name} is listening.`));
    }
    this.stream = this.run ? el("article", { class: "bubble assistant streaming" }) : null;
    if (this.stream) this.log.append(this.stream);
    for (const text of this.queue) this.log.append(el("article", { class: "bubble user queued" }, text, el("small", {}, "queued")));
    this.drawStream();
  }

  drawStream() {
    if (this.run && !this.stream) return this.draw();
    if (this.stream) {
      this.stream.replaceChildren(this.run.text ? markdown(this.run.text) : el("span", { class: "dots", "aria-label": "thinking" }, "…"));
    }
    this.stopButton.disabled = !this.run;
    this.sendButton.textContent = this.run ? "Queue" : "Send";
    this.status.textContent = this.notice;
    this.log.scrollTop = this.log.scrollHeight;
  }

  bubble(message) {
    const parts = Array.isArray(message.content) ? message.content : [{ type: "text", text: message.content ?? "" }];
    if (message.role === "toolResult") {
      return fold("tool", `${message.toolName} ${message.isError ? "failed" : "answered"}`, textOf(message.content));
    }
    const nodes = parts.flatMap((part) => {
      if (part.type === "text" && part.text?.trim()) return [message.role === "user" ? el("div", { class: "plain" }, part.text) : markdown(part.text)];
      if (part.type === "thinking" && settings.chatShowThinking && part.thinking) return [fold("thinking", "Thinking", part.thinking)];
      if (part.type === "toolCall") return [fold("tool", `uses ${part.name}`, JSON.stringify(part.arguments, null, 2))];
      if (part.type === "image" && part.data) return [el("img", { alt: "attached image", src: `data:${part.mimeType};base64,${part.data}` })];
      return [];
    });
    if (message.errorMessage) nodes.push(el("p", { class: "error" }, message.errorMessage));
    if (message.stopped) nodes.push(el("small", {}, "stopped"));
    return nodes.length ? el("article", { class: `bubble ${message.role === "user" ? "user" : "assistant"}` }, ...nodes) : null;
  }
}

const fold = (kind, title, text) =>
  el("details", { class: `fold ${kind}` }, el("summary", {}, title), el("pre", {}, text));

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).filter((part) => part.type === "text").map((part) => part.text).join("\n");
}
