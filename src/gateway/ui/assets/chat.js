// The chat: history, one streaming reply at a time, a queue for what is written meanwhile.

import { Composer } from "./composer.js";
import { announce, toast } from "./dialogs.js";
import { button, el, icon } from "./dom.js";
import { uuid } from "./gateway.js";
import { markdown } from "./markdown.js";
import { startGroup, textOf, ToolCard, transcript, withoutThinking } from "./messages.js";
import { memory, save, settings } from "./settings.js";
import { cut, shortKey } from "./words.js";

const HISTORY_LIMIT = 200;
const LONGEST_HISTORY = 1000;
const STOP_WORDS = new Set(["/stop", "stop", "esc", "abort", "wait", "exit"]);
const NEAR_BOTTOM = 160;
const MOST_CARDS = 50;
// The gateway's clock and ours may differ by as much when a lost message is looked for.
const CLOCK_SLACK_MS = 120000;

export class Chat {
  constructor(app) {
    this.app = app;
    this.messages = [];
    // What only this page knows: replies that were stopped, sends that failed.
    this.local = [];
    this.limit = HISTORY_LIMIT;
    // Unsent messages by session: a queue waits for its own session.
    this.queues = new Map();
    this.run = null;
    this.composer = new Composer({
      send: (item) => this.send(item), stop: () => this.abort(), policy: () => app.gateway.hello?.policy,
      unqueue: (item) => { this.queues.set(this.key, this.queue.filter((other) => other !== item)); this.draw(); },
    });
    this.build();
    this.composer.open(this.key);
    this.draw();
  }

  get key() {
    return settings.sessionKey;
  }

  get queue() {
    return this.queues.get(this.key) ?? [];
  }

  build() {
    this.sessions = el("select", { "aria-label": "Session", onchange: () => this.select(this.sessions.value) });
    this.drawSessions([]);
    this.thinking = button("Show thinking and tool output", () => {
      settings.chatShowThinking = !settings.chatShowThinking;
      save();
      this.showThinking();
    }, { bare: true, iconName: "thinking", kind: "quiet toggle" });
    this.log = el("div", { class: "log", role: "log", "aria-label": "Conversation", "aria-live": "off", tabindex: "0", onscroll: () => this.scrolled() });
    this.more = button("Newest", () => this.toBottom(), { iconName: "down", kind: "newest", hidden: true });
    this.notice = el("p", { class: "notice", role: "status", hidden: true });
    this.element = el("section", { class: "view chat", "aria-label": "Chat" }, el("h1", { class: "offscreen" }, "Chat"),
      el("header", { class: "bar" }, this.sessions,
        button("New session", () => this.send({ text: "/new", pictures: [] }), { iconName: "plus", kind: "quiet new-session" }),
        this.thinking,
        button("Focus mode", () => this.app.focusMode(!settings.chatFocusMode), { bare: true, iconName: "focus", kind: "quiet" })),
      el("div", { class: "log-frame" }, this.log, this.more), this.notice, this.composer.element);
    // A dropped picture must not make the browser leave the page.
    let depth = 0;
    const hover = (on) => this.element.classList.toggle("dropping", on);
    this.element.addEventListener("dragenter", () => { depth += 1; hover(true); });
    this.element.addEventListener("dragleave", () => { depth -= 1; hover(depth > 0); });
    this.element.addEventListener("dragover", (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      depth = 0;
      hover(false);
      this.composer.add([...(event.dataTransfer?.files ?? [])]);
    });
    this.showThinking();
  }

  showThinking() {
    const on = settings.chatShowThinking && !memory.onboarding;
    this.log.classList.toggle("quiet", !on);
    this.thinking.setAttribute("aria-pressed", String(on));
  }

  // A new connection. The run this page was waiting for may have ended while it was away; one that
  // still runs makes itself known by its next event.
  onHello(hello) {
    const { mainSessionKey, mainKey, defaultAgentId } = hello.snapshot?.sessionDefaults ?? {};
    this.defaultAgent = defaultAgentId ?? "main";
    const aliases = ["main", mainKey, `agent:${defaultAgentId}:main`];
    if (mainSessionKey && aliases.includes(settings.sessionKey)) this.rename(mainSessionKey);
    this.run = null;
    this.identify();
  }

  rename(key) {
    const waiting = this.queues.get(settings.sessionKey);
    if (waiting) this.queues.set(key, waiting);
    this.composer.key = undefined;
    settings.sessionKey = settings.lastActiveSessionKey = key;
    save();
    this.composer.open(key);
  }

  async identify() {
    const { key } = this;
    try {
      const { name, avatar } = await this.app.request("agent.identity.get", { sessionKey: key });
      if (key !== this.key) return;
      this.app.assistant = { name: name || "Assistant", avatar: avatar || "A" };
      this.draw();
    } catch {
      // The name the page came with stays.
    }
  }

  async show() {
    const url = new URL(location.href);
    url.searchParams.set("session", this.key);
    history.replaceState(null, "", url);
    await Promise.all([this.load(), this.loadSessions()]);
    this.settleLost();
    this.drain();
  }

  select(key) {
    if (key === this.key) return;
    settings.sessionKey = settings.lastActiveSessionKey = key;
    save();
    this.run = null;
    this.messages = [];
    this.local = [];
    this.loaded = false;
    this.limit = HISTORY_LIMIT;
    this.say("");
    this.composer.open(key);
    this.draw();
    if (!this.app.connected) return;
    this.identify();
    if (this.app.current === "chat") this.app.refresh();
  }

  async load() {
    const { key } = this;
    const { messages } = await this.app.request("chat.history", { sessionKey: key, limit: this.limit });
    if (key !== this.key) return;
    this.messages = messages ?? [];
    // A session that began anew has nothing to do with what was stopped before.
    const oldest = Number(this.messages[0]?.timestamp ?? Infinity);
    this.local = this.local.filter((message) => message.timestamp >= oldest);
    this.loaded = true;
    this.draw();
  }

  async loadSessions() {
    const { sessions } = await this.app.request("sessions.list", {
      includeGlobal: true, includeUnknown: false, activeMinutes: 120, limit: 120,
    });
    this.drawSessions(sessions ?? []);
  }

  drawSessions(rows) {
    const names = new Map(rows.map((row) => [row.key, row.label || shortKey(row.key)]));
    const main = this.app.gateway?.hello?.snapshot?.sessionDefaults?.mainSessionKey;
    const keys = new Set([main, this.key, ...names.keys()].filter(Boolean));
    this.sessions.replaceChildren(...[...keys].map((key) => el("option", { value: key }, cut(names.get(key) ?? shortKey(key), 60))));
    this.sessions.value = this.key;
  }

  send(item) {
    item.id ??= uuid();
    if (STOP_WORDS.has(item.text.toLowerCase()) && this.run) return this.abort();
    if (this.run || !this.app.connected) {
      this.queues.set(this.key, [...this.queue, item]);
      return this.draw();
    }
    const run = { id: item.id, item, text: "", cards: new Map() };
    this.run = run;
    this.say("");
    this.messages.push(shownAs(item));
    this.draw();
    this.toBottom();
    const attachments = item.pictures.map(({ mimeType, content }) => ({ type: "image", mimeType, content }));
    item.sentAt ??= Date.now();
    this.app.request("chat.send", {
      sessionKey: this.key, message: item.text, deliver: false, idempotencyKey: item.id, ...(attachments.length && { attachments }),
    }).then((ack) => {
      // A stop word, or a message that had arrived before the connection broke.
      if (this.run === run && (ack?.status === "ok" || ack?.aborted !== undefined)) this.end(run, "");
    }).catch((err) => {
      if (this.run !== run) return;
      this.run = null;
      if (err.lost) {
        // It may have arrived. It goes again under the same id, which the gateway answers once.
        this.messages.pop();
        this.queues.set(this.key, [item, ...this.queue]);
        return this.draw();
      }
      this.say(`Not sent: ${err.message}`, "error");
      this.messages.pop();
      this.local.push({ role: "assistant", content: "", failed: `Error: ${err.message}`, timestamp: Date.now() });
      this.composer.restore(item);
      this.draw();
    });
  }

  // What was sent as the connection broke and is in the history has arrived.
  settleLost() {
    const arrived = (item) => item.sentAt && this.messages.some((message) =>
      message.role === "user" && textOf(message).trim() === item.text && Number(message.timestamp) > item.sentAt - CLOCK_SLACK_MS);
    const left = this.queue.filter((item) => !arrived(item));
    if (left.length !== this.queue.length) this.queues.set(this.key, left);
  }

  drain() {
    const [next, ...rest] = this.queue;
    if (this.run || !next || !this.app.connected) return this.draw();
    this.queues.set(this.key, rest);
    this.send(next);
  }

  async abort() {
    const { run } = this;
    if (!run) return;
    this.say("Stopping…");
    await this.app.request("chat.abort", { sessionKey: this.key, runId: run.id })
      .then((answer) => { if (!answer.aborted) return this.app.request("chat.abort", { sessionKey: this.key }); })
      .catch((err) => this.say(err.message, "error"));
  }

  isHere(key) {
    const same = (a) => (a === "main" || a === "agent:main:main" ? "main" : a);
    return same(String(key).toLowerCase()) === same(this.key.toLowerCase());
  }

  onState() {
    this.draw();
  }

  onEvent(event, payload) {
    if (event === "chat" && this.isHere(payload.sessionKey)) this.onChat(payload);
    else if (event === "agent" && payload.stream === "tool") this.onTool(payload);
    else if (event === "agent" && payload.stream === "compaction" && (!payload.sessionKey || this.isHere(payload.sessionKey))) {
      toast(payload.data?.phase === "start" ? "Compacting context…" : "Context compacted");
    }
  }

  onChat({ state, runId, message, errorMessage }) {
    const text = textOf(message);
    if (state === "delta") {
      if (this.run && this.run.id !== runId && this.run.item) return;
      if (this.run?.id !== runId) this.run = { id: runId, text: "", cards: new Map() };
      if (text.length >= this.run.text.length) this.run.text = text;
      return this.drawStream();
    }
    const { run } = this;
    const ours = run?.id === runId;
    const said = state === "error" ? errorMessage ?? "The run failed." : state === "aborted" && ours ? "Stopped." : "";
    if (said) this.say(said, state === "error" ? "error" : "");
    // What had streamed before a stop is not in the transcript: it stays on the screen.
    if (ours && state === "aborted" && run.text) this.local.push({ role: "assistant", content: run.text, stopped: true, timestamp: Date.now() });
    if (ours && state === "final") announce(`${this.app.assistant.name} said: ${cut(text || "nothing", 300)}`);
    else if (said) announce(said);
    if (ours || !run) return this.end(run, said);
    this.load().catch(() => {});
  }

  end(run, notice) {
    if (!notice) this.say("");
    this.run = null;
    const fresh = /^\/(new|reset)\b/.test(run?.item?.text ?? "");
    this.load().then(() => {
      this.drain();
      if (fresh) return this.loadSessions();
    }).catch((err) => { if (!err.lost) this.say(err.message, "error"); });
    this.draw();
  }

  onTool({ runId, data }) {
    const { run } = this;
    if (run?.id !== runId || !data?.toolCallId) return;
    let card = run.cards.get(data.toolCallId);
    if (!card && run.cards.size < MOST_CARDS) {
      card = new ToolCard(data.name, data.args, data.toolCallId);
      run.cards.set(data.toolCallId, card);
    }
    const output = (value) => (typeof value === "string" ? value : textOf(value) || (value ? JSON.stringify(value, null, 2) : ""));
    if (data.phase === "update") card?.progress(output(data.partialResult));
    else if (data.phase === "result") card?.finish(output(data.result), data.isError);
    this.drawStream();
  }

  say(text, kind = "") {
    this.notice.textContent = text;
    this.notice.className = `notice ${kind}`;
    this.notice.hidden = !text;
  }

  draw() {
    const atBottom = this.atBottom();
    const unfolded = new Set([...this.log.querySelectorAll("details[open]")].map((node) => node.dataset.name));
    const { assistant } = this.app;
    const messages = this.local.length ? [...this.messages, ...this.local].sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0)) : this.messages;
    const nodes = transcript(messages, { assistant, limit: this.limit });
    if (this.messages.length >= this.limit && this.limit < LONGEST_HISTORY) {
      nodes.unshift(button("Show earlier messages", () => { this.limit = LONGEST_HISTORY; this.load().catch((err) => this.say(err.message, "error")); }, { kind: "quiet earlier" }));
    }
    if (nodes.length === 0 && !this.run) nodes.push(this.welcome());
    this.stream = null;
    if (this.run) {
      const { node, body } = startGroup("assistant", assistant);
      node.classList.add("streaming");
      this.stream = body;
      nodes.push(node);
    }
    for (const node of nodes.flatMap((n) => [...n.querySelectorAll("details")])) node.open = unfolded.has(node.dataset.name);
    this.log.replaceChildren(...nodes);
    this.log.setAttribute("aria-busy", String(Boolean(this.run)));
    this.drawStream(atBottom);
  }

  welcome() {
    if (!this.loaded) return el("p", { class: "empty" }, this.app.connected ? "Loading…" : "Waiting for the gateway…");
    return el("div", { class: "welcome" }, icon("chat"), el("h2", {}, "Nothing said yet"),
      el("p", { class: "soft" }, `${this.app.assistant.name} is listening. Write a message, or /help for the commands.`));
  }

  drawStream(atBottom = this.atBottom()) {
    const { run } = this;
    if (run && !this.stream) return this.draw();
    if (run) {
      const text = withoutThinking(run.text);
      const waiting = el("div", { class: "bubble dots", role: "img", "aria-label": "is writing" }, el("i"), el("i"), el("i"));
      this.stream.replaceChildren(...[...run.cards.values()].map((card) => card.element),
        text ? el("div", { class: "bubble" }, markdown(text)) : waiting);
    }
    this.composer.draw({ busy: Boolean(run), connected: this.app.connected, queue: this.queue });
    if (atBottom) this.toBottom();
    else this.scrolled();
  }

  atBottom() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_BOTTOM;
  }

  toBottom() {
    this.log.scrollTop = this.log.scrollHeight;
    this.scrolled();
  }

  scrolled() {
    this.more.hidden = this.atBottom();
  }
}

function shownAs({ text, pictures }) {
  const content = pictures.map(({ mimeType, content: data }) => ({ type: "image", mimeType, data }));
  if (text) content.unshift({ type: "text", text });
  return { role: "user", content, timestamp: Date.now() };
}
