// What the agent may run on the gateway's host: the defaults, and each agent's list of programs
// that were always allowed.

import { toast } from "./dialogs.js";
import { button, el, empty, field, problem, select } from "./dom.js";
import { when } from "./words.js";

const CHOICES = {
  security: ["Commands", [["", "as configured"], ["deny", "none"], ["allowlist", "only those on the list"], ["full", "all"]]],
  ask: ["Asks", [["", "as configured"], ["off", "never"], ["on-miss", "when not on the list"], ["always", "always"]]],
  askFallback: ["When nobody answers", [["", "as configured"], ["deny", "none"], ["allowlist", "only those on the list"], ["full", "all"]]],
};

export class ExecPolicy {
  constructor(app) {
    this.app = app;
    this.body = el("div", { class: "stack" });
    this.element = el("section", { class: "stack" }, el("h2", {}, "Commands of the agent"), this.body);
  }

  async show() {
    try {
      this.draw(await this.app.request("exec.approvals.get"));
    } catch (err) {
      this.body.replaceChildren(problem(err));
    }
  }

  draw({ file, hash, path }) {
    this.file = file ?? {};
    this.hash = hash;
    const agents = Object.entries(this.file.agents ?? {});
    this.body.replaceChildren(
      el("article", { class: "card", "aria-label": "Defaults" }, el("header", {}, el("strong", {}, "Defaults"), el("code", { class: "soft" }, path)), this.choices(["defaults"])),
      ...agents.map(([id, agent]) => el("article", { class: "card", "aria-label": `Agent ${id}` },
        el("header", {}, el("strong", {}, id === "*" ? "Every agent" : `Agent ${id}`)), this.choices(["agents", id]), this.allowlist(id, agent.allowlist ?? []))));
  }

  at(path, file = this.file) {
    return path.reduce((node, key) => node?.[key], file);
  }

  choices(path) {
    return el("div", { class: "fields" }, Object.entries(CHOICES).map(([name, [title, options]]) => field(title, select(options, {
      name, value: this.at(path)?.[name] ?? "",
      onchange: (event) => this.change((file) => {
        const [group, id] = path;
        const node = id === undefined ? (file[group] ??= {}) : (file[group][id] ??= {});
        if (event.target.value) node[name] = event.target.value;
        else delete node[name];
      }),
    }))));
  }

  allowlist(id, entries) {
    if (entries.length === 0) return empty("No program is always allowed.");
    return el("ul", { class: "rows" }, entries.map((entry) => el("li", {},
      el("div", {}, el("code", {}, entry.pattern), entry.lastUsedAt && el("p", { class: "soft" }, `used ${when(entry.lastUsedAt)}${entry.lastUsedCommand ? `: ${entry.lastUsedCommand}` : ""}`)),
      button("Remove", () => this.change((file) => {
        file.agents[id].allowlist = file.agents[id].allowlist.filter((other) => other.pattern !== entry.pattern || other.id !== entry.id);
      }), { kind: "danger" }))));
  }

  // Saves a changed copy; somebody else's change in between is told, and shown.
  async change(edit) {
    const file = structuredClone(this.file);
    edit(file);
    try {
      this.draw(await this.app.request("exec.approvals.set", { file, baseHash: this.hash }));
      toast("Saved");
    } catch (err) {
      toast(err.message, "error");
      this.show();
    }
  }
}
