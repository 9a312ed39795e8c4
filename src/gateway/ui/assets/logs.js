// The gateway's log file, followed.

import { button, debounced, download, el, field, problem } from "./dom.js";
import { cut } from "./words.js";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];
const MOST_LINES = 2000;
const PAUSE_MS = 2000;
const LIMIT = 500;
const MAX_BYTES = 250000;
const LONGEST_LINE = 4000;
const NEAR_BOTTOM = 40;

export class Logs {
  constructor(app) {
    this.app = app;
    this.lines = [];
    this.shown = new Set(LEVELS);
    const draw = () => this.draw();
    this.chips = el("div", { class: "chips", role: "group", "aria-label": "Levels" }, LEVELS.map((level) => button(level, (event) => {
      const chip = event.currentTarget;
      if (this.shown.has(level)) this.shown.delete(level);
      else this.shown.add(level);
      chip.setAttribute("aria-pressed", String(this.shown.has(level)));
      draw();
    }, { kind: `small chip ${level}`, "aria-pressed": "true" })));
    this.filter = el("input", { type: "search", name: "filter", placeholder: "Text, subsystem", oninput: debounced(150, draw) });
    this.follow = el("input", { type: "checkbox", name: "follow", checked: true, onchange: () => { if (this.follow.checked) this.toBottom(); } });
    this.about = el("p", { class: "soft", role: "status" });
    this.error = el("div", {});
    this.list = el("ol", {
      class: "loglines", tabindex: "0", "aria-label": "Log lines",
      onscroll: () => { if (!this.atBottom() && this.userScrolled()) this.follow.checked = false; },
    });
    this.element = el("section", { class: "view full", "aria-label": "Logs" },
      el("header", { class: "head" }, el("div", {}, el("h1", {}, "Logs"), this.about),
        el("div", { class: "actions" }, el("label", { class: "check" }, this.follow, "Follow"), button("Export", () => this.save(), { iconName: "download", kind: "quiet" }))),
      el("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, field("Filter", this.filter), this.chips),
      this.error, this.list);
  }

  async show() {
    clearTimeout(this.timer);
    this.active = true;
    this.drawn = false;
    await this.poll();
  }

  hide() {
    this.active = false;
    clearTimeout(this.timer);
  }

  onState(state) {
    if (state !== "open") clearTimeout(this.timer);
  }

  async poll() {
    clearTimeout(this.timer);
    try {
      const params = { limit: LIMIT, maxBytes: MAX_BYTES };
      if (this.cursor !== undefined) params.cursor = this.cursor;
      const answer = await this.app.request("logs.tail", params);
      this.take(answer);
      this.error.replaceChildren();
    } catch (err) {
      if (!err.lost) this.error.replaceChildren(problem(err));
      if (err.lost) return;
    }
    if (this.active) this.timer = setTimeout(() => this.poll(), PAUSE_MS);
  }

  take({ file, cursor, lines, truncated, reset }) {
    const fresh = lines.map(parse);
    // Another file, or one that was rotated: what was read before belongs to the old one.
    if (this.cursor === undefined || file !== this.file) this.lines = [];
    if (reset && this.lines.length) this.lines.push(mark("The log was rotated here."));
    if (truncated && this.cursor !== undefined) this.lines.push(mark("Lines were skipped here: more came than a page holds."));
    const all = this.cursor === undefined || file !== this.file || !this.drawn || reset || truncated;
    this.cursor = cursor;
    this.file = file;
    this.lines.push(...fresh);
    const old = this.lines.splice(0, Math.max(0, this.lines.length - MOST_LINES));
    if (all || old.length > fresh.length) this.draw();
    else this.append(fresh, old);
    this.drawn = true;
  }

  isShown(line) {
    const text = this.filter.value.trim().toLowerCase();
    return (line.level === undefined || this.shown.has(line.level)) && (!text || line.search.includes(text));
  }

  draw() {
    const rows = this.lines.filter((line) => this.isShown(line));
    this.list.replaceChildren(...rows.map(row));
    this.count();
    if (this.follow.checked) this.toBottom();
  }

  append(fresh, old) {
    const rows = fresh.filter((line) => this.isShown(line));
    for (const line of old) if (this.isShown(line)) this.list.firstChild?.remove();
    if (rows.length) this.list.append(...rows.map(row));
    this.count();
    if (rows.length && this.follow.checked) this.toBottom();
  }

  count() {
    const seen = this.list.childElementCount;
    const all = this.lines.length;
    this.about.textContent = `${this.file ?? ""} · ${seen === all ? `${all} lines` : `${seen} of ${all} lines`}`;
  }

  save() {
    const rows = this.lines.filter((line) => this.isShown(line));
    download(`openclaw-${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}.log`, `${rows.map((line) => line.raw).join("\n")}\n`);
  }

  atBottom() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_BOTTOM;
  }

  toBottom() {
    this.moved = Date.now();
    this.list.scrollTop = this.list.scrollHeight;
  }

  // Our own scrolling is seen by the same listener.
  userScrolled() {
    return Date.now() - (this.moved ?? 0) > 200;
  }
}

const mark = (text) => ({ text, raw: `-- ${text}`, search: text.toLowerCase(), note: true });

function parse(raw) {
  let entry;
  try {
    entry = JSON.parse(raw);
  } catch {
    return { text: raw, raw, search: raw.toLowerCase() };
  }
  if (!entry || typeof entry !== "object") return { text: raw, raw, search: raw.toLowerCase() };
  const { _meta: meta = {}, time } = entry;
  const parts = Object.keys(entry).filter((key) => /^\d+$/.test(key)).sort((a, b) => a - b).map((key) => entry[key]);
  let subsystem = "";
  const head = typeof parts[0] === "string" && parts[0].startsWith("{") ? parts[0] : meta.name;
  try {
    const named = JSON.parse(head);
    subsystem = named.subsystem ?? named.module ?? "";
    if (head === parts[0]) parts.shift();
  } catch {
    // A name that is no object names nothing.
  }
  const text = parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ");
  const level = String(meta.logLevelName ?? "").toLowerCase();
  return { text, raw, time: time ?? meta.date, level: LEVELS.includes(level) ? level : undefined, subsystem, search: `${subsystem} ${text}`.toLowerCase() };
}

function row({ text, time, level, subsystem, note }) {
  const date = time ? new Date(time) : null;
  const valid = date && !Number.isNaN(date.getTime());
  return el("li", { class: `${level ?? ""} ${note ? "note" : ""}`.trim() || null },
    el("time", { title: valid ? date.toISOString() : null }, valid ? date.toLocaleTimeString("en-GB") : ""),
    el("span", { class: "level" }, level ?? ""), el("span", { class: "subsystem" }, subsystem ?? ""), el("span", { class: "text" }, cut(text, LONGEST_LINE)));
}
