// The agents' own files, and what they can do.

import { confirm, toast } from "./dialogs.js";
import { button, el, empty, field, problem, select } from "./dom.js";
import { bytes, when } from "./words.js";

const INSTALL_MS = 120000;

export class Agents {
  constructor(app) {
    this.app = app;
    this.agent = select([], { name: "agent", onchange: () => this.leave(() => this.files()) });
    this.list = el("div", { class: "sections", role: "group", "aria-label": "Files" });
    this.editor = el("textarea", { class: "mono rawtext", name: "file", spellcheck: "true", "aria-label": "The file", oninput: () => this.mark() });
    this.name = el("h2", {}, "");
    this.about = el("p", { class: "soft" });
    this.saveButton = button("Save", () => this.save(), { kind: "primary", disabled: true });
    this.panel = el("div", { class: "file-editor", hidden: true },
      el("header", { class: "head" }, el("div", {}, this.name, this.about), this.saveButton), this.editor);
    this.error = el("div", {});
    this.skills = el("div", {});
    this.element = el("section", { class: "view", "aria-label": "Agents" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("h1", {}, "Agents"), field("Agent", this.agent)),
      this.error, el("div", { class: "agent-files" }, this.list, this.panel),
      el("h2", {}, "Skills"), this.skills));
    addEventListener("beforeunload", (event) => { if (this.dirty) event.preventDefault(); });
  }

  get dirty() {
    return this.file !== undefined && this.editor.value !== this.file.content;
  }

  mark() {
    this.saveButton.disabled = !this.dirty;
  }

  async show() {
    this.showSkills();
    try {
      const { agents, defaultId } = await this.app.request("agents.list");
      const chosen = this.agent.value || defaultId;
      this.agent.replaceChildren(...agents.map((agent) => el("option", { value: agent.id }, agent.name ?? agent.identity?.name ?? agent.id)));
      this.agent.value = chosen;
      await this.files();
    } catch (err) {
      this.error.replaceChildren(problem(err));
    }
  }

  async files() {
    try {
      const { files, workspace } = await this.app.request("agents.files.list", { agentId: this.agent.value });
      this.error.replaceChildren();
      this.workspace = workspace;
      this.list.replaceChildren(...files.map((file) => el("button", {
        type: "button", class: "quiet section", "data-name": file.name, "aria-current": this.file?.name === file.name ? "true" : null,
        onclick: () => this.leave(() => this.open(file.name)),
      }, el("span", {}, file.name), el("span", { class: "soft" }, file.missing ? "none" : bytes(file.size ?? 0)))));
    } catch (err) {
      this.list.replaceChildren();
      this.panel.hidden = true;
      this.error.replaceChildren(problem(err));
    }
  }

  async leave(go) {
    if (this.dirty && !await confirm("Leave without saving?", `What you changed in ${this.file.name} is lost.`, "Leave", { danger: true })) {
      this.agent.value = this.file.agentId;
      return;
    }
    this.file = undefined;
    this.panel.hidden = true;
    go();
  }

  async open(name) {
    const agentId = this.agent.value;
    try {
      const { file } = await this.app.request("agents.files.get", { agentId, name });
      this.take(agentId, file);
      this.editor.focus();
      this.editor.setSelectionRange(0, 0);
      this.editor.scrollTop = 0;
    } catch (err) {
      toast(err.message, "error");
    }
  }

  take(agentId, file) {
    this.file = { agentId, name: file.name, content: file.content ?? "" };
    this.editor.value = this.file.content;
    this.name.textContent = file.name;
    this.about.textContent = file.missing ? "Not there yet; saving makes it." : `${file.path ?? ""}${file.updatedAtMs ? `, changed ${when(file.updatedAtMs)}` : ""}`;
    this.panel.hidden = false;
    for (const node of this.list.children) {
      if (node.dataset.name === file.name) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
    this.mark();
  }

  async save() {
    const { agentId, name } = this.file;
    const content = this.editor.value;
    this.saveButton.disabled = true;
    try {
      const { file } = await this.app.request("agents.files.set", { agentId, name, content });
      toast(`${name} saved`);
      if (this.file?.name === name) this.take(agentId, { ...file, content });
      this.files();
    } catch (err) {
      toast(err.message, "error");
      this.mark();
    }
  }

  async showSkills() {
    try {
      const { skills } = await this.app.request("skills.status");
      this.skills.replaceChildren(skills.length === 0 ? empty("No skill is installed.") : el("ul", { class: "rows card" }, skills.map((skill) => this.skill(skill))));
    } catch (err) {
      this.skills.replaceChildren(problem(err));
    }
  }

  // Changes a skill and shows what became of it; a fault is told and nothing changes.
  async changeSkill(method, params, done) {
    try {
      const { message } = await this.app.request(method, params);
      toast(message || done);
    } catch (err) {
      toast(err.message, "error");
    }
    this.showSkills();
  }

  skill(skill) {
    const { skillKey, name, primaryEnv } = skill;
    const missing = [...skill.missing?.bins ?? [], ...skill.missing?.env ?? [], ...skill.missing?.config ?? [], ...skill.missing?.os ?? []];
    const box = el("input", {
      type: "checkbox", checked: !skill.disabled, "aria-label": `${name} is enabled`,
      onchange: () => this.changeSkill("skills.update", { skillKey, enabled: box.checked }, box.checked ? "Enabled" : "Disabled"),
    });
    const lacking = skill.missing?.bins?.length > 0;
    return el("li", { "data-key": skillKey }, el("div", {}, el("label", { class: "check" }, box, el("div", {}, el("strong", {}, `${skill.emoji ? `${skill.emoji} ` : ""}${name}`),
      el("p", { class: "soft" }, skill.description), missing.length > 0 && el("p", { class: "soft" }, `needs ${missing.join(", ")}`))),
    primaryEnv && this.skillKey(skillKey, name, primaryEnv),
    lacking && skill.install?.length > 0 && el("div", { class: "row-actions" }, skill.install.map(({ id, label }) =>
      button(label, () => this.changeSkill("skills.install", { name, installId: id, timeoutMs: INSTALL_MS }, "Installed"))))),
    el("span", { class: `badge ${skill.eligible ? "good" : ""}` }, skill.eligible ? "ready" : skill.blockedByAllowlist ? "not allowed" : skill.disabled ? "off" : "not ready"));
  }

  // What is stored is never sent here: an empty field says nothing about it, and saved removes it.
  skillKey(skillKey, name, variable) {
    const input = el("input", { type: "password", name: "apiKey", autocomplete: "off", placeholder: variable, "aria-label": `Key of ${name}` });
    return el("form", {
      class: "keyed",
      onsubmit: (event) => {
        event.preventDefault();
        this.changeSkill("skills.update", { skillKey, apiKey: input.value.trim() }, input.value.trim() ? "Key saved" : "Key removed");
      },
    }, input, el("button", { type: "submit" }, "Save key"));
  }
}
