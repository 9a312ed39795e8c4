// The form of one cron job, for a new one and for a change.

import { el, field, select } from "./dom.js";

const UNITS = [["60000", "minutes"], ["3600000", "hours"], ["86400000", "days"]];
const THINKING = [["", "default"], "off", "minimal", "low", "medium", "high"];

const local = (iso) => {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

export class CronForm {
  constructor(job, { channels = [], agents = [] }) {
    this.job = job;
    const { schedule = { kind: "every", everyMs: 1800000 }, payload = { kind: "agentTurn" }, delivery } = job ?? {};
    const text = (value, props = {}) => el("input", { value: value ?? "", autocomplete: "off", ...props });
    const unit = UNITS.findLast(([ms]) => schedule.everyMs % ms === 0)?.[0] ?? "60000";
    this.name = text(job?.name, { name: "name", required: true, maxlength: 200 });
    this.description = text(job?.description, { name: "description" });
    this.agent = select([["", "default"], ...agents], { name: "agent", value: job?.agentId ?? "" });
    this.enabled = el("input", { type: "checkbox", name: "enabled", checked: job?.enabled ?? true });
    this.kind = select([["every", "at an interval"], ["at", "once"], ["cron", "by a cron expression"]], { name: "kind", value: schedule.kind, onchange: () => this.fit() });
    this.every = text(schedule.everyMs ? String(schedule.everyMs / Number(unit)) : "30", { type: "number", name: "every", min: "0.01", step: "any" });
    this.unit = select(UNITS, { name: "unit", value: unit });
    this.at = text(schedule.at ? local(schedule.at) : "", { type: "datetime-local", name: "at" });
    this.expr = text(schedule.expr, { name: "expr", placeholder: "0 7 * * 1-5", class: "mono" });
    this.tz = text(schedule.tz, { name: "tz", placeholder: "as the gateway's host, or Europe/Vienna" });
    this.session = select([["isolated", "a session of its own"], ["main", "the main session"]], { name: "session", value: job?.sessionTarget ?? "isolated", onchange: () => this.fit() });
    this.wake = select([["next-heartbeat", "with the next heartbeat"], ["now", "at once"]], { name: "wake", value: job?.wakeMode ?? "next-heartbeat" });
    this.message = el("textarea", { name: "message", rows: 4, required: true, value: payload.message ?? payload.text ?? "" });
    this.thinking = select(THINKING, { name: "thinking", value: payload.thinking ?? "" });
    this.model = text(payload.model, { name: "model", placeholder: "default" });
    this.timeout = text(payload.timeoutSeconds, { type: "number", name: "timeout", min: "1", placeholder: "default" });
    this.mode = select([["announce", "announced in a chat"], ["none", "kept in the run log"]], { name: "mode", value: delivery?.mode ?? (job || channels.length ? "announce" : "none"), onchange: () => this.fit() });
    const known = new Set(["last", ...channels, delivery?.channel].filter(Boolean));
    this.channel = select([...known], { name: "channel", value: delivery?.channel ?? "last" });
    this.to = text(delivery?.to, { name: "to", placeholder: "as the channel's default" });
    this.bestEffort = el("input", { type: "checkbox", name: "best-effort", checked: delivery?.bestEffort ?? false });
    this.remove = el("input", { type: "checkbox", name: "delete-after", checked: job?.deleteAfterRun ?? true });
    this.build();
    this.fit();
  }

  build() {
    const check = (box, title) => el("label", { class: "check" }, box, title);
    this.everyRow = el("div", { class: "fields" }, field("Every", this.every), field("Unit", this.unit));
    this.atRow = el("div", { class: "fields" }, field("When (your local time)", this.at), check(this.remove, "Remove the job after it ran"));
    this.exprRow = el("div", { class: "fields" }, field("Expression", this.expr, "minute hour day month weekday"), field("Time zone", this.tz));
    this.messageField = field("", this.message);
    this.turnRow = el("div", { class: "fields" }, field("Thinking", this.thinking), field("Model", this.model), field("Time limit in seconds", this.timeout));
    this.deliveryRow = el("div", { class: "fields" }, field("Channel", this.channel), field("To", this.to), check(this.bestEffort, "A failed delivery is no error"));
    this.result = el("fieldset", {}, el("legend", {}, "Result"), field("The answer is", this.mode), this.deliveryRow);
    const group = (title, ...children) => el("fieldset", {}, el("legend", {}, title), children);
    this.element = el("div", { class: "stack cron-form" },
      group("Job", el("div", { class: "fields" }, field("Name", this.name), field("Description", this.description), field("Agent", this.agent)), check(this.enabled, "Enabled")),
      group("Schedule", field("Runs", this.kind), this.everyRow, this.atRow, this.exprRow),
      group("Work", el("div", { class: "fields" }, field("In", this.session), field("Wakes the agent", this.wake)), this.messageField, this.turnRow),
      this.result);
  }

  // Shows what goes with what was chosen.
  fit() {
    const isolated = this.session.value === "isolated";
    this.everyRow.hidden = this.kind.value !== "every";
    this.atRow.hidden = this.kind.value !== "at";
    this.exprRow.hidden = this.kind.value !== "cron";
    this.turnRow.hidden = !isolated;
    this.result.hidden = !isolated;
    this.deliveryRow.hidden = this.mode.value === "none";
    this.messageField.querySelector(".name").textContent = isolated ? "What the agent is told to do" : "The event it is told of";
  }

  schedule() {
    switch (this.kind.value) {
      case "every": {
        const everyMs = Math.round(Number(this.every.value) * Number(this.unit.value));
        if (!(everyMs >= 1)) throw new Error("The interval must be more than nothing.");
        const { schedule } = this.job ?? {};
        const kept = schedule?.kind === "every" && schedule.everyMs === everyMs ? schedule.anchorMs : undefined;
        return { kind: "every", everyMs, ...(kept !== undefined && { anchorMs: kept }) };
      }
      case "at": {
        const at = new Date(this.at.value);
        if (Number.isNaN(at.getTime())) throw new Error("Say when the job shall run.");
        return { kind: "at", at: at.toISOString() };
      }
      default: {
        const expr = this.expr.value.trim();
        if (!expr) throw new Error("The cron expression is missing.");
        return { kind: "cron", expr, ...(this.tz.value.trim() && { tz: this.tz.value.trim() }) };
      }
    }
  }

  // The job as `cron.add` takes it; for a change, the patch.
  value() {
    const isolated = this.session.value === "isolated";
    const words = this.message.value.trim();
    if (!this.name.value.trim()) throw new Error("The job needs a name.");
    if (!words) throw new Error(isolated ? "Say what the agent shall do." : "Say what the event is.");
    const job = {
      name: this.name.value.trim(), enabled: this.enabled.checked, schedule: this.schedule(),
      sessionTarget: this.session.value, wakeMode: this.wake.value,
      payload: isolated ? { kind: "agentTurn", message: words } : { kind: "systemEvent", text: words },
    };
    const description = this.description.value.trim();
    if (description || this.job?.description) job.description = description;
    if (this.agent.value) job.agentId = this.agent.value;
    else if (this.job?.agentId) job.agentId = null;
    if (this.kind.value === "at") job.deleteAfterRun = this.remove.checked;
    if (isolated) {
      const { payload } = job;
      if (this.thinking.value) payload.thinking = this.thinking.value;
      if (this.model.value.trim()) payload.model = this.model.value.trim();
      if (this.timeout.value) payload.timeoutSeconds = Number(this.timeout.value);
      job.delivery = { mode: this.mode.value };
      if (this.mode.value === "announce") {
        job.delivery.channel = this.channel.value;
        if (this.to.value.trim()) job.delivery.to = this.to.value.trim();
        if (this.bestEffort.checked) job.delivery.bestEffort = true;
      }
    }
    return job;
  }
}
