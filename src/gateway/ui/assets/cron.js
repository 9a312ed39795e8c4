// The scheduler's jobs: what runs when, what came of it.

import { CronForm } from "./cronform.js";
import { confirm, formDialog, toast } from "./dialogs.js";
import { button, el, empty, facts, problem, redraw } from "./dom.js";
import { cut, dateTime, span, when } from "./words.js";

const HISTORY = 50;

export class Cron {
  constructor(app) {
    this.app = app;
    this.unfolded = new Set();
    this.running = new Set();
    this.status = el("p", { class: "soft", role: "status" });
    this.list = el("div", { class: "list" });
    this.element = el("section", { class: "view", "aria-label": "Cron" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("div", {}, el("h1", {}, "Cron"), this.status),
        el("div", { class: "actions" }, button("Refresh", () => app.refresh(), { iconName: "refresh", kind: "quiet" }),
          button("New job", () => this.edit(), { iconName: "plus", kind: "primary" }))),
      this.list));
  }

  async show() {
    try {
      const [status, { jobs }] = await Promise.all([this.app.request("cron.status"), this.app.request("cron.list", { includeDisabled: true })]);
      const next = status.nextWakeAtMs ? `next run ${when(status.nextWakeAtMs)}` : "nothing is due";
      this.status.textContent = status.enabled ? `${status.jobs} ${status.jobs === 1 ? "job" : "jobs"}, ${next}` : "The scheduler is switched off (cron.enabled).";
      redraw(this.list, jobs.length ? jobs.map((job) => this.card(job)) : [empty("No job yet. A job lets the agent do something at a time, at an interval or by a cron expression.")]);
    } catch (err) {
      this.status.textContent = "";
      this.list.replaceChildren(problem(err));
    }
  }

  onEvent(event) {
    if (event === "cron" && this.app.current === "cron") this.app.refresh();
  }

  card(job) {
    const { state = {} } = job;
    const runs = el("div", { class: "runs" });
    const busy = this.running.has(job.id) || state.runningAtMs;
    const history = el("details", {
      open: this.unfolded.has(job.id),
      ontoggle: () => {
        if (!history.open) return this.unfolded.delete(job.id);
        this.unfolded.add(job.id);
        this.runs(job, runs);
      },
    }, el("summary", {}, "History"), runs);
    const last = state.lastRunAtMs
      ? [el("span", { class: `badge ${{ ok: "good", error: "bad" }[state.lastStatus] ?? ""}` }, state.lastStatus ?? "ran"), ` ${when(state.lastRunAtMs)}`, state.lastDurationMs !== undefined && `, ${span(state.lastDurationMs)}`]
      : ["never"];
    const enabled = el("input", {
      type: "checkbox", checked: job.enabled, "aria-label": `${job.name} is enabled`, name: "enabled",
      onchange: () => this.act("cron.update", { id: job.id, patch: { enabled: enabled.checked } }, enabled.checked ? "Enabled" : "Disabled"),
    });
    return el("article", { class: `card job ${job.enabled ? "" : "off"}`, "aria-label": job.name, "data-key": job.id },
      el("header", {}, el("label", { class: "check" }, enabled, el("strong", {}, job.name)),
        busy ? el("span", { class: "badge warn" }, "running") : el("span", { class: "soft", title: dateTime(state.nextRunAtMs) }, job.enabled && state.nextRunAtMs ? `next ${when(state.nextRunAtMs)}` : "not scheduled")),
      job.description && el("p", {}, job.description),
      facts([
        ["When", scheduleText(job.schedule)],
        ["What", cut(job.payload?.message ?? job.payload?.text ?? "", 300)],
        ["Where", `${job.sessionTarget === "main" ? "main session" : "a session of its own"}${job.agentId ? `, agent ${job.agentId}` : ""}, wakes ${job.wakeMode === "now" ? "at once" : "with the next heartbeat"}`],
        job.delivery && ["Result", job.delivery.mode === "none" ? "kept in the run log" : `announced in ${job.delivery.channel ?? "last"}${job.delivery.to ? ` to ${job.delivery.to}` : ""}`],
        ["Last run", el("span", {}, last)],
        state.lastError && ["Error", el("span", { class: "bad" }, state.lastError)],
      ].filter(Boolean)),
      history,
      el("div", { class: "row-actions" },
        button("Run now", () => this.run(job), { disabled: Boolean(busy) }),
        button("Edit", () => this.edit(job), { kind: "quiet" }),
        button("Remove", () => this.remove(job), { kind: "danger" })));
  }

  async runs(job, into) {
    try {
      const { entries } = await this.app.request("cron.runs", { id: job.id, limit: HISTORY });
      into.replaceChildren(entries.length === 0 ? empty("It has not run yet.") : el("ul", { class: "rows" }, entries.toReversed().map((run) => el("li", {},
        el("div", {}, el("span", { class: `badge ${{ ok: "good", error: "bad" }[run.status] ?? ""}` }, run.status ?? run.action),
          (run.summary || run.error) && el("p", { class: run.error ? "bad" : "soft" }, cut(run.error || run.summary, 500))),
        el("span", { class: "soft" }, `${dateTime(run.ts)}${run.durationMs !== undefined ? `, ${span(run.durationMs)}` : ""}`)))));
    } catch (err) {
      into.replaceChildren(problem(err));
    }
  }

  async act(method, params, done) {
    try {
      const answer = await this.app.request(method, params);
      toast(typeof done === "function" ? done(answer) : done);
    } catch (err) {
      toast(err.message, "error");
    }
    if (this.app.current === "cron") this.app.refresh();
  }

  // Answers only after the run.
  async run(job) {
    this.running.add(job.id);
    this.app.refresh();
    await this.act("cron.run", { id: job.id, mode: "force" }, (answer) => (answer.ran ? `${job.name} ran` : `${job.name} did not run: ${answer.reason ?? "no reason given"}`));
    this.running.delete(job.id);
    if (this.app.current === "cron") this.app.refresh();
  }

  async remove(job) {
    if (await confirm("Remove this job?", `${job.name} will not run again. Its run log stays on disk.`, "Remove", { danger: true })) {
      this.act("cron.remove", { id: job.id }, "Removed");
    }
  }

  async edit(job) {
    const [agents, channels] = await Promise.all([
      this.app.request("agents.list").then((answer) => answer.agents.map((agent) => agent.id), () => []),
      this.app.request("channels.status", { probe: false, timeoutMs: 8000 }).then((answer) => answer.channelOrder ?? [], () => []),
    ]);
    const form = new CronForm(job, { agents, channels });
    formDialog(job ? `Edit ${job.name}` : "New job", form.element, job ? "Save" : "Add", async () => {
      const value = form.value();
      if (job) await this.app.request("cron.update", { id: job.id, patch: value });
      else await this.app.request("cron.add", value);
      toast(job ? "Saved" : "Added");
      this.app.refresh();
    });
  }
}

function scheduleText(schedule = {}) {
  if (schedule.kind === "every") return `every ${span(schedule.everyMs)}`;
  if (schedule.kind === "at") return `once, ${dateTime(Date.parse(schedule.at))}`;
  return el("span", {}, el("code", {}, schedule.expr ?? "?"), schedule.tz ? ` (${schedule.tz})` : "");
}
