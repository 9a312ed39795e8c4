// Commands that wait for a person: one dialog at a time, oldest first.

import { button, el, facts } from "./dom.js";
import { span } from "./words.js";

// The gateway has the last word on expiry; ours comes a little later.
const GRACE_MS = 500;

export class Approvals {
  constructor(app) {
    this.app = app;
    this.queue = [];
    this.reopen = button("", () => this.draw(true), { kind: "inline" });
    this.element = el("div", { class: "banner", role: "status", hidden: true }, this.reopen);
  }

  onEvent(event, payload) {
    if (event === "exec.approval.requested") {
      if (this.queue.some((entry) => entry.id === payload.id)) return;
      this.queue.push(payload);
      setTimeout(() => this.drop(payload.id), Math.max(0, payload.expiresAtMs - Date.now()) + GRACE_MS);
      this.draw(true);
    } else if (event === "exec.approval.resolved") this.drop(payload.id);
  }

  drop(id) {
    this.queue = this.queue.filter((entry) => entry.id !== id);
    if (this.shown === id) this.close();
    this.draw(Boolean(this.dialog));
  }

  close() {
    clearInterval(this.timer);
    const dialog = this.dialog;
    this.dialog = this.shown = undefined;
    dialog?.close();
    dialog?.remove();
  }

  draw(open) {
    const waiting = this.queue.length;
    this.element.hidden = waiting === 0;
    this.reopen.querySelector("span").textContent =
      waiting === 1 ? "A command waits for your approval" : `${waiting} commands wait for your approval`;
    if (!open || this.dialog || waiting === 0) return;
    this.show(this.queue[0]);
  }

  show(entry) {
    const { request } = entry;
    const left = el("p", { class: "soft" });
    const error = el("p", { class: "notice error", role: "alert", hidden: true });
    const decide = (decision) => async () => {
      for (const node of dialog.querySelectorAll("button")) node.disabled = true;
      try {
        await this.app.request("exec.approval.resolve", { id: entry.id, decision });
        this.close();
        this.drop(entry.id);
        this.draw(true);
      } catch (err) {
        error.textContent = err.message;
        error.hidden = false;
        for (const node of dialog.querySelectorAll("button")) node.disabled = false;
      }
    };
    const rows = [
      ["Host", request.host], ["Agent", request.agentId], ["Session", request.sessionKey], ["Folder", request.cwd],
      ["Program", request.resolvedPath], ["Security", request.security], ["Asks", request.ask],
    ].filter(([, value]) => value);
    // The dialog itself takes the focus: somebody who is typing must not allow a command by a space.
    const dialog = el("dialog", { class: "approval", role: "alertdialog", tabindex: "-1", "aria-labelledby": "approval-title", "aria-describedby": "approval-command" },
      el("h2", { id: "approval-title" }, "The agent asks to run a command"),
      el("pre", { class: "command", id: "approval-command", tabindex: "0" }, request.command), facts(rows), left, error,
      el("div", { class: "actions" },
        button("Deny", decide("deny"), { kind: "danger" }),
        button("Always allow", decide("allow-always")),
        button("Allow once", decide("allow-once"), { kind: "primary" })));
    // Escape puts the question off; the banner keeps it in sight.
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.close(); this.draw(false); });
    const tick = () => {
      const others = this.queue.length > 1 ? ` · ${this.queue.length - 1} more waiting` : "";
      left.textContent = `The agent waits ${span(Math.max(0, entry.expiresAtMs - Date.now()))} longer${others}`;
    };
    tick();
    this.timer = setInterval(tick, 1000);
    this.dialog = dialog;
    this.shown = entry.id;
    document.body.append(dialog);
    dialog.showModal();
    dialog.focus();
  }
}
