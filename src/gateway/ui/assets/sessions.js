// All sessions: found, named, tuned, emptied, removed.

import { confirm, toast } from "./dialogs.js";
import { button, debounced, el, empty, field, icon, problem, redraw, select } from "./dom.js";
import { dateTime, number, when } from "./words.js";

const LEVELS = {
  thinkingLevel: ["Thinking", ["off", "minimal", "low", "medium", "high", "xhigh"]],
  verboseLevel: ["Verbose", ["off", "on", "full"]],
  reasoningLevel: ["Reasoning", ["off", "on", "stream"]],
};
const TYPING_PAUSE_MS = 250;
const LONGEST_LABEL = 64;

export class Sessions {
  constructor(app) {
    this.app = app;
    const again = debounced(TYPING_PAUSE_MS, () => app.refresh());
    this.search = el("input", { type: "search", name: "search", placeholder: "Label, key, subject", oninput: again });
    this.minutes = select([["", "any time"], ["60", "the last hour"], ["1440", "the last day"], ["10080", "the last week"]], { name: "active", onchange: again });
    this.limit = select(["20", "120", "500"], { name: "limit", value: "120", onchange: again });
    this.global = el("input", { type: "checkbox", name: "global", checked: true, onchange: again });
    this.unknown = el("input", { type: "checkbox", name: "unknown", onchange: again });
    this.count = el("p", { class: "soft", role: "status" });
    this.list = el("div", { class: "list" });
    this.element = el("section", { class: "view", "aria-label": "Sessions" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("h1", {}, "Sessions"), button("Refresh", () => app.refresh(), { iconName: "refresh", kind: "quiet" })),
      el("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); app.refresh(); } },
        field("Search", this.search), field("Active in", this.minutes), field("At most", this.limit),
        el("label", { class: "check" }, this.global, "Global"), el("label", { class: "check" }, this.unknown, "Unknown")),
      this.count, this.list));
  }

  async show() {
    const params = { includeGlobal: this.global.checked, includeUnknown: this.unknown.checked, limit: Number(this.limit.value) };
    if (this.minutes.value) params.activeMinutes = Number(this.minutes.value);
    if (this.search.value.trim()) params.search = this.search.value.trim();
    const asked = JSON.stringify(params);
    this.asked = asked;
    let answer;
    try {
      answer = await this.app.request("sessions.list", params);
    } catch (err) {
      this.list.replaceChildren(problem(err));
      return;
    }
    // A slower answer to an older question.
    if (this.asked !== asked) return;
    const { sessions = [], defaults = {} } = answer;
    this.count.textContent = `${sessions.length} ${sessions.length === 1 ? "session" : "sessions"}`;
    redraw(this.list, sessions.length ? sessions.map((row) => this.row(row, defaults)) : [empty("No session matches.")]);
  }

  row(row, defaults) {
    const label = el("input", {
      name: "label", value: row.label ?? "", placeholder: row.displayName ?? "No label", maxlength: LONGEST_LABEL, "aria-label": `Label of ${row.key}`,
      onchange: () => this.patch(row.key, { label: label.value.trim() || null }),
      onkeydown: (event) => {
        if (event.key === "Escape") label.value = row.label ?? "";
        if (event.key === "Enter") label.blur();
      },
    });
    const levels = Object.entries(LEVELS).map(([name, [title, values]]) => {
      const value = row[name] ?? "";
      const options = [["", "default"], ...(values.includes(value) || !value ? values : [value, ...values])];
      return field(title, select(options, {
        name, value, "aria-label": `${title} of ${row.key}`,
        onchange: (event) => this.patch(row.key, { [name]: event.target.value || null }),
      }));
    });
    const most = row.contextTokens ?? defaults.contextTokens;
    const tokens = row.totalTokens ?? 0;
    const share = most ? Math.min(100, Math.round((tokens / most) * 100)) : 0;
    return el("article", { class: "card session", "data-key": row.key, "aria-label": row.label || row.key },
      el("div", { class: "session-name" }, label,
        el("p", { class: "soft" }, el("code", {}, row.key), ` · ${row.kind}`),
        el("p", { class: "soft" }, [row.model && `${row.modelProvider ? `${row.modelProvider}/` : ""}${row.model}`, row.channel, row.abortedLastRun && "last run aborted"].filter(Boolean).join(" · ")),
        el("p", { class: "soft", title: dateTime(row.updatedAt) }, `updated ${when(row.updatedAt)}`)),
      el("div", { class: "session-tokens" }, el("span", {}, `${number(tokens)}${most ? ` of ${number(most)}` : ""} tokens`),
        most && el("meter", { min: 0, max: 100, high: 80, value: share, "aria-label": "Context used" }, `${share} %`)),
      el("div", { class: "levels" }, levels),
      el("div", { class: "row-actions" },
        el("button", { type: "button", onclick: () => this.app.openChat(row.key) }, icon("chat"), "Open"),
        button("Compact", () => this.compact(row), { kind: "quiet" }),
        button("Reset", () => this.reset(row), { kind: "quiet" }),
        button("Delete", () => this.remove(row), { kind: "danger" })));
  }

  async act(method, params, done) {
    try {
      const answer = await this.app.request(method, params);
      const said = done(answer);
      if (said) toast(said);
    } catch (err) {
      toast(err.message, "error");
    }
    this.app.refresh();
  }

  patch(key, change) {
    return this.act("sessions.patch", { key, ...change }, () => "Saved");
  }

  async compact(row) {
    const ok = await confirm("Compact this session?", `Of the transcript of ${row.label || row.key} only the last 400 lines stay; the whole is kept beside it as a backup.`, "Compact");
    if (ok) this.act("sessions.compact", { key: row.key }, (answer) => (answer.compacted ? `Kept ${answer.kept} lines` : `Nothing to compact${answer.reason ? `: ${answer.reason}` : ""}`));
  }

  async reset(row) {
    const ok = await confirm("Start this session anew?", `${row.label || row.key} keeps its settings and begins with an empty transcript. The old one stays on disk.`, "Reset", { danger: true });
    if (ok) this.act("sessions.reset", { key: row.key }, () => "The session begins anew");
  }

  async remove(row) {
    const ok = await confirm("Delete this session?", `${row.label || row.key} and its settings go; its transcript is put away under another name.`, "Delete", { danger: true });
    if (ok) this.act("sessions.delete", { key: row.key, deleteTranscript: true }, (answer) => (answer.deleted ? "Deleted" : "There was nothing to delete"));
  }
}
